/* SPDX-License-Identifier: Apache-2.0 */
#include "message.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

#include "capture.h"
#include "pbwalk.h"
#include "placing.h"

#define TOPIC_PREFIX "htel/v1/"

enum { TYPE_VARINT = 0, FRAME_BOOT = 1, FRAME_SEQUENCE = 2, STATUS_ONLINE = 1, STATUS_BOOT = 2 };
enum { CRC_FIELD_BYTES = 5, CRC_TAG = 0x7d };

message_kind message_topic(const char *topic, char *device) {
  static const struct {
    const char *name;
    message_kind kind;
  } kinds[] = {{"frame", MESSAGE_FRAME}, {"birth", MESSAGE_BIRTH}, {"status", MESSAGE_STATUS}};

  if (strncmp(topic, TOPIC_PREFIX, strlen(TOPIC_PREFIX)) != 0) return MESSAGE_NONE;
  const char *id = topic + strlen(TOPIC_PREFIX);
  const char *slash = strchr(id, '/');
  if (slash == NULL || !device_id_valid(id, (size_t)(slash - id))) return MESSAGE_NONE;
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    if (strcmp(slash + 1, kinds[i].name) != 0) continue;
    memcpy(device, id, (size_t)(slash - id));
    device[slash - id] = '\0';
    return kinds[i].kind;
  }
  return MESSAGE_NONE;
}

bool message_status(const uint8_t *bytes, size_t size, bool *online, uint64_t *boot) {
  pbwalk w = {.bytes = bytes, .size = size};
  pbwalk_field field;
  int rc;
  *online = false;
  *boot = 0;
  while ((rc = pbwalk_next(&w, &field)) == 1) {
    if (field.type != TYPE_VARINT) continue;
    if (field.number == STATUS_ONLINE) *online = field.value != 0;
    if (field.number == STATUS_BOOT) *boot = field.value;
  }
  return rc == 0;
}

/* Looked up once: EVP_sha256() is looked up in each digest, under a lock that threads share. */
static EVP_MD *sha256;

static void sha256_look_up(void) {
  sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

bool digest_make(uint8_t digest[DIGEST_BYTES], const uint8_t *bytes, size_t size) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, sha256_look_up);
  unsigned char whole[EVP_MAX_MD_SIZE];
  const EVP_MD *md = sha256 != NULL ? sha256 : EVP_sha256();
  if (EVP_Digest(bytes, size, whole, NULL, md, NULL) != 1) return false;
  memcpy(digest, whole, DIGEST_BYTES);
  return true;
}

static void settle(frame_check *check, frame_fate fate, const char *reason) {
  check->fate = fate;
  check->reason = reason;
}

/* Whether the bytes end with a checksum that is theirs. */
static bool checksum_holds(const uint8_t *bytes, size_t size) {
  if (size < CRC_FIELD_BYTES || bytes[size - CRC_FIELD_BYTES] != CRC_TAG) return false;
  const uint8_t *p = bytes + size - 4;
  uint32_t crc = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
  return crc == htel_crc32(0, bytes, size - CRC_FIELD_BYTES);
}

/* The key of an undamaged frame whose envelope cannot be read as a whole. Sequence 0 is none: a
 * receipt that names it would be no receipt, for all other frames in it too. */
static bool find_key(frame_check *check, const uint8_t *bytes, size_t size) {
  if (!checksum_holds(bytes, size)) return false;
  pbwalk w = {.bytes = bytes, .size = size};
  pbwalk_field field;
  bool sequence = false;
  check->boot = 0;
  while (pbwalk_next(&w, &field) == 1) {
    if (field.type != TYPE_VARINT) continue;
    if (field.number == FRAME_BOOT) check->boot = field.value;
    if (field.number == FRAME_SEQUENCE) {
      check->sequence = (uint32_t)field.value;
      sequence = field.value >= 1 && field.value <= UINT32_MAX;
    }
  }
  return sequence;
}

static const char *envelope_reason(int rc) {
  switch (rc) {
    case HTEL_E_TOO_LARGE: return "the frame or a part of it is larger than the format allows";
    case HTEL_E_CRC: return "the checksum does not match";
    case HTEL_E_UNSUPPORTED: return "a coding or an encryption that this ingest does not know";
    default: return "the bytes are not a frame";
  }
}

static const char *range_reason(const htel_frame *frame) {
  if (frame->sequence == 0) return "sequence 0: sequences begin at 1";
  if (frame->tick > PLACING_TICK_MAX) return "the tick is out of range";
  for (unsigned i = 0; i < frame->anchor_count; i++)
    if (!placing_anchor_valid(&frame->anchors[i])) return "a time anchor is out of range";
  for (unsigned i = 0; i < frame->loss_count; i++) {
    const htel_loss *loss = &frame->losses[i];
    if (loss->tick_first > PLACING_TICK_MAX || loss->tick_last > PLACING_TICK_MAX ||
        loss->readings > INT64_MAX || loss->tick_first > loss->tick_last)
      return "a loss record is out of range";
    if (loss->id == 0) return "a loss record has no id";
    if (loss->boot > INT64_MAX || loss->boot_last > INT64_MAX)
      return "a loss record's boot is out of range";
    if (loss->cause == HTEL_CAUSE_OUTBOX_FULL && loss->sequence_first > loss->sequence_last)
      return "a loss record's sequences are out of order";
  }
  return NULL;
}

void frame_open(frame_check *check, const uint8_t *bytes, size_t size) {
  *check = (frame_check){.fate = FRAME_GOOD};
  if (size > HTEL_FRAME_BYTES_MAX) {
    settle(check, FRAME_UNREADABLE, "larger than a frame may be");
    return;
  }
  if (!digest_make(check->digest, bytes, size)) {
    settle(check, FRAME_LATER, NULL);
    return;
  }
  int rc = htel_frame_decode(&check->frame, bytes, size);
  if (rc < 0) {
    bool key = find_key(check, bytes, size);
    settle(check, key ? FRAME_POISON : FRAME_UNREADABLE, envelope_reason(rc));
    return;
  }
  check->boot = check->frame.boot;
  check->sequence = check->frame.sequence;
  const char *reason = range_reason(&check->frame);
  check->envelope = reason == NULL;
  if (reason != NULL) settle(check, FRAME_POISON, reason);
}

void frame_read(frame_check *check, frame_reader *work, const htel_birth *birth, readings *out) {
  readings_clear(out);
  int rc = htel_reader_open(&work->reader, &check->frame, birth);
  if (rc < 0) {
    settle(check, FRAME_POISON,
           rc == HTEL_E_UNSUPPORTED
               ? "the readings are deflated, and this ingest is built without zlib"
               : "the readings cannot be inflated");
    return;
  }
  while ((rc = htel_reader_next(&work->reader, &work->series)) == 1) {
    int added = readings_add(out, &work->series);
    if (added == 0) continue;
    if (added == HTEL_E_MEMORY) {
      settle(check, FRAME_LATER, NULL);
    } else {
      settle(check, FRAME_POISON,
             added == HTEL_E_TOO_LARGE ? "more readings than a frame may hold"
                                       : "a reading's tick is out of range");
    }
    return;
  }
  if (rc < 0) settle(check, FRAME_POISON, "the readings cannot be decoded");
}
