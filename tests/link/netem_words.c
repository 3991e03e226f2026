/* SPDX-License-Identifier: Apache-2.0 */
#include "netem_words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 40u
#define WORD_BYTES_MAX 24u

typedef struct words {
  char text[WORDS_MAX][WORD_BYTES_MAX];
  unsigned count, at;
} words;

/* ---- Numbers --------------------------------------------------------------------------- */

typedef struct unit {
  const char *name;
  double factor;
} unit;

static const unit time_units[] = {{"us", 1}, {"ms", 1e3}, {"s", 1e6}, {NULL, 0}};
static const unit share_units[] = {{"%", 1e4}, {NULL, 0}};
static const unit rate_units[] = {{"bit", 1}, {"kbit", 1e3}, {"mbit", 1e6}, {NULL, 0}};
static const unit count_units[] = {{"", 1}, {NULL, 0}};

typedef struct quantity {
  const char *what;
  const unit *units;
  uint64_t min, max;
} quantity;

static const quantity time_span = {"a time such as 200ms", time_units, 0, NETEM_TIME_US_MAX};
static const quantity share = {"a share such as 5%", share_units, 0, 1000000};
static const quantity rate = {"a rate such as 20kbit", rate_units, 8, UINT64_C(10000000000)};
static const quantity packets = {"a number of 1 to 1000", count_units, 1, NETEM_LIMIT_MAX};

static bool quantity_parse(const quantity *q, const char *text, uint64_t *value) {
  if (*text < '0' || *text > '9') return false;
  char *end;
  double number = strtod(text, &end);
  for (const unit *u = q->units; u->name; u++) {
    if (strcmp(end, u->name) != 0) continue;
    double scaled = number * u->factor + 0.5;
    if (!(scaled < (double)q->max + 1)) return false;
    *value = (uint64_t)scaled;
    return *value >= q->min;
  }
  return false;
}

/* ---- Words ----------------------------------------------------------------------------- */

#define NONE SIZE_MAX

typedef struct word {
  const char *name;
  const quantity *quantity;
  size_t first, second; /* where in netem_settings its values go */
  bool second_needed;
} word;

#define AT(field) offsetof(netem_settings, field)
static const word table[] = {
    {"delay", &time_span, AT(delay_us), AT(jitter_us), false},
    {"loss", &share, AT(loss_ppm), NONE, false},
    {"duplicate", &share, AT(duplicate_ppm), NONE, false},
    {"reorder", &share, AT(reorder_ppm), NONE, false},
    {"corrupt", &share, AT(corrupt_ppm), NONE, false},
    {"rate", &rate, AT(rate_bit_s), NONE, false},
    {"limit", &packets, AT(limit), NONE, false},
    {"flap", &time_span, AT(flap_up_us), AT(flap_down_us), true},
};

static bool words_split(words *w, const char *text) {
  w->count = w->at = 0;
  for (;;) {
    text += strspn(text, " \n");
    size_t size = strcspn(text, " \n");
    if (size == 0) return true;
    if (w->count == WORDS_MAX || size >= WORD_BYTES_MAX) return false;
    memcpy(w->text[w->count], text, size);
    w->text[w->count++][size] = '\0';
    text += size;
  }
}

static const char *word_peek(const words *w) {
  return w->at < w->count ? w->text[w->at] : "";
}

static bool word_taken(words *w, const char *name) {
  if (strcmp(word_peek(w), name) != 0) return false;
  w->at++;
  return true;
}

static bool value_taken(words *w, const quantity *q, netem_settings *settings, size_t offset) {
  uint64_t value;
  if (!quantity_parse(q, word_peek(w), &value)) return false;
  memcpy((char *)settings + offset, &value, sizeof value);
  w->at++;
  return true;
}

static const word *word_find(const char *name) {
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
    if (strcmp(table[i].name, name) == 0) return &table[i];
  return NULL;
}

/* NULL, or what is wrong. */
static const char *settings_check(const netem_settings *s) {
  if (s->jitter_us > s->delay_us) return "the jitter is more than the delay";
  if (s->reorder_ppm && !s->delay_us) return "reorder needs a delay that others have";
  if (!s->flap_up_us != !s->flap_down_us) return "flap needs two times above 0";
  return NULL;
}

bool netem_step_parse(netem_step *step, const char *text, char *error, size_t error_size) {
  words w;
  *step = (netem_step){.directions = NETEM_BOTH, .settings = {.limit = NETEM_LIMIT_MAX}};
  if (!words_split(&w, text)) {
    snprintf(error, error_size, "too many words, or too long ones");
    return false;
  }
  if (word_taken(&w, "at") && !quantity_parse(&time_span, word_peek(&w), &step->at_us)) {
    snprintf(error, error_size, "'at %s': %s is wanted", word_peek(&w), time_span.what);
    return false;
  }
  if (w.at > 0) w.at++;
  if (word_taken(&w, "up"))
    step->directions = NETEM_UP;
  else if (word_taken(&w, "down"))
    step->directions = NETEM_DOWN;
  else
    word_taken(&w, "both");
  while (w.at < w.count) {
    const word *found = word_find(word_peek(&w));
    if (!found) {
      snprintf(error, error_size, "'%s' is no word of netem", word_peek(&w));
      return false;
    }
    w.at++;
    if (!value_taken(&w, found->quantity, &step->settings, found->first) ||
        (found->second != NONE &&
         !value_taken(&w, found->quantity, &step->settings, found->second) &&
         found->second_needed)) {
      snprintf(error, error_size, "'%s %s': %s is wanted", found->name, word_peek(&w),
               found->quantity->what);
      return false;
    }
  }
  const char *wrong = settings_check(&step->settings);
  if (wrong) snprintf(error, error_size, "%s", wrong);
  return !wrong;
}
