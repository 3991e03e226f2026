/* SPDX-License-Identifier: Apache-2.0 */
/* test_frame.c - the envelope: what goes in comes out, within its stated size, and no damaged,
 * encrypted or senseless frame is taken for a good one. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "frame.h"
#include "../../ports/sim/sim_random.h"

static uint8_t bytes[HTEL_FRAME_BYTES_MAX + 16];
static htel_frame frame;

/* Puts the checksum behind hand-made fields. */
static size_t sealed(size_t size) {
  uint32_t crc = htel_crc32(0, bytes, size);
  bytes[size++] = 0x7D;
  for (unsigned i = 0; i < 4; i++) bytes[size++] = (uint8_t)(crc >> 8 * i);
  return size;
}

static int decode_fields(const char *fields, size_t size) {
  memcpy(bytes, fields, size);
  return htel_frame_decode(&frame, bytes, sealed(size));
}
#define DECODE(fields) decode_fields(fields, sizeof fields - 1)

static frame_parts full_parts(const htel_anchor *anchors, const htel_loss *losses) {
  static uint8_t data[200];
  memset(data, 0x5A, sizeof data);
  frame_parts parts = {.boot = UINT64_MAX,
                       .sequence = UINT32_MAX,
                       .frame_class = HTEL_CLASS_WAVEFORM,
                       .tick = UINT64_MAX,
                       .schema = UINT32_MAX,
                       .session = UINT64_MAX,
                       .coding = 1,
                       .data_size = HTEL_INFLATED_BYTES_MAX,
                       .data = data,
                       .data_bytes = sizeof data,
                       .anchors = anchors,
                       .losses = losses};
  return parts;
}

static void test_largest_fields_fit_the_stated_sizes(void **state) {
  (void)state;
  htel_anchor anchors[HTEL_ANCHORS_MAX];
  htel_loss losses[HTEL_LOSSES_MAX];
  memset(losses, 0xFF, sizeof losses);
  for (unsigned i = 0; i < HTEL_ANCHORS_MAX; i++) {
    anchors[i] = (htel_anchor){UINT64_MAX, INT64_MIN, UINT32_MAX};
  }
  for (unsigned i = 0; i < HTEL_LOSSES_MAX; i++) {
    losses[i].boot = 1;
    losses[i].at_most = true;
  }
  frame_parts parts = full_parts(anchors, losses);
  int envelope = frame_encode(&parts, bytes, sizeof bytes);
  assert_in_range(envelope, 1, parts.data_bytes + FRAME_ENVELOPE_BYTES_MAX);
  parts.anchor_count = HTEL_ANCHORS_MAX;
  int anchored = frame_encode(&parts, bytes, sizeof bytes);
  assert_in_range(anchored - envelope, 1, HTEL_ANCHORS_MAX * FRAME_ANCHOR_BYTES_MAX);
  parts.loss_count = HTEL_LOSSES_MAX;
  int size = frame_encode(&parts, bytes, sizeof bytes);
  assert_in_range(size - anchored, 1, HTEL_LOSSES_MAX * FRAME_LOSS_BYTES_MAX);

  static uint8_t tight[8192];
  memset(tight, 0xA5, sizeof tight);
  assert_int_equal(frame_encode(&parts, tight, (size_t)size - 1), HTEL_E_TOO_LARGE);
  assert_int_equal(tight[size - 1], 0xA5);
  assert_int_equal(frame_encode(&parts, tight, (size_t)size), size);
  assert_memory_equal(tight, bytes, (size_t)size);
}

static void test_all_fields_come_back(void **state) {
  (void)state;
  htel_anchor anchors[2] = {{5, -7, 9}, {UINT64_MAX, 1795305600000, 20}};
  htel_loss losses[3] = {{.boot = 42,
                          .tick_first = 1,
                          .tick_last = 9,
                          .id = 1,
                          .readings = 100,
                          .sequence_first = 3,
                          .cause = HTEL_CAUSE_RING_FULL,
                          .channel = 63},
                         {.boot = 42,
                          .sequence_first = 5,
                          .sequence_last = 8,
                          .frames = 4,
                          .readings = 1,
                          .cause = HTEL_CAUSE_OUTBOX_FULL,
                          .frame_class = 2},
                         {.boot = 41, .cause = HTEL_CAUSE_UNCLEAN_STOP, .at_most = true}};
  frame_parts parts = full_parts(anchors, losses);
  parts.boot = 42;
  parts.anchor_count = 2;
  parts.loss_count = 3;
  int size = frame_encode(&parts, bytes, sizeof bytes);
  assert_true(size > 0);
  assert_int_equal(htel_frame_decode(&frame, bytes, (size_t)size), 0);
  assert_int_equal(frame.boot, parts.boot);
  assert_int_equal(frame.sequence, parts.sequence);
  assert_int_equal(frame.frame_class, parts.frame_class);
  assert_int_equal(frame.tick, parts.tick);
  assert_int_equal(frame.session, parts.session);
  assert_int_equal(frame.schema, parts.schema);
  assert_int_equal(frame.coding, parts.coding);
  assert_int_equal(frame.data_size, parts.data_size);
  assert_int_equal(frame.data_bytes, parts.data_bytes);
  assert_memory_equal(frame.data, parts.data, parts.data_bytes);
  assert_true(frame.data > bytes && frame.data < bytes + size);
  assert_int_equal(frame.anchor_count, 2);
  assert_int_equal(frame.loss_count, 3);
  for (unsigned i = 0; i < 2; i++) {
    assert_int_equal(frame.anchors[i].tick, anchors[i].tick);
    assert_int_equal(frame.anchors[i].utc_ms, anchors[i].utc_ms);
    assert_int_equal(frame.anchors[i].uncertainty_ms, anchors[i].uncertainty_ms);
  }
  for (unsigned i = 0; i < 3; i++) {
    const htel_loss *is = &frame.losses[i], *want = &losses[i];
    assert_int_equal(is->boot, want->boot);
    assert_int_equal(is->tick_first, want->tick_first);
    assert_int_equal(is->tick_last, want->tick_last);
    assert_int_equal(is->readings, want->readings);
    assert_int_equal(is->sequence_first, want->sequence_first);
    assert_int_equal(is->sequence_last, want->sequence_last);
    assert_int_equal(is->frames, want->frames);
    assert_int_equal(is->id, want->id);
    assert_int_equal(is->cause, want->cause);
    assert_int_equal(is->channel, want->channel);
    assert_int_equal(is->frame_class, want->frame_class);
    assert_int_equal(is->at_most, want->at_most);
  }
}

static void test_the_frames_own_boot_is_not_repeated(void **state) {
  (void)state;
  htel_loss loss = {.cause = HTEL_CAUSE_RING_FULL, .readings = 1};
  frame_parts parts = {.boot = 42, .sequence = 1, .losses = &loss, .loss_count = 1};
  int size = frame_encode(&parts, bytes, sizeof bytes);
  loss.boot = 42;
  assert_int_equal(frame_encode(&parts, bytes, sizeof bytes), size);
  loss.boot = 41;
  assert_int_equal(frame_encode(&parts, bytes, sizeof bytes), size + 2);
}

/* zip.c puts its output where the frame's data will be, or a little behind. */
static void test_data_may_lie_in_the_output(void **state) {
  (void)state;
  frame_parts parts = full_parts(NULL, NULL);
  static uint8_t apart[1024], within[1024];
  int size = frame_encode(&parts, apart, sizeof apart);
  for (unsigned gap = FRAME_ENVELOPE_BYTES_MAX; gap < FRAME_ENVELOPE_BYTES_MAX + 3; gap++) {
    memcpy(within + gap, parts.data, parts.data_bytes);
    frame_parts moved = parts;
    moved.data = within + gap;
    assert_int_equal(frame_encode(&moved, within, sizeof within), size);
    assert_memory_equal(within, apart, (size_t)size);
  }
}

static void test_smallest_frame(void **state) {
  (void)state;
  frame_parts parts = {.sequence = 1, .frame_class = HTEL_CLASS_NUMERIC};
  assert_int_equal(frame_encode(&parts, bytes, 7), 7); /* the sequence and the checksum */
  assert_int_equal(htel_frame_decode(&frame, bytes, 7), 0);
  assert_int_equal(frame.data_bytes, 0);
  for (size_t room = 0; room < 7; room++) {
    assert_int_equal(frame_encode(&parts, bytes, room), HTEL_E_TOO_LARGE);
  }
}

static void test_every_flipped_bit_is_noticed(void **state) {
  (void)state;
  frame_parts parts = full_parts(NULL, NULL);
  int size = frame_encode(&parts, bytes, sizeof bytes);
  for (size_t bit = 0; bit < (size_t)size * 8; bit++) {
    bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    int rc = htel_frame_decode(&frame, bytes, (size_t)size);
    assert_true(rc == HTEL_E_CRC || rc == HTEL_E_FORMAT);
    bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
  }
  assert_int_equal(htel_frame_decode(&frame, bytes, (size_t)size), 0);
}

static void test_every_truncation_is_noticed(void **state) {
  (void)state;
  frame_parts parts = full_parts(NULL, NULL);
  int size = frame_encode(&parts, bytes, sizeof bytes);
  static uint8_t copy[1024];
  memcpy(copy, bytes, (size_t)size);
  for (size_t cut = 0; cut < (size_t)size; cut++) {
    assert_true(htel_frame_decode(&frame, copy, cut) < 0);
    if (cut + 5 >= (size_t)size) continue;
    /* The same with a checksum that is right: only cuts between fields can pass. */
    int rc = decode_fields((const char *)copy, cut);
    assert_true(rc == 0 || rc == HTEL_E_FORMAT);
  }
}

static void test_unknown_fields_are_stepped_over(void **state) {
  (void)state;
  assert_int_equal(DECODE("\x10\x01\x70\x05\x72\x03"
                          "abc"),
                   0);
  assert_int_equal(frame.sequence, 1);
}

static void test_encrypted_frames_are_not_misread(void **state) {
  (void)state;
  assert_int_equal(DECODE("\x10\x01\x62\x01x"), HTEL_E_UNSUPPORTED);
  assert_int_equal(DECODE("\x10\x01\x60\x01"), HTEL_E_UNSUPPORTED);
}

static void test_unknown_coding_is_unsupported(void **state) {
  (void)state;
  assert_int_equal(DECODE("\x10\x01\x30\x02\x42\x01x"), HTEL_E_UNSUPPORTED);
  /* Where enums are as small as may be, 65535 does not fit one. */
  typedef enum { SMALL } small;
  assert_int_equal(DECODE("\x10\x01\x30\xFF\xFF\x03\x42\x01x"),
                   sizeof(small) > 1 ? HTEL_E_UNSUPPORTED : HTEL_E_FORMAT);
}

static void test_senseless_frames_are_refused(void **state) {
  (void)state;
  assert_int_equal(DECODE(""), HTEL_E_FORMAT);                           /* no sequence */
  assert_int_equal(DECODE("\x10\x00"), HTEL_E_FORMAT);                   /* sequence 0 */
  assert_int_equal(DECODE("\x10\x80\x80\x80\x80\x10"), HTEL_E_FORMAT);   /* over 32 bits */
  assert_int_equal(DECODE("\x10\x01\x18\x03"), HTEL_E_FORMAT);           /* a class that is none */
  assert_int_equal(DECODE("\x10\x01\x7D....\x42\x01x"), HTEL_E_FORMAT);  /* a checksum inside */
  assert_int_equal(DECODE("\x10\x01\x80\x01\x01"), HTEL_E_FORMAT);       /* field 16 */
  assert_int_equal(DECODE("\x10\x01\x42\x05x"), HTEL_E_FORMAT);          /* data ends early */
  assert_int_equal(DECODE("\x10\x01\x42\x01x\x42\x01x"), HTEL_E_FORMAT); /* data twice */
  assert_int_equal(DECODE("\x10\x01\x40\x01"), HTEL_E_FORMAT);           /* data of a wrong type */
  assert_int_equal(DECODE("\x10\x01\x50\x00"), HTEL_E_FORMAT);           /* an anchor, */
  assert_int_equal(DECODE("\x10\x01\x55...."), HTEL_E_FORMAT);           /* or a loss as a number */
  assert_int_equal(DECODE("\x10\x01\x5D\x18\x10\x10\x60"), HTEL_E_FORMAT);
  assert_int_equal(DECODE("\x10\x01\x6B\x6C"), HTEL_E_FORMAT);          /* a group */
  assert_int_equal(DECODE("\x10\x01\x38\x01\x42\x01x"), HTEL_E_FORMAT); /* stored, yet a size */
  assert_int_equal(DECODE("\x10\x01\x30\x01\x42\x01x"), HTEL_E_FORMAT); /* deflate, no size */
  assert_int_equal(DECODE("\x10\x01\x30\x01\x38\x01"), HTEL_E_FORMAT);  /* deflate, no data */
  /* deflate, inflating to 65,537 */
  assert_int_equal(DECODE("\x10\x01\x30\x01\x38\x81\x80\x04\x42\x01x"), HTEL_E_FORMAT);
  /* evicted sequences 0 to 1, 2 to 1, and three frames out of two */
  assert_int_equal(DECODE("\x10\x01\x5A\x04\x08\x02\x30\x01"), HTEL_E_FORMAT);
  assert_int_equal(DECODE("\x10\x01\x5A\x06\x08\x02\x28\x02\x30\x01"), HTEL_E_FORMAT);
  assert_int_equal(DECODE("\x10\x01\x5A\x08\x08\x02\x28\x01\x30\x02\x58\x03"), HTEL_E_FORMAT);
  assert_int_equal(DECODE("\x10\x01\x5A\x08\x08\x02\x28\x01\x30\x02\x58\x02"), 0);
}

static void test_unknown_causes_of_loss_are_handed_on(void **state) {
  (void)state;
  assert_int_equal(DECODE("\x08\x05\x10\x01\x5A\x04\x08\x77\x48\x03"), 0);
  assert_int_equal(frame.loss_count, 1);
  assert_int_equal(frame.losses[0].cause, 0x77);
  assert_int_equal(frame.losses[0].readings, 3);
  assert_int_equal(frame.losses[0].boot, 5);
}

static void test_too_many_anchors_and_losses_are_refused(void **state) {
  (void)state;
  for (unsigned field = 10; field <= 11; field++) {
    unsigned most = field == 10 ? HTEL_ANCHORS_MAX : HTEL_LOSSES_MAX;
    size_t size = 0;
    bytes[size++] = 0x10;
    bytes[size++] = 1;
    for (unsigned i = 0; i < most; i++) {
      bytes[size++] = (uint8_t)(field << 3 | 2);
      bytes[size++] = 0;
    }
    assert_int_equal(htel_frame_decode(&frame, bytes, sealed(size)), 0);
    bytes[size++] = (uint8_t)(field << 3 | 2);
    bytes[size++] = 0;
    assert_int_equal(htel_frame_decode(&frame, bytes, sealed(size)), HTEL_E_TOO_LARGE);
  }
}

static void test_size_limits(void **state) {
  (void)state;
  memset(bytes, 0, sizeof bytes);
  assert_int_equal(htel_frame_decode(&frame, bytes, HTEL_FRAME_BYTES_MAX + 1), HTEL_E_TOO_LARGE);
  assert_int_equal(htel_frame_decode(&frame, bytes, 0), HTEL_E_FORMAT);
  assert_int_equal(htel_frame_decode(&frame, bytes, 4), HTEL_E_FORMAT);
  assert_int_equal(htel_frame_decode(&frame, bytes, 5), HTEL_E_FORMAT);
}

static void test_status(void **state) {
  (void)state;
  assert_int_equal(status_encode(true, 300, bytes, 32), 5);
  assert_memory_equal(bytes, "\x08\x01\x10\xAC\x02", 5);
  assert_int_equal(status_encode(false, UINT64_MAX, bytes, 32), 11);
  assert_int_equal(status_encode(true, 300, bytes, 4), HTEL_E_TOO_LARGE);
}

/* The check value of CRC-32 as its catalogues give it, and that it can be taken in pieces. */
static void test_crc32(void **state) {
  (void)state;
  assert_int_equal(htel_crc32(0, "123456789", 9), 0xCBF43926u);
  assert_int_equal(htel_crc32(htel_crc32(0, "1234", 4), "56789", 5), 0xCBF43926u);
  assert_int_equal(htel_crc32(0, NULL, 0), 0);
}

static void test_errors_have_names_and_words(void **state) {
  (void)state;
#define ROW(name, number, text)                     \
  assert_int_equal(name, number);                   \
  assert_string_equal(htel_errname(number), #name); \
  assert_string_equal(htel_strerror(number), text);
  HTEL_ERRORS(ROW)
#undef ROW
  assert_string_equal(htel_errname(0), "HTEL_OK");
  assert_string_equal(htel_errname(-12345), "HTEL_E_UNKNOWN");
  assert_non_null(htel_strerror(-12345));
  assert_non_null(htel_strerror(1));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_largest_fields_fit_the_stated_sizes),
      cmocka_unit_test(test_all_fields_come_back),
      cmocka_unit_test(test_the_frames_own_boot_is_not_repeated),
      cmocka_unit_test(test_data_may_lie_in_the_output),
      cmocka_unit_test(test_smallest_frame),
      cmocka_unit_test(test_every_flipped_bit_is_noticed),
      cmocka_unit_test(test_every_truncation_is_noticed),
      cmocka_unit_test(test_unknown_fields_are_stepped_over),
      cmocka_unit_test(test_encrypted_frames_are_not_misread),
      cmocka_unit_test(test_unknown_coding_is_unsupported),
      cmocka_unit_test(test_senseless_frames_are_refused),
      cmocka_unit_test(test_unknown_causes_of_loss_are_handed_on),
      cmocka_unit_test(test_too_many_anchors_and_losses_are_refused),
      cmocka_unit_test(test_size_limits),
      cmocka_unit_test(test_status),
      cmocka_unit_test(test_crc32),
      cmocka_unit_test(test_errors_have_names_and_words),
  };
  return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
