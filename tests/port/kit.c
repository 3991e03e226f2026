/* SPDX-License-Identifier: Apache-2.0 */
/* kit.c - runs the checks in order and tells what they said. See kit.h. */
#include <stdarg.h>
#include <string.h>

#include "kit_internal.h"

/* ---- Words without stdio ------------------------------------------------------------------- */

typedef struct text {
  char *at;
  size_t room; /* without the last zero */
} text;

static void text_add(text *t, const char *chars, size_t count) {
  if (count > t->room) count = t->room;
  memcpy(t->at, chars, count);
  t->at += count;
  t->room -= count;
  *t->at = '\0';
}

static void text_add_number(text *t, unsigned number, unsigned base) {
  char digits[12];
  size_t at = sizeof digits;
  do {
    digits[--at] = "0123456789abcdef"[number % base];
    number /= base;
  } while (number != 0);
  text_add(t, digits + at, sizeof digits - at);
}

static void text_add_int(text *t, int number) {
  if (number < 0) text_add(t, "-", 1);
  text_add_number(t, number < 0 ? 0u - (unsigned)number : (unsigned)number, 10);
}

static void text_add_words(text *t, const char *words, va_list values) {
  for (; *words != '\0'; words++) {
    if (*words != '%') {
      text_add(t, words, 1);
      continue;
    }
    switch (*++words) {
      case 's': {
        const char *s = va_arg(values, const char *);
        text_add(t, s, strlen(s));
        break;
      }
      case 'u': text_add_number(t, va_arg(values, unsigned), 10); break;
      case 'x': text_add_number(t, va_arg(values, unsigned), 16); break;
      case 'd': text_add_int(t, va_arg(values, int)); break;
      default: text_add(t, words, 1); break; /* %% */
    }
  }
}

static text text_of(kit *k, size_t used) {
  return (text){k->words + used, sizeof k->words - 1 - used};
}

void kit_fail(kit *k, const char *words, ...) {
  if (k->outcome == KIT_FAILED) return;
  k->outcome = KIT_FAILED;
  text t = text_of(k, 0);
  va_list values;
  va_start(values, words);
  text_add_words(&t, words, values);
  va_end(values);
}

void kit_skip(kit *k, const char *words, ...) {
  if (k->outcome != KIT_PASSED) return;
  k->outcome = KIT_SKIPPED;
  text t = text_of(k, 0);
  va_list values;
  va_start(values, words);
  text_add_words(&t, words, values);
  va_end(values);
}

void kit_say(kit *k, const char *words, ...) {
  if (k->outcome != KIT_PASSED) return;
  text t = text_of(k, strlen(k->words));
  va_list values;
  va_start(values, words);
  text_add_words(&t, words, values);
  va_end(values);
}

bool kit_failed(const kit *k) {
  return k->outcome == KIT_FAILED;
}

bool kit_returned(kit *k, const char *function, int rc) {
  if (rc == 0) return true;
  if (rc == HTEL_E_PORT) {
    kit_fail(k, "%s is not filled in yet: it returns HTEL_E_PORT as the template does", function);
  } else if (rc > 0) {
    kit_fail(k,
             "%s returned %d: only 0 and negative HTEL_E_* are allowed (was a vendor's status "
             "passed on?)",
             function, rc);
  } else {
    /* Its name: htel_strerror() speaks of the library, where this is the port's. */
    kit_fail(k, "%s returned %d, %s", function, rc, htel_errname(rc));
  }
  return false;
}

/* ---- Time ---------------------------------------------------------------------------------- */

uint32_t kit_ms(const kit *k) {
  return k->port->tick_ms(k->port->ctx);
}

void kit_wait(kit *k, uint32_t ms) {
  if (k->config->wait != NULL) {
    k->config->wait(k->config->ctx, ms);
    return;
  }
  uint32_t from_ms = kit_ms(k);
  for (uint32_t spins = 0; spins < KIT_SPINS_MAX && kit_ms(k) - from_ms < ms; spins++) continue;
}

void kit_pause(kit *k, uint32_t ms) {
  uint32_t from_ms = kit_ms(k), past_ms = k->clock_works ? 0 : ms;
  for (uint32_t turns = 0; turns < 10u * ms + 100u && past_ms < ms; turns++) {
    uint32_t before_ms = kit_ms(k);
    kit_wait(k, ms - past_ms);
    for (uint32_t spins = 0; spins < KIT_SPINS_MAX && kit_ms(k) == before_ms; spins++) continue;
    past_ms = kit_ms(k) - from_ms;
  }
}

bool kit_needs_clock(kit *k) {
  if (!k->clock_works) kit_skip(k, "needs a clock that moves, and forwards only");
  return k->clock_works;
}

static bool clock_works(const kit *k) {
  uint32_t from_ms = kit_ms(k);
  uint32_t spins = 0;
  while (spins < KIT_SPINS_MAX && kit_ms(k) == from_ms) spins++;
  return spins < KIT_SPINS_MAX;
}

/* ---- The stack ----------------------------------------------------------------------------- */

#define STACK_PAINT 0xA5u
#define STACK_SPARED 512u /* below the caller's frame: in use by now */
#define STACK_LEFT_MIN 128u

static bool is_on_stack(const kit_config *c, uintptr_t address) {
  uintptr_t lowest = (uintptr_t)c->stack_lowest;
  return c->stack_lowest != NULL && address >= lowest && address - lowest < c->stack_bytes;
}

static void stack_paint(const kit_config *c) {
  uint8_t here;
  uintptr_t lowest = (uintptr_t)c->stack_lowest, now = (uintptr_t)&here;
  if (!is_on_stack(c, now) || now < lowest + STACK_SPARED) return;
  volatile uint8_t *byte = c->stack_lowest; /* volatile: nobody reads it that C knows of */
  for (uintptr_t left = now - lowest - STACK_SPARED; left > 0; left--) *byte++ = STACK_PAINT;
}

static void check_stack(kit *k) {
  const kit_config *c = k->config;
  if (c->stack_lowest == NULL) {
    kit_skip(k, "no stack was named (stack_lowest)");
    return;
  }
  uint8_t here;
  if (!is_on_stack(c, (uintptr_t)&here)) {
    kit_fail(k, "kit_run() does not run on the stack that stack_lowest and stack_bytes name");
    return;
  }
  const volatile uint8_t *byte = c->stack_lowest;
  size_t left = 0;
  while (left < c->stack_bytes && byte[left] == STACK_PAINT) left++;
  if (left < STACK_LEFT_MIN) {
    kit_fail(k, "only %u bytes of the stack's %u were never used: make it larger", (unsigned)left,
             (unsigned)c->stack_bytes);
  }
  kit_say(k, "%u of %u bytes were used at most, by the port, the core and the kit",
          (unsigned)(c->stack_bytes - left), (unsigned)c->stack_bytes);
}

static const kit_check stack_checks[] = {{"stack.left", "What it costs", check_stack},
                                         {NULL, NULL, NULL}};

/* ---- All together -------------------------------------------------------------------------- */

/* The name before the check is run: one that waits for ever is the last to be named. */
static void tell_name(const kit *k, const char *name) {
  static const char blanks[] = "                 ";
  size_t chars = strlen(name);
  k->config->print(k->config->ctx, name);
  k->config->print(k->config->ctx, chars < sizeof blanks - 1 ? blanks + chars : " ");
}

static void tell(const kit *k, const kit_result *result) {
  static const char *const outcomes[] = {"pass", "FAIL", "skip"};
  const kit_config *c = k->config;
  c->print(c->ctx, outcomes[result->outcome]);
  if (result->words[0] != '\0') {
    c->print(c->ctx, "  ");
    c->print(c->ctx, result->words);
  }
  if (result->outcome == KIT_FAILED) {
    bool asks = result->words[strlen(result->words) - 1u] == '?';
    c->print(c->ctx, asks ? " Read docs/PORTING.md, \"" : ". Read docs/PORTING.md, \"");
    c->print(c->ctx, result->section);
    c->print(c->ctx, "\"");
  }
  c->print(c->ctx, "\n");
  if (c->report != NULL) c->report(c->ctx, result);
}

static void check_run(kit *k, const kit_check *check, kit_totals *totals) {
  const char *only = k->config->only;
  if (only != NULL && strncmp(check->name, only, strlen(only)) != 0) return;
  k->outcome = KIT_PASSED;
  k->words[0] = '\0';
  tell_name(k, check->name);
  check->run(k);
  if (k->outcome == KIT_FAILED && strncmp(check->name, "flash.", 6) == 0) k->flash_failed = true;
  tell(k, &(kit_result){check->name, check->section, k->outcome, k->words});
  totals->passed += k->outcome == KIT_PASSED;
  totals->failed += k->outcome == KIT_FAILED;
  totals->skipped += k->outcome == KIT_SKIPPED;
}

static void tell_totals(const kit *k, const kit_totals *totals) {
  char line[80];
  text t = {line, sizeof line - 1};
  text_add(&t, "port: ", 6);
  text_add_number(&t, totals->passed, 10);
  text_add(&t, " passed, ", 9);
  text_add_number(&t, totals->failed, 10);
  text_add(&t, " failed, ", 9);
  text_add_number(&t, totals->skipped, 10);
  text_add(&t, " skipped\n", 9);
  k->config->print(k->config->ctx, line);
}

/* What is wrong with the configuration itself, or NULL. */
static const char *config_fault(const kit_config *c) {
  if (c->port == NULL) return "kit: config.port is NULL\n";
  if (c->port->tick_ms == NULL || c->port->random == NULL)
    return "kit: the port has no tick_ms or no random: both must be there\n";
  if (c->memory == NULL || (uintptr_t)c->memory % sizeof(void *) != 0 ||
      c->memory_size < KIT_SCRATCH_BYTES)
    return "kit: config.memory must be aligned and have KIT_MEMORY_BYTES\n";
  return NULL;
}

int kit_run(const kit_config *config, kit_totals *totals) {
  static const kit_check *const groups[] = {kit_clock_checks, kit_random_checks, kit_boot_checks,
                                            kit_flash_checks, kit_net_checks,    kit_client_checks,
                                            stack_checks};
  kit_totals own;
  if (config->print == NULL) return HTEL_E_ARGUMENT;
  const char *fault = config_fault(config);
  if (fault != NULL) {
    config->print(config->ctx, fault);
    return HTEL_E_ARGUMENT;
  }
  if (totals == NULL) totals = &own;
  *totals = (kit_totals){0};
  stack_paint(config);
  kit k = {.config = config,
           .port = config->port,
           .flash = config->flash,
           .net = config->transport,
           .scratch = config->memory};
  k.clock_works = clock_works(&k);
  kit_note_read(&k);
  for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++)
    for (const kit_check *check = groups[g]; check->name != NULL; check++)
      check_run(&k, check, totals);
  kit_note_write(&k);
  tell_totals(&k, totals);
  return (int)totals->failed;
}
