/* SPDX-License-Identifier: Apache-2.0 */
#include "model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void model_init(model *m) {
  *m = (model){.state_count = 1};
}

void model_free(model *m) {
  free(m->frames);
  *m = (model){0};
}

static void make_room(model *m, size_t room) {
  if (room <= m->room) return;
  m->room = room < 64 ? 64 : room * 2;
  m->frames = realloc(m->frames, m->room * sizeof *m->frames);
  if (m->frames == NULL) abort();
}

void model_copy(model *to, const model *from) {
  make_room(to, from->count);
  model_frame *frames = to->frames;
  size_t room = to->room;
  *to = *from;
  to->frames = frames;
  to->room = room;
  if (from->count > 0) memcpy(frames, from->frames, from->count * sizeof *frames);
}

void model_fail(model *m, model_fault fault, const char *format, ...) {
  if (m->fault != MODEL_GOOD || (m->ruin && fault != MODEL_ALTERED)) return;
  m->fault = fault;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(m->what, sizeof m->what, format, arguments);
  va_end(arguments);
}

/* ---- What the device does ------------------------------------------------------------ */

model_frame *model_append(model *m, const model_frame *frame) {
  make_room(m, m->count + 1);
  m->frames[m->count] = *frame;
  m->frames[m->count].unsynced = true;
  return &m->frames[m->count++];
}

static int before(const model_frame *f, uint64_t boot, uint32_t sequence) {
  if (f->boot != boot) return f->boot < boot;
  return f->sequence < sequence;
}

model_frame *model_find(model *m, uint64_t boot, uint32_t sequence) {
  size_t low = 0, high = m->count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (before(&m->frames[middle], boot, sequence))
      low = middle + 1;
    else
      high = middle;
  }
  if (low == m->count) return NULL;
  model_frame *f = &m->frames[low];
  return f->boot == boot && f->sequence == sequence ? f : NULL;
}

void model_remove(model *m, uint64_t boot, uint32_t sequence) {
  model_frame *f = model_find(m, boot, sequence);
  if (f == NULL) return;
  size_t at = (size_t)(f - m->frames);
  m->count--;
  memmove(f, f + 1, (m->count - at) * sizeof *f);
}

void model_persisted(model *m, uint32_t sequence) {
  for (size_t i = m->count; i > 0; i--) {
    model_frame *f = &m->frames[i - 1];
    if (f->boot != m->states[0].boot) return;
    if (f->sequence > sequence) continue;
    if (!f->unsynced) return;
    f->unsynced = false;
  }
}

/* Takes out the frames of which `gone` is true. */
static void sweep(model *m, bool (*gone)(const model_frame *f, uint32_t ledger), uint32_t ledger) {
  size_t kept = 0;
  for (size_t i = 0; i < m->count; i++)
    if (!gone(&m->frames[i], ledger)) m->frames[kept++] = m->frames[i];
  m->count = kept;
}

static bool is_going(const model_frame *f, uint32_t ledger) {
  (void)ledger;
  return f->going;
}

static bool is_evicted(const model_frame *f, uint32_t ledger) {
  return f->evicting_by != 0 && f->evicting_by <= ledger;
}

static bool is_absent(const model_frame *f, uint32_t ledger) {
  (void)ledger;
  return !f->seen;
}

static bool same_state(const model_state *a, const model_state *b) {
  return a->ledger == b->ledger && a->told == b->told && a->boot == b->boot &&
         a->clean == b->clean && a->risk == b->risk && a->unclean_first == b->unclean_first &&
         a->unclean_risk == b->unclean_risk;
}

void model_doubt(model *m, const model_state *state) {
  for (unsigned i = 0; i < m->state_count; i++)
    if (same_state(&m->states[i], state)) return;
  if (m->state_count == MODEL_STATES_MAX) abort();
  m->states[m->state_count++] = *state;
}

void model_certain(model *m, const model_state *state) {
  if (state->told >= m->refused) m->refused = 0;
  m->states[0] = *state;
  m->state_count = 1;
  m->either = false;
}

void model_ledger_doubt(model *m, uint32_t ledger, uint32_t told, bool running) {
  unsigned count = m->state_count;
  for (unsigned i = 0; i < count; i++) {
    model_state s = m->states[i];
    s.ledger = ledger;
    if (told > s.told) s.told = told;
    if (running) s.unclean_first = s.unclean_risk = 0;
    model_doubt(m, &s);
  }
}

static bool keep_states(model *m, uint32_t ledger) {
  unsigned kept = 0;
  for (unsigned i = 0; i < m->state_count; i++)
    if (m->states[i].ledger == ledger) m->states[kept++] = m->states[i];
  if (kept > 0) m->state_count = kept;
  return kept > 0;
}

/* The newest state is the last one. */
void model_synced(model *m) {
  uint32_t ledger = m->states[m->state_count - 1].ledger;
  sweep(m, is_going, 0);
  sweep(m, is_evicted, ledger);
  if (m->either) {
    keep_states(m, ledger);
    return;
  }
  m->states[0] = m->states[m->state_count - 1];
  m->state_count = 1;
}

void model_ledger_certain(model *m, uint32_t ledger) {
  keep_states(m, ledger);
  if (m->states[0].told >= m->refused) m->refused = 0;
  sweep(m, is_evicted, ledger);
}

model_state model_next_boot(const model_state *s, uint32_t risk) {
  model_state next = *s;
  next.boot = s->boot + 1;
  next.told = 0;
  next.clean = false;
  next.risk = risk;
  if (!s->clean && s->boot != 0) {
    if (next.unclean_first == 0) next.unclean_first = s->boot;
    next.unclean_risk += s->risk;
  }
  return next;
}

void model_ledger_undone(model *m, uint32_t ledger) {
  unsigned kept = 0;
  for (unsigned i = 0; i < m->state_count; i++)
    if (m->states[i].ledger != ledger) m->states[kept++] = m->states[i];
  m->state_count = kept;
}

/* ---- What is found after a mount ----------------------------------------------------- */

void model_check_begin(model *m, uint32_t ledger) {
  if (!keep_states(m, ledger) && !m->ruin) {
    model_fail(m, MODEL_LEDGER, "ledger %u found, %u expected", ledger, m->states[0].ledger);
    return;
  }
  m->missing = 0;
  for (size_t i = 0; i < m->count; i++) m->frames[i].seen = false;
  memset(m->seen_boot, 0, sizeof m->seen_boot);
  memset(m->seen_sequence, 0, sizeof m->seen_sequence);
}

static bool described_alike(const model_frame *a, const model_frame *b) {
  return a->frame_class == b->frame_class && a->size == b->size && a->readings == b->readings &&
         a->tick_first == b->tick_first && a->tick_last == b->tick_last;
}

model_frame *model_found(model *m, const model_frame *found) {
  unsigned long long boot = found->boot;
  unsigned sequence = found->sequence, c = found->frame_class;
  if (c > 2) {
    model_fail(m, MODEL_ALTERED, "frame %llu.%u of class %u", boot, sequence, c);
    return NULL;
  }
  if (m->seen_boot[c] > found->boot ||
      (m->seen_boot[c] == found->boot && m->seen_sequence[c] >= found->sequence))
    model_fail(m, MODEL_TWICE, "frame %llu.%u of class %u comes after %llu.%u", boot, sequence, c,
               (unsigned long long)m->seen_boot[c], m->seen_sequence[c]);
  m->seen_boot[c] = found->boot;
  m->seen_sequence[c] = found->sequence;
  model_frame *f = model_find(m, found->boot, found->sequence);
  if (f == NULL) {
    model_fail(m, MODEL_TWICE, "frame %llu.%u of class %u was freed, or never appended", boot,
               sequence, c);
    return NULL;
  }
  if (!described_alike(f, found))
    model_fail(m, MODEL_ALTERED, "frame %llu.%u is described otherwise", boot, sequence);
  if (is_evicted(f, m->states[0].ledger))
    model_fail(m, MODEL_TWICE, "frame %llu.%u is there, and evicted by ledger %u", boot, sequence,
               f->evicting_by);
  f->seen = true;
  return f;
}

/* A frame may be missing for a good reason. */
static bool explained(const model *m, const model_frame *f) {
  return f->going || is_evicted(f, m->states[0].ledger);
}

void model_check_end(model *m) {
  uint32_t hole = 0; /* the first frame of the last boot that is not there and not explained */
  uint64_t hole_boot = 0;
  if (m->refused > m->states[0].told) {
    hole = m->refused;
    hole_boot = m->states[0].boot;
  }
  for (size_t i = 0; i < m->count; i++) {
    model_frame *f = &m->frames[i];
    unsigned long long boot = f->boot;
    if (f->seen) {
      if (hole != 0 && f->boot == hole_boot && f->sequence > hole)
        model_fail(m, MODEL_HOLE, "frame %llu.%u is there, %u is not", boot, f->sequence, hole);
      f->unsynced = f->going = f->coming = false;
      f->evicting_by = 0;
    } else if (!explained(m, f)) {
      m->missing++;
      if (!f->unsynced && !m->rot)
        model_fail(m, MODEL_LOST, "frame %llu.%u of class %u is not there", boot, f->sequence,
                   f->frame_class);
      if (hole == 0 || hole_boot != f->boot || f->sequence < hole) {
        hole = f->sequence;
        hole_boot = f->boot;
      }
    }
  }
  sweep(m, is_absent, 0);
}

static bool answers(const model_state *s, uint64_t number, bool unclean, uint64_t unclean_first,
                    uint64_t at_risk) {
  if (s->boot != number || (s->unclean_first != 0) != unclean) return false;
  return !unclean || (s->unclean_first == unclean_first && s->unclean_risk == at_risk);
}

void model_boot(model *m, uint64_t number, bool unclean, uint64_t unclean_first, uint64_t at_risk,
                uint32_t risk) {
  model_state expected = {0};
  for (unsigned i = 0; i < m->state_count; i++) {
    expected = model_next_boot(&m->states[i], risk);
    if (!answers(&expected, number, unclean, unclean_first, at_risk)) continue;
    m->refused = 0;
    model_certain(m, &expected);
    return;
  }
  model_fail(m, MODEL_BOOT,
             "boot %llu (unclean from %llu, risk %llu) began, expected %llu (%llu, %llu)",
             (unsigned long long)number, (unsigned long long)(unclean ? unclean_first : 0),
             (unsigned long long)at_risk, (unsigned long long)expected.boot,
             (unsigned long long)expected.unclean_first, (unsigned long long)expected.unclean_risk);
}
