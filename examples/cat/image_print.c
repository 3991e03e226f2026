/* SPDX-License-Identifier: Apache-2.0 */
#include "image_print.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/json.h"

#define DAMAGES_PRINTED 50u /* in words; JSON has all */

static const char *const class_names[HTEL_CLASS_COUNT] = {[HTEL_CLASS_ALARM] = "alarm",
                                                          [HTEL_CLASS_NUMERIC] = "numeric",
                                                          [HTEL_CLASS_WAVEFORM] = "waveform"};

static const char *cause_name(uint8_t cause) {
  switch ((htel_cause)cause) {
    case HTEL_CAUSE_RING_FULL: return "ring full";
    case HTEL_CAUSE_OUTBOX_FULL: return "outbox full";
    case HTEL_CAUSE_UNCLEAN_STOP: return "unclean stop";
    default: return "another cause";
  }
}

/* Of one class, or of one boot. */
typedef struct tally {
  uint64_t waiting, waiting_bytes, waiting_readings, done, damaged;
} tally;

static void tally_add(tally *t, const image_frame *f) {
  t->damaged += f->damaged;
  t->waiting += f->waiting && !f->damaged;
  t->waiting_bytes += f->waiting && !f->damaged ? f->size : 0;
  t->waiting_readings += f->waiting && !f->damaged ? f->readings : 0;
  t->done += !f->waiting && !f->damaged;
}

static tally tally_of(const image *im, uint8_t frame_class) {
  tally t = {0};
  for (size_t i = 0; i < im->frame_count; i++)
    if (im->frames[i].frame_class == frame_class) tally_add(&t, &im->frames[i]);
  return t;
}

/* ---- Words ----------------------------------------------------------------------------------- */

static void print_boot(const image *im) {
  const store *s = &im->store;
  printf("boot %" PRIu64 "%s", s->boot, s->ended ? ", ended cleanly" : "");
  if (s->boot > 0 && !s->ended)
    printf(", not ended; since boot %" PRIu64 " at most %" PRIu64 " readings lost from memory",
           s->told_before, s->risk_before + s->at_risk);
  putchar('\n');
}

static void print_losses(const image *im) {
  for (unsigned i = 0; i < LOSS_ENTRIES; i++) {
    const htel_loss *l = &im->losses.entries[i].loss;
    if (l->cause == HTEL_CAUSE_UNSPECIFIED) continue;
    printf("loss still to be reported: %s, boot %" PRIu64, cause_name(l->cause), l->boot);
    if (l->boot_last > l->boot) printf(" to %" PRIu64, l->boot_last);
    if (l->cause == HTEL_CAUSE_OUTBOX_FULL && l->frame_class < HTEL_CLASS_COUNT)
      printf(", %s, sequence %" PRIu32 " to %" PRIu32, class_names[l->frame_class],
             l->sequence_first, l->sequence_last);
    if (l->cause == HTEL_CAUSE_RING_FULL) printf(", channel %u", (unsigned)l->channel);
    printf(", %s%" PRIu64 " readings\n", l->at_most ? "at most " : "", l->readings);
  }
}

static void print_damages(const image *im) {
  for (size_t i = 0; i < im->damage_count && i < DAMAGES_PRINTED; i++) {
    const image_damage *d = &im->damages[i];
    bool counted = d->kind == IMAGE_REPAIRED || d->kind == IMAGE_RECEIPT;
    printf("block %u, byte %" PRIu32 " (address 0x%08" PRIx32 "), %" PRIu32 "%s: %s\n",
           (unsigned)d->block, d->offset, d->block * im->flash.block_bytes + d->offset, d->bytes,
           counted ? "" : " bytes", image_damage_words(d->kind));
  }
  if (im->damage_count > DAMAGES_PRINTED)
    printf("... and %zu more (--json has all)\n", im->damage_count - DAMAGES_PRINTED);
}

static void print_mounted(const image *im) {
  image_blocks b;
  image_blocks_get(im, &b);
  print_boot(im);
  printf("blocks: %u in use, %u done, %u free, %u bad\n", (unsigned)b.used, (unsigned)b.done,
         (unsigned)b.free, (unsigned)b.bad);
  printf("erases of a block: least %u, mean %.1f, most %u\n", (unsigned)b.erases_min, b.erases_mean,
         (unsigned)b.erases_max);
}

void image_print_words(const image *im) {
  if (im->erased) {
    printf("%s: %" PRIu32 " bytes, erased throughout\n", im->name, im->file_size);
    return;
  }
  printf("%s: %" PRIu32 " bytes, %u blocks of %u, programmed by %u\n", im->name, im->file_size,
         (unsigned)im->flash.block_count, (unsigned)im->flash.block_bytes,
         (unsigned)im->flash.program_bytes);
  if (im->mounted == 0)
    print_mounted(im);
  else
    printf("a device would refuse this image (%s): below is what can be read all the same\n",
           htel_errname(im->mounted));
  for (uint8_t c = 0; c < HTEL_CLASS_COUNT; c++) {
    tally t = tally_of(im, c);
    printf("%-8s  %" PRIu64 " frames wait (%" PRIu64 " bytes, %" PRIu64 " readings), %" PRIu64
           " done and still there, %" PRIu64 " damaged\n",
           class_names[c], t.waiting, t.waiting_bytes, t.waiting_readings, t.done, t.damaged);
  }
  printf("receipts: %" PRIu32 " ranges\n", im->receipts);
  print_losses(im);
  print_damages(im);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void add_mounted(cJSON *o, const image *im) {
  image_blocks b;
  const store *s = &im->store;
  image_blocks_get(im, &b);
  json_add_uint(o, "boot", s->boot);
  cJSON_AddBoolToObject(o, "ended", s->ended);
  json_add_uint(o, "unclean_first", s->ended ? 0 : s->told_before);
  json_add_uint(o, "at_risk", s->ended ? 0 : s->risk_before + s->at_risk);
  cJSON *blocks = cJSON_AddObjectToObject(o, "blocks");
  json_add_uint(blocks, "used", b.used);
  json_add_uint(blocks, "done", b.done);
  json_add_uint(blocks, "free", b.free);
  json_add_uint(blocks, "bad", b.bad);
  cJSON *erases = cJSON_AddObjectToObject(o, "erases");
  json_add_uint(erases, "min", b.erases_min);
  cJSON_AddNumberToObject(erases, "mean", b.erases_mean);
  json_add_uint(erases, "max", b.erases_max);
}

static void add_classes(cJSON *o, const image *im) {
  cJSON *classes = cJSON_AddObjectToObject(o, "classes");
  for (uint8_t c = 0; c < HTEL_CLASS_COUNT; c++) {
    tally t = tally_of(im, c);
    cJSON *item = cJSON_AddObjectToObject(classes, class_names[c]);
    json_add_uint(item, "waiting", t.waiting);
    json_add_uint(item, "waiting_bytes", t.waiting_bytes);
    json_add_uint(item, "waiting_readings", t.waiting_readings);
    json_add_uint(item, "done", t.done);
    json_add_uint(item, "damaged", t.damaged);
  }
}

static void add_frames(cJSON *o, const image *im) {
  cJSON *list = cJSON_AddArrayToObject(o, "frames");
  for (size_t i = 0; i < im->frame_count; i++) {
    const image_frame *f = &im->frames[i];
    cJSON *item = cJSON_CreateObject();
    json_add_uint(item, "boot", f->boot);
    json_add_uint(item, "sequence", f->sequence);
    cJSON_AddStringToObject(item, "class",
                            f->frame_class < HTEL_CLASS_COUNT ? class_names[f->frame_class] : "?");
    cJSON_AddStringToObject(item, "state",
                            f->damaged   ? "damaged"
                            : f->waiting ? "waiting"
                                         : "done");
    json_add_uint(item, "tick_first", f->tick_first);
    json_add_uint(item, "tick_last", f->tick_last);
    json_add_uint(item, "readings", f->readings);
    json_add_uint(item, "size", f->size);
    json_add_uint(item, "address", f->address);
    cJSON_AddItemToArray(list, item);
  }
}

static void add_losses(cJSON *o, const image *im) {
  cJSON *list = cJSON_AddArrayToObject(o, "losses");
  for (unsigned i = 0; i < LOSS_ENTRIES; i++) {
    const htel_loss *l = &im->losses.entries[i].loss;
    if (l->cause == HTEL_CAUSE_UNSPECIFIED) continue;
    cJSON *item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "cause", cause_name(l->cause));
    json_add_uint(item, "boot", l->boot);
    json_add_uint(item, "boot_last", l->boot_last);
    json_add_uint(item, "sequence_first", l->sequence_first);
    json_add_uint(item, "sequence_last", l->sequence_last);
    json_add_uint(item, "readings", l->readings);
    cJSON_AddBoolToObject(item, "at_most", l->at_most);
    cJSON_AddItemToArray(list, item);
  }
}

static void add_damages(cJSON *o, const image *im) {
  cJSON *list = cJSON_AddArrayToObject(o, "damage");
  for (size_t i = 0; i < im->damage_count; i++) {
    const image_damage *d = &im->damages[i];
    cJSON *item = cJSON_CreateObject();
    json_add_uint(item, "block", d->block);
    json_add_uint(item, "offset", d->offset);
    json_add_uint(item, "bytes", d->bytes);
    cJSON_AddStringToObject(item, "what", image_damage_words(d->kind));
    cJSON_AddBoolToObject(item, "harmless", !image_damage_counts(d->kind));
    cJSON_AddItemToArray(list, item);
  }
}

bool image_print_json(const image *im) {
  cJSON *o = cJSON_CreateObject();
  json_add_uint(o, "bytes", im->file_size);
  cJSON_AddBoolToObject(o, "erased", im->erased);
  if (!im->erased) {
    json_add_uint(o, "block_bytes", im->flash.block_bytes);
    json_add_uint(o, "block_count", im->flash.block_count);
    json_add_uint(o, "program_bytes", im->flash.program_bytes);
    cJSON_AddStringToObject(o, "mount", htel_errname(im->mounted));
  }
  if (im->mounted == 0) add_mounted(o, im);
  add_classes(o, im);
  json_add_uint(o, "receipts", im->receipts);
  add_losses(o, im);
  add_frames(o, im);
  add_damages(o, im);
  char *text = cJSON_PrintUnformatted(o);
  if (text != NULL) puts(text);
  bool ok = text != NULL;
  cJSON_free(text);
  cJSON_Delete(o);
  return ok;
}
