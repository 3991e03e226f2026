/* SPDX-License-Identifier: Apache-2.0 */
#include "print.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/json.h"

static const char *const class_names[HTEL_CLASS_COUNT] = {"alarms, anchors", "numerics",
                                                          "waveforms"};
static const char *const class_keys[HTEL_CLASS_COUNT] = {"alarm", "numeric", "waveform"};
static const char *const coding_names[] = {"HTEL_CODING_ZLIB", "HTEL_CODING_FAST",
                                           "HTEL_CODING_BEST"};

/* ---- text ------------------------------------------------------------------------------ */

static void line(const char *what, uint32_t bytes) {
  if (bytes > 0) printf("  %-44s %9u\n", what, bytes);
}

static void print_frames(const plan *p) {
  printf("frames                      bytes     a day   waiting after the outage\n");
  for (unsigned c = 0; c < HTEL_CLASS_COUNT; c++) {
    const plan_class *k = &p->classes[c];
    if (k->used)
      printf("  %-22s %8.0f %9.0f %9u\n", class_names[c], k->frame_bytes, k->frames_per_day,
             k->frames_waiting);
  }
}

static void print_config(const plan *p) {
  const htel_config *c = &p->config;
  printf("\nconfiguration\n  .coding = %s,\n", coding_names[c->coding]);
  printf("  .ring_bytes = {%u},\n", c->ring_bytes[0]);
  printf("  .batch = {.age_ms_max = %u, .bytes_max = %u},\n", c->batch.age_ms_max,
         c->batch.bytes_max);
  if (c->outbox.code == NULL)
    printf("  .outbox = {.bytes = %u},\n", c->outbox.bytes);
  else
    printf(
        "  .outbox = {.bytes = %u, .code = &htel_outbox_on_flash, .flash = &flash}, where\n"
        "            flash has %u blocks of %u bytes\n",
        c->outbox.bytes, p->flash.block_count, p->flash.block_bytes);
  printf("  .delivery = {.backoff_max_ms = %u},\n", c->delivery.backoff_max_ms);
}

static void print_ram(const plan *p, const wish *w) {
  const plan_memory *m = &p->there;
  printf("\nRAM on %s, bytes\n", w->target->title);
  line("ring", m->ring);
  line("columns: readings that wait to be coded", m->columns);
  line("frames being put together", m->frames);
  line("outbox", m->outbox);
  line("coder's memory", m->coding);
  line("state", m->state);
  printf("  %-44s %9u   (on this machine %u)\n", "htel_memory_needed", m->all, p->here.all);
  line("link: ports/mqtt and its buffer", p->link_ram);
  line("TLS: ports/mbedtls", p->tls_ram);
  line("TLS: mbedTLS's heap in a handshake, about", p->tls_heap);
  line("stack of who calls htel_poll, about", p->stack);
  line("all", p->ram_all);
}

static void print_flash(const plan *p, const wish *w) {
  bool measured = p->core_flash > 0;
  if (!measured && p->log_bytes == 0) return;
  printf("\nflash on %s, bytes\n", w->target->title);
  line("core with nanopb", p->core_flash);
  line("frames on flash: code", p->flash_outbox_flash);
  line("coding", p->coding_flash);
  line("link: ports/mqtt", p->link_flash);
  line("TLS: ports/mbedtls and mbedTLS", p->tls_flash);
  line("texts of errors and configuration faults", p->texts_flash);
  line("compiler and C library", p->runtime_flash);
  line("frames on flash: the log", p->log_bytes);
  if (measured) line("all", p->flash_all);
}

static void print_fit(const char *what, uint32_t needed, uint32_t other, uint32_t there,
                      bool fits) {
  if (there == 0) return;
  uint64_t sum = (uint64_t)needed + other;
  printf("%s: %llu of %u bytes, %s\n", what, (unsigned long long)sum, there,
         fits ? "fits" : "DOES NOT FIT");
}

void print_plan(const plan *p, const options *o) {
  const wish *w = &o->wish;
  print_frames(p);
  print_config(p);
  print_ram(p, w);
  print_flash(p, w);
  printf("\na day: %.0f readings, %.0f bytes in frames, about %.0f on the wire\n", p->readings_day,
         p->payload_day, p->wire_day);
  if (p->tried)
    printf(
        "tried: an outage of %u s in these recordings: %llu readings lost, outbox used up to "
        "%u of %u bytes\n",
        w->outage_s, (unsigned long long)p->tried_lost, p->tried_used, p->config.outbox.bytes);
  if (o->part != NULL)
    printf("%s: %u KB RAM, %u KB flash (%s)\n", o->part->name, o->part->ram_kb, o->part->flash_kb,
           o->part->source);
  print_fit("RAM", p->ram_all, w->other_ram, w->ram_bytes, p->fits_ram);
  print_fit("flash", p->flash_all, w->other_flash, w->flash_bytes, p->fits_flash);
}

void print_list(void) {
  printf("signals: bytes a reading in frames of 10 s, FAST / BEST (docs/SIZES.md)\n");
  const signal *s;
  for (unsigned i = 0; (s = signal_at(i)) != NULL; i++)
    printf("  %-12s %-8s %.3f / %.3f  %s\n", s->name, s->waveform ? "wave" : "numeric",
           s->bytes_short[HTEL_CODING_FAST], s->bytes_short[HTEL_CODING_BEST], s->what);
  printf("parts: RAM, flash in KB\n");
  const part *q;
  for (unsigned i = 0; (q = part_at(i)) != NULL; i++)
    printf("  %-12s %-5s %4u %5u  %s\n", q->name, q->target, q->ram_kb, q->flash_kb, q->source);
  printf("targets\n");
  const target *t;
  for (unsigned i = 0; (t = target_at(i)) != NULL; i++)
    printf("  %-5s %s%s\n", t->name, t->title, t->flash.core == 0 ? ": flash is not known" : "");
}

/* ---- JSON ------------------------------------------------------------------------------ */

typedef struct member {
  const char *name;
  uint64_t value;
} member;

static bool add_all(cJSON *to, const char *name, const member *members, size_t count) {
  cJSON *object = cJSON_AddObjectToObject(to, name);
  bool ok = object != NULL;
  for (size_t i = 0; ok && i < count; i++)
    ok = json_add_uint(object, members[i].name, members[i].value);
  return ok;
}

#define ADD_ALL(to, name, members) add_all(to, name, members, sizeof members / sizeof *members)

static bool json_frames(cJSON *root, const plan *p) {
  cJSON *frames = cJSON_AddObjectToObject(root, "frames");
  bool ok = frames != NULL;
  for (unsigned c = 0; ok && c < HTEL_CLASS_COUNT; c++) {
    const plan_class *k = &p->classes[c];
    const member members[] = {{"bytes", (uint64_t)(k->frame_bytes + .5)},
                              {"bytes_max", k->frame_bytes_max},
                              {"a_day", (uint64_t)(k->frames_per_day + .5)},
                              {"waiting", k->frames_waiting}};
    if (k->used) ok = ADD_ALL(frames, class_keys[c], members);
  }
  return ok;
}

static bool json_memory(cJSON *root, const plan *p) {
  const plan_memory *m = &p->there;
  const member config[] = {{"ring_bytes", p->config.ring_bytes[0]},
                           {"age_ms_max", p->config.batch.age_ms_max},
                           {"bytes_max", p->config.batch.bytes_max},
                           {"outbox_bytes", p->config.outbox.bytes},
                           {"flash_blocks", p->flash.block_count},
                           {"flash_block_bytes", p->flash.block_bytes},
                           {"backoff_max_ms", p->config.delivery.backoff_max_ms}};
  const member ram[] = {{"ring", m->ring},         {"columns", m->columns},
                        {"frames", m->frames},     {"outbox", m->outbox},
                        {"coding", m->coding},     {"state", m->state},
                        {"memory_needed", m->all}, {"memory_needed_here", p->here.all},
                        {"link", p->link_ram},     {"tls", p->tls_ram},
                        {"tls_heap", p->tls_heap}, {"stack", p->stack},
                        {"all", p->ram_all}};
  const member flash[] = {{"core", p->core_flash},       {"outbox_code", p->flash_outbox_flash},
                          {"coding", p->coding_flash},   {"link", p->link_flash},
                          {"tls", p->tls_flash},         {"texts", p->texts_flash},
                          {"runtime", p->runtime_flash}, {"outbox_log", p->log_bytes},
                          {"all", p->flash_all}};
  return ADD_ALL(root, "config", config) && ADD_ALL(root, "ram", ram) &&
         ADD_ALL(root, "flash", flash);
}

static bool json_rest(cJSON *root, const plan *p, const options *o) {
  const wish *w = &o->wish;
  const member day[] = {{"readings", (uint64_t)(p->readings_day + .5)},
                        {"payload", (uint64_t)(p->payload_day + .5)},
                        {"wire", (uint64_t)(p->wire_day + .5)}};
  const member tried[] = {
      {"outage_s", w->outage_s}, {"lost", p->tried_lost}, {"outbox_used", p->tried_used}};
  const member fit[] = {{"ram_bytes", w->ram_bytes}, {"flash_bytes", w->flash_bytes}};
  bool ok = ADD_ALL(root, "day", day);
  if (p->tried) ok = ok && ADD_ALL(root, "tried", tried);
  if (w->ram_bytes > 0 || w->flash_bytes > 0) {
    ok = ok && ADD_ALL(root, "part", fit);
    ok = ok && cJSON_AddBoolToObject(root, "fits", p->fits_ram && p->fits_flash) != NULL;
  }
  return ok && cJSON_AddStringToObject(root, "target", w->target->name) != NULL;
}

int print_json(const plan *p, const options *o) {
  cJSON *root = cJSON_CreateObject();
  bool ok = root != NULL && json_frames(root, p) && json_memory(root, p) && json_rest(root, p, o);
  char *text = ok ? cJSON_Print(root) : NULL;
  if (text != NULL) puts(text);
  free(text);
  cJSON_Delete(root);
  return text != NULL ? 0 : -1;
}
