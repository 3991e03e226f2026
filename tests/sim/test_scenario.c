/* SPDX-License-Identifier: Apache-2.0 */
/* Scenario files: what they set, and that each mistake is refused with its place and the way out.
 * Names of faults. Whatever is let through, the library takes too. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "plan.h"
#include "sim_random.h"

#define GARBAGE_SEEDS 3000u

static char path[] = "/tmp/htel-scenario-XXXXXX";
static char error[256];

static int setup(void **state) {
  (void)state;
  int fd = mkstemp(path);
  return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state) {
  (void)state;
  return unlink(path);
}

static void file_write(const char *text, size_t size) {
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(text, 1, size, f), size);
  assert_int_equal(fclose(f), 0);
}

static bool load(scenario *s, const char *text) {
  file_write(text, strlen(text));
  error[0] = '\0';
  return scenario_load(s, path, error, sizeof error);
}

static void refused(const char *text, const char *message) {
  scenario s;
  if (load(&s, text)) fail_msg("taken: %s", text);
  if (strstr(error, message) == NULL) fail_msg("\"%s\" is not in \"%s\"", message, error);
  assert_non_null(strstr(error, path)); /* which file */
}

/* ---- What is read ---------------------------------------------------------------------------- */

static void test_nothing_given_is_the_standard_load(void **state) {
  (void)state;
  scenario s, standard;
  scenario_standard(&standard);
  assert_true(load(&s, ""));
  assert_int_equal(s.devices, standard.devices);
  assert_int_equal(s.channel_count, standard.channel_count);
  assert_memory_equal(s.per_day, standard.per_day, sizeof s.per_day);
  assert_true(s.faults == FAULT_ALL);
}

static void test_every_line_sets_its_value(void **state) {
  (void)state;
  scenario s;
  assert_true(load(&s,
                   "[run]\ntitle = Two; words ; not these\ndevices = 7\nhours = 3\n"
                   "faults = all,-clone\ncell = 5\n"
                   "[device]\ncoding = zlib\nage = 2 min\nframe-bytes = 1024\n"
                   "ring-bytes = 8 KB\noutbox-bytes = 12KB\npersist-frames = 3\nflash = no\n"
                   "flash-block-bytes = 8192\nflash-blocks = 16\nflash-program-bytes = 4\n"
                   "keep-alive = 90 s\nspread = 1500ms\nwindow-bytes = 512\n"
                   "sleep-every = 1 h\nmemory-bytes = 1 MB\n"
                   "[network]\nlatency = 5 ms\njitter = 0\nup-bytes-per-s = 1 KB\n"
                   "down-bytes-per-s = 2 KB\n"
                   "[server]\ncommit = 1 s\nbroker-forgets = yes\n"
                   "[rates]\nflaps = 2.5\nhalf-open = 0\n"
                   "[channel a]\nkind = waveform\ncode = 131330\nrate = 1000/3\n"
                   "burst = 5 s\nburst-every = 1 min\nlow = -5\nhigh = 5\nring = 1\n"
                   "[channel b]\nkind = numeric\ncode = 150456\nperiod = 500 ms\n"
                   "[channel c]\nkind = alarm\nalarms-per-day = 9\n"
                   "[event outage]\nat = 90 min\nfor = 10 min\nshare = 30\n"
                   "[event storm]\nat = 2 h\n"));
  assert_string_equal(s.title, "Two; words");
  assert_int_equal(s.devices, 7);
  assert_int_equal(s.hours, 3);
  assert_int_equal(s.faults, FAULT_ALL & ~(1u << FAULT_CLONE));
  assert_int_equal(s.cell_devices, 5);
  assert_int_equal(s.coding, HTEL_CODING_ZLIB);
  assert_int_equal(s.age_ms_max, 120000);
  assert_int_equal(s.bytes_max, 1024);
  assert_int_equal(s.ring_bytes, 8192);
  assert_int_equal(s.outbox_bytes, 12288);
  assert_int_equal(s.persist_frames, 3);
  assert_false(s.flash);
  assert_int_equal(s.flash_block_bytes, 8192);
  assert_int_equal(s.flash_block_count, 16);
  assert_int_equal(s.flash_program_bytes, 4);
  assert_int_equal(s.keep_alive_s, 90);
  assert_int_equal(s.spread_ms, 1500);
  assert_int_equal(s.window_bytes, 512);
  assert_int_equal(s.sleep_every_ms, 3600000);
  assert_int_equal(s.memory_bytes_max, 1048576);
  assert_int_equal(s.latency_ms, 5);
  assert_int_equal(s.jitter_ms, 0);
  assert_int_equal(s.up_bytes_per_s, 1024);
  assert_int_equal(s.down_bytes_per_s, 2048);
  assert_int_equal(s.commit_ms, 1000);
  assert_true(s.broker_forgets);
  assert_true(s.per_day[FAULT_FLAPS] > 2.49 && s.per_day[FAULT_FLAPS] < 2.51);
  assert_true(s.per_day[FAULT_HALF_OPEN] < 0.001);
  assert_int_equal(s.channel_count, 3);
  const scenario_channel *a = &s.channels[0], *b = &s.channels[1], *c = &s.channels[2];
  assert_string_equal(a->name, "a");
  assert_int_equal(a->kind, HTEL_WAVEFORM);
  assert_int_equal(a->rate.num, 1000);
  assert_int_equal(a->rate.den, 3);
  assert_int_equal(a->burst_ms, 5000);
  assert_int_equal(a->burst_every_ms, 60000);
  assert_int_equal(a->low, -5);
  assert_int_equal(a->ring, 1);
  assert_int_equal(b->kind, HTEL_NUMERIC);
  assert_int_equal(b->code, 150456);
  assert_int_equal(b->period_ms, 500);
  assert_int_equal(c->kind, HTEL_ALARM);
  assert_int_equal(c->alarms_per_day, 9);
  assert_int_equal(s.event_count, 2);
  assert_int_equal(s.events[0].kind, FAULT_OUTAGE);
  assert_int_equal(s.events[0].at_ms, 5400000);
  assert_int_equal(s.events[0].for_ms, 600000);
  assert_int_equal(s.events[0].share_pct, 30);
  assert_int_equal(s.events[1].share_pct, 100);
}

static void test_words_store_what_they_name(void **state) {
  (void)state;
  scenario s;
  static const char *const codings[] = {"zlib", "fast", "best"};
  static const uint8_t values[] = {HTEL_CODING_ZLIB, HTEL_CODING_FAST, HTEL_CODING_BEST};
  for (unsigned i = 0; i < 3; i++) {
    char text[80];
    snprintf(text, sizeof text, "[device]\ncoding = %s\noutbox-bytes = 16 KB\n", codings[i]);
    assert_true(load(&s, text));
    assert_int_equal(s.coding, values[i]);
    assert_int_equal(s.age_ms_max, 60000); /* and nothing beside it */
  }
}

/* ---- What is refused ------------------------------------------------------------------------- */

static void test_mistakes_are_told_with_their_line(void **state) {
  (void)state;
  static const struct {
    const char *text, *message;
  } cases[] = {
      {"[run]\ndevices = 0\n", "line 2: 'devices': must be 1 to 100000"},
      {"[run]\n\ndevices = 100001\n", "line 3: 'devices'"},
      {"[run]\ndevices = -1\n", "must be 1 to"},
      {"[run]\ndevices = 12x\n", "a whole number is wanted"},
      {"[run]\ndevices =\n", "a whole number is wanted"},
      {"[run]\ndevices = 99999999999999999999\n", "a whole number is wanted"},
      {"[run]\ndevices = 9000000000000000000\n", "a whole number is wanted"},
      {"[run]\nhours = 8785\n", "must be 1 to 8784"},
      {"[run]\ndevices = 5\ndevices = 6\n", "line 3: 'devices': given twice"},
      {"[run]\ndevices = 5\n  hours = 6\n", "indented"},
      {"[run]\ndevice = 5\n", "line 2: 'device': there is no such line in this section"},
      {"[runs]\ndevices = 5\n", "sections are run"},
      {"devices = 5\n", "sections are run"},
      {"[run]\nfaults = flaps,strom\n", "there is no fault 'strom'"},
      {"[run]\nfaults =\n", "there is no fault ''"},
      {"; good\n[run\nhours = 1\n", "line 2: not a [section]"},
      {"[run]\nhours\n", "line 2: not a [section]"},
      {"[run]\nhours\ndevices = 0\n", "line 2: not a [section]"},
      {"[run]\ntitle = "
       "123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"
       "1234567890\n",
       "line 2: 'title': too long"},
      {"[device]\nage = 5\n", "a time with its unit is wanted"},
      {"[device]\nage = 5 sec\n", "a time with its unit is wanted"},
      {"[device]\nage = 99 ms\n", "must be 100 to 3600000 ms"},
      {"[device]\nage = 2 h\n", "must be 100 to 3600000 ms"},
      {"[device]\nkeep-alive = 5500 ms\n", "must be whole seconds"},
      {"[device]\nkeep-alive = 4 s\n", "must be 5000 to 3600000 ms"},
      {"[device]\ncoding = slow\n", "must be one of: zlib fast best"},
      {"[device]\ncoding = zl\n", "must be one of: zlib fast best"},
      {"[device]\nflash = maybe\n", "must be yes or no"},
      {"[device]\nflash-block-bytes = 5000\n", "a power of two"},
      {"[device]\nring-bytes = 1 GB\n", "a number of bytes is wanted"},
      {"[device]\nframe-bytes = 4096\n", "configuration is refused"},
      {"[rates]\nflaps = often\n", "times a day are wanted"},
      {"[rates]\nflaps = nan\n", "times a day are wanted"},
      {"[rates]\nflaps = 1e-9\n", "times a day are wanted"},
      {"[rates]\nflaps = 10001\n", "times a day are wanted"},
      {"[rates]\nflaps = -1\n", "times a day are wanted"},
      {"[rates]\nflips = 1\n", "'flips': there is no such fault"},
      {"[rates]\nflaps = 1\nflaps = 2\n", "given twice"},
      {"[channel a]\nkind = wave\n", "must be one of: numeric waveform alarm"},
      {"[channel a]\nkind = waveform\nrate = fast\n", "samples a second are wanted"},
      {"[channel a]\nkind = waveform\nrate = 1/0\n", "samples a second are wanted"},
      {"[channel a]\nkind = waveform\nrate = 20000\n", "a rate of up to 10000 Hz"},
      {"[channel a]\nkind = waveform\n", "channel 'a': a waveform needs a rate"},
      {"[channel a]\nkind = waveform\nrate = 10\nburst = 1 s\n", "burst needs burst-every"},
      {"[channel a]\nkind = waveform\nrate = 10\nburst-every = 1 s\n", "burst must be shorter"},
      {"[channel a]\nkind = waveform\nrate = 1\nburst = 10 ms\nburst-every = 1 s\n", "no sample"},
      {"[channel a]\nkind = numeric\n", "a numeric needs a period"},
      {"[channel a]\nkind = numeric\nperiod = 1 s\nlow = 5\nhigh = 4\n", "low is above high"},
      {"[channel a]\nkind = numeric\nperiod = 1 s\n[run]\nhours = 1\n[channel a]\nring = 1\n",
       "line 7: 'channel a': no such fault, a channel twice"},
      {"[channel a name that is longer than it may be]\nkind = alarm\n", "over 31 characters"},
      {"[event flood]\nat = 1 h\n", "no such fault"},
      {"[event storm]\nat = 24 h\n", "after the end of the run"},
      {"[event storm]\nat = 1 h\nfor = 1 s\n", "event 'storm' is over at once"},
      {"[event outage]\nat = 1 h\n", "event 'outage' lasts: say how long"},
      {"[event outage]\nat = 1 h\nfor = 1 min\nshare = 101\n", "must be 1 to 100"},
      {"[event storm]\nat = 1 h\n[event storm]\nat = 2 h\n", "line 4: 'at': given twice"},
      {"[run]\nfaults = flaps\n[event storm]\nat = 1 h\n", "that `faults` leaves out"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    refused(cases[i].text, cases[i].message);
}

static void test_there_is_an_end_to_channels_and_events(void **state) {
  (void)state;
  char text[8192];
  size_t at = 0;
  scenario s;
  for (unsigned i = 0; i < SCENARIO_CHANNELS_MAX; i++)
    at += (size_t)snprintf(text + at, sizeof text - at, "[channel c%u]\nkind = alarm\n", i);
  assert_true(load(&s, text));
  assert_int_equal(s.channel_count, SCENARIO_CHANNELS_MAX);
  snprintf(text + at, sizeof text - at, "[channel more]\nkind = alarm\n");
  refused(text, "too many of them");
  at = 0;
  for (unsigned i = 0; i < SCENARIO_EVENTS_MAX; i++)
    at += (size_t)snprintf(text + at, sizeof text - at, "[event storm %u]\nat = 1 h\n", i);
  assert_true(load(&s, text));
  assert_int_equal(s.event_count, SCENARIO_EVENTS_MAX);
  snprintf(text + at, sizeof text - at, "[event storm more]\nat = 1 h\n");
  refused(text, "too many of them");
}

static void test_files_that_are_none(void **state) {
  (void)state;
  scenario s;
  char text[66000];
  memset(text, ';', sizeof text);
  text[300] = '\n';
  text[sizeof text - 1] = '\0';
  refused(text, "over 64 KiB");
  text[400] = '\0';
  refused(text, "line 1: 'line': too long");
  file_write("[run]\0x", 7);
  assert_false(scenario_load(&s, path, error, sizeof error));
  assert_non_null(strstr(error, "is not text"));
  assert_false(scenario_load(&s, "/nowhere/at/all.ini", error, sizeof error));
  assert_non_null(strstr(error, "--list-scenarios"));
  assert_false(scenario_load(&s, "/", error, sizeof error));
  assert_false(scenario_load(&s, "", error, sizeof error));
  char small[4];
  assert_false(scenario_load(&s, "/nowhere/at/all.ini", small, sizeof small));
  assert_true(load(&s, "\xEF\xBB\xBF[run]\r\nhours = 3\r\n")); /* an editor's marks */
  assert_int_equal(s.hours, 3);
  assert_true(load(&s, "[run]\nhours = 4")); /* without an end of line */
  assert_int_equal(s.hours, 4);
}

static void test_options_may_not_break_it(void **state) {
  (void)state;
  scenario s;
  scenario_standard(&s);
  assert_true(scenario_check(&s, error, sizeof error));
  s.hours = 0;
  assert_false(scenario_check(&s, error, sizeof error));
  scenario_standard(&s);
  s.per_day[FAULT_FLAPS] = 1e-12;
  assert_false(scenario_check(&s, error, sizeof error));
  /* What the library refuses, with its words. */
  scenario_standard(&s);
  s.outbox_bytes = 16;
  assert_false(scenario_check(&s, error, sizeof error));
  assert_non_null(strstr(error, "outbox.bytes"));
  /* Fewer hours than an event comes in: it does not come. */
  assert_true(load(&s, "[event storm]\nat = 5 h\n"));
  s.hours = 1;
  assert_true(scenario_check(&s, error, sizeof error));
}

/* ---- Those built in -------------------------------------------------------------------------- */

static void test_each_built_in_is_sound(void **state) {
  (void)state;
  unsigned i = 0;
  for (; scenario_builtin_name(i) != NULL; i++) {
    scenario s;
    if (!scenario_load(&s, scenario_builtin_name(i), error, sizeof error)) fail_msg("%s", error);
    assert_string_equal(s.name, scenario_builtin_name(i));
    char title[96];
    scenario_builtin_title(i, title, sizeof title);
    assert_true(strlen(title) > 10);
    assert_string_equal(title, s.title);
    plan p;
    assert_int_equal(plan_make(&p, &s, error, sizeof error), 0);
    /* --print-scenario makes a file that says the same. */
    scenario again;
    assert_true(load(&again, scenario_builtin_text(i)));
    memcpy(again.name, s.name, sizeof s.name);
    assert_int_equal(again.devices, s.devices);
    assert_int_equal(again.faults, s.faults);
    assert_memory_equal(again.per_day, s.per_day, sizeof s.per_day);
    assert_int_equal(again.event_count, s.event_count);
    assert_int_equal(again.channel_count, s.channel_count);
  }
  assert_true(i >= 10);
  assert_null(scenario_builtin_text(i));
}

/* ---- Faults' names --------------------------------------------------------------------------- */

static void test_fault_sets(void **state) {
  (void)state;
  static const struct {
    const char *text;
    fault_set set;
  } good[] = {{"all", FAULT_ALL},
              {"none", 0},
              {"storm", 1u << FAULT_STORM},
              {"flaps,half-open", 1u << FAULT_FLAPS | 1u << FAULT_HALF_OPEN},
              {" flaps , dns ", 1u << FAULT_FLAPS | 1u << FAULT_DNS},
              {"all,-clone,-storm", FAULT_ALL & ~(1u << FAULT_CLONE | 1u << FAULT_STORM)},
              {"flaps,-flaps", 0},
              {"-flaps", 0}};
  fault_set set;
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    assert_true(fault_set_parse(&set, good[i].text, error, sizeof error));
    assert_int_equal(set, good[i].set);
  }
  static const char *const bad[] = {"", ",", "flaps,", "flap", "flapss", "all none", "--flaps"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    assert_false(fault_set_parse(&set, bad[i], error, sizeof error));
  for (unsigned k = 0; k < FAULT_KINDS; k++) {
    assert_true(fault_set_parse(&set, fault_name((fault_kind)k), error, sizeof error));
    assert_int_equal(set, 1u << k);
    assert_true(strlen(fault_text((fault_kind)k)) > 10);
  }
}

/* ---- Garbage --------------------------------------------------------------------------------- */

/* Built-in files with bytes changed, lines doubled, ends cut off: read or refused, never worse; and
 * what is read holds together. */
static void test_garbage_does_no_harm(void **state) {
  (void)state;
  unsigned taken = 0, count = 0;
  while (scenario_builtin_name(count) != NULL) count++;
  for (uint64_t seed = 1; seed <= GARBAGE_SEEDS; seed++) {
    sim_random random = {seed};
    char text[8192];
    const char *from = scenario_builtin_text(random_below(&random, count));
    size_t size = strlen(from);
    assert_true(size < sizeof text);
    memcpy(text, from, size + 1u);
    for (unsigned n = random_below(&random, 8u); n > 0; n--) {
      size_t at = random_below(&random, (uint32_t)size);
      static const char odd[] = "\n[]=;0-9 .,/\"\xFF\t";
      uint32_t what = random_below(&random, 3u);
      if (what == 0) text[at] = odd[random_below(&random, sizeof odd - 1u)];
      if (what == 1) text[at] = (char)(1u + random_below(&random, 255u));
      if (what == 2 && random_below(&random, 8u) == 0) text[size = at + 1u] = '\0';
    }
    scenario s;
    plan p;
    if (!load(&s, text)) {
      assert_true(strlen(error) > 0);
      continue;
    }
    taken++;
    assert_int_equal(plan_make(&p, &s, error, sizeof error), 0);
  }
  assert_true(taken > GARBAGE_SEEDS / 20u && taken < GARBAGE_SEEDS);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_nothing_given_is_the_standard_load),
      cmocka_unit_test(test_every_line_sets_its_value),
      cmocka_unit_test(test_words_store_what_they_name),
      cmocka_unit_test(test_mistakes_are_told_with_their_line),
      cmocka_unit_test(test_there_is_an_end_to_channels_and_events),
      cmocka_unit_test(test_files_that_are_none),
      cmocka_unit_test(test_options_may_not_break_it),
      cmocka_unit_test(test_each_built_in_is_sound),
      cmocka_unit_test(test_fault_sets),
      cmocka_unit_test(test_garbage_does_no_harm),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
