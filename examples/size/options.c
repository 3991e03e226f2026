/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "options.h"

#include <argp.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char about[] =
    "htel-size - what healthtel takes on a microcontroller: ring, frames, outbox, RAM, flash, "
    "bytes "
    "a day.\n\n"
    "Say what the device measures and how long it must do without a network; out come a "
    "configuration and its costs, and whether they fit a part. Exit status: 0 it fits (or no part "
    "was named), 1 it does not, 2 there is no such configuration, 64 the command line is wrong.\v"
    "Bytes a reading are those that docs/SIZES.md measured on a recording of that kind (--list "
    "names them); your signal will differ: give a recording of it, and it is coded for real and an "
    "outage is tried in it. RAM is what htel_memory_needed says, for structs as large as they are "
    "on the target. Not in the sums: your application, its TCP/IP stack and operating system "
    "(--other-ram, --other-flash), and certificates.\n\n"
    "Example, an ECG patch:\n"
    "  htel-size --wave ecg:250 --numeric vitals:1x3 --outage 60 --reconnect 15 --coding fast \\\n"
    "      --link mqtt --tls mbedtls --part nrf52832";

enum {
  OPT_WAVE = 256,
  OPT_NUMERIC,
  OPT_RECORDING,
  OPT_ALARMS,
  OPT_CODING,
  OPT_FRAME_S,
  OPT_FRAME_BYTES,
  OPT_BLOCK_MS,
  OPT_POLL_MS,
  OPT_OUTAGE,
  OPT_RECONNECT,
  OPT_MARGIN,
  OPT_BYTES_SAMPLE,
  OPT_BYTES_NUMERIC,
  OPT_OUTBOX,
  OPT_FLASH_BLOCK,
  OPT_FLASH_PROGRAM,
  OPT_LINK,
  OPT_TLS,
  OPT_TLS_RECORDS,
  OPT_TEXTS,
  OPT_TARGET,
  OPT_PART,
  OPT_RAM,
  OPT_FLASH,
  OPT_OTHER_RAM,
  OPT_OTHER_FLASH,
  OPT_JSON,
  OPT_LIST
};

static const struct argp_option table[] = {
    {NULL, 0, NULL, 0, "What it measures:", 1},
    {"wave", OPT_WAVE, "KIND:HZ[xN]", 0,
     "N waveforms (default 1) of so many samples a second each, as ecg:250 or acc:32x3; may be "
     "given several times",
     1},
    {"numeric", OPT_NUMERIC, "KIND:HZ[xN]", 0,
     "The same for numerics; HZ may be a fraction, as monitor:1/60x7", 1},
    {"recording", OPT_RECORDING, "FILE.csv", 0,
     "Instead of both: recordings, coded for real; as htel-monitor --replay takes them", 1},
    {"alarms", OPT_ALARMS, "N", 0, "Alarm events an hour (default 6; 0: no alarm channel)", 1},
    {"bytes-per-sample", OPT_BYTES_SAMPLE, "X", 0,
     "Bytes that a waveform's sample takes, instead of the figure for its kind", 1},
    {"bytes-per-numeric", OPT_BYTES_NUMERIC, "X", 0, "The same for a numeric", 1},

    {NULL, 0, NULL, 0, "How it delivers:", 2},
    {"outage", OPT_OUTAGE, "S", 0, "Seconds without a network that lose nothing (default 60)", 2},
    {"reconnect", OPT_RECONNECT, "S", 0,
     "Longest wait before the attempt that succeeds: delivery.backoff_max_ms (default 60)", 2},
    {"coding", OPT_CODING, "zlib|fast|best", 0, "htel_config.coding (default fast)", 2},
    {"frame-s", OPT_FRAME_S, "S", 0, "Seconds in a frame (default 10)", 2},
    {"frame-bytes", OPT_FRAME_BYTES, "N", 0,
     "batch.bytes_max, 512 to 61440 (default: what a frame of that time takes)", 2},
    {"block-ms", OPT_BLOCK_MS, "MS", 0,
     "Samples of so many ms come in one htel_record_block (default 100)", 2},
    {"poll-ms", OPT_POLL_MS, "MS", 0,
     "Longest time from one htel_poll to the next (default 100); the ring holds what comes in it",
     2},
    {"margin", OPT_MARGIN, "PERCENT", 0,
     "On top of figures that are not your signal's own (default 20); of recordings 0 to 400 for "
     "the frame's room alone",
     2},
    {"outbox", OPT_OUTBOX, "ram|flash", 0, "Where frames wait (default ram)", 2},
    {"flash-block", OPT_FLASH_BLOCK, "N", 0, "What an erase clears, 4096 to 65536 (default 4096)",
     2},
    {"flash-program", OPT_FLASH_PROGRAM, "N", 0, "What a program writes, 1 to 16 (default 8)", 2},
    {"link", OPT_LINK, "none|mqtt", 0, "Count ports/mqtt (default none)", 2},
    {"tls", OPT_TLS, "none|mbedtls", 0, "Count ports/mbedtls and mbedTLS (default none)", 2},
    {"tls-records", OPT_TLS_RECORDS, "IN:OUT", 0,
     "Bytes of TLS records at most (default 2048:1024); the link's window is OUT", 2},
    {"texts", OPT_TEXTS, NULL, 0, "Count the words for errors and for configuration faults", 2},

    {NULL, 0, NULL, 0, "What it runs on:", 3},
    {"part", OPT_PART, "NAME", 0, "A microcontroller that --list names", 3},
    {"target", OPT_TARGET, "m0|m4|rv32|host", 0,
     "Cortex-M0+, Cortex-M4 (default; also for M3), RISC-V, or this machine", 3},
    {"ram", OPT_RAM, "N", 0, "Bytes of RAM that the part has; K and M multiply by 1024", 3},
    {"flash", OPT_FLASH, "N", 0, "The same of flash", 3},
    {"other-ram", OPT_OTHER_RAM, "N", 0, "Of which the rest of the firmware takes (default 0)", 3},
    {"other-flash", OPT_OTHER_FLASH, "N", 0, "The same of flash", 3},

    {NULL, 0, NULL, 0, "What it says:", 4},
    {"json", OPT_JSON, NULL, 0, "Say it as JSON", 4},
    {"list", OPT_LIST, NULL, 0, "Name the kinds of signals, the parts, the targets, and end", 4},
    {NULL, 0, NULL, 0, NULL, 0},
};

static uint32_t number_parse(struct argp_state *state, const char *option, const char *text,
                             uint32_t min, uint32_t max) {
  char *end;
  errno = 0;
  unsigned long long value = strtoull(text, &end, 10);
  if (errno || !isdigit((unsigned char)*text) || *end || value < min || value > max)
    argp_error(state, "--%s must be a whole number of %u to %u", option, min, max);
  return (uint32_t)value;
}

/* A number of bytes: 65536, 64K, 1M. */
static uint32_t bytes_parse(struct argp_state *state, const char *option, const char *text) {
  char *end;
  errno = 0;
  unsigned long long value = strtoull(text, &end, 10);
  unsigned long long unit = strcmp(end, "K") == 0 ? 1024 : strcmp(end, "M") == 0 ? 1048576 : 1;
  if (unit > 1) end++;
  if (errno || !isdigit((unsigned char)*text) || *end || value > UINT32_MAX / unit)
    argp_error(state, "--%s must be bytes, as 65536, 64K or 1M", option);
  return (uint32_t)(value * unit);
}

static double fraction_parse(struct argp_state *state, const char *option, const char *text) {
  char *end;
  double value = strtod(text, &end);
  if (*end || end == text || !(value >= 0.01) || !(value <= 16))
    argp_error(state, "--%s must be a number of 0.01 to 16", option);
  return value;
}

/* Which of "this|that|another" the text is. */
static uint8_t choice_parse(struct argp_state *state, const char *option, const char *text,
                            const char *choices) {
  size_t size = strlen(text);
  uint8_t choice = 0;
  for (const char *at = choices; at != NULL; at = strchr(at, '|')) {
    if (*at == '|') {
      at++;
      choice++;
    }
    if (strncmp(at, text, size) == 0 && strcspn(at, "|") == size) return choice;
  }
  argp_error(state, "--%s must be %s", option, choices);
  return 0;
}

/* "250", "0.2", "1/60"; false for what is no rate. */
static bool rate_parse(const char *text, const char **end, htel_rate *rate) {
  char *rest;
  double value = isdigit((unsigned char)*text) ? strtod(text, &rest) : -1;
  if (value < 0) return false;
  uint32_t den = 1;
  if (*rest == '/') {
    unsigned long long given = strtoull(rest + 1, &rest, 10);
    if (given < 1 || given > 1000000) return false;
    den = (uint32_t)given;
  }
  *end = rest;
  for (uint32_t scale = 1; scale <= 1000; scale *= 10) { /* three decimals */
    double num = value * scale;
    if (num != (double)(uint32_t)num || num < 1) continue;
    *rate = (htel_rate){.num = (uint32_t)num, .den = den * scale};
    return rate->num <= 1000000 && den <= 1000000 / scale;
  }
  return false;
}

static void channel_add(struct argp_state *state, wish *w, const char *option, const char *text,
                        bool waveform) {
  const char *colon = strchr(text, ':'), *rest = "?";
  wish_channel channel = {0};
  if (colon == NULL) argp_error(state, "--%s must be KIND:HZ, as ecg:250", option);
  if (colon != NULL) channel.signal = signal_find(text, (size_t)(colon - text));
  if (channel.signal == NULL || channel.signal->waveform != waveform)
    argp_error(state, "--%s: '%s' is none of these: see --list", option, text);
  if (colon == NULL || !rate_parse(colon + 1, &rest, &channel.rate))
    argp_error(state, "--%s: the rate of '%s' must be Hz, as 250, 0.2 or 1/60", option, text);
  uint32_t count = 1;
  if (*rest == 'x')
    count = number_parse(state, option, rest + 1, 1, HTEL_CHANNELS_MAX);
  else if (*rest != '\0')
    argp_error(state, "--%s must be KIND:HZ or KIND:HZxN, not '%s'", option, text);
  for (; count > 0; count--) {
    if (w->channel_count == HTEL_CHANNELS_MAX - 1u)
      argp_error(state, "more than %u channels", HTEL_CHANNELS_MAX - 1u);
    w->channels[w->channel_count++] = channel;
  }
}

static void recording_add(struct argp_state *state, wish *w, const char *path) {
  if (w->recording_count == PLAN_RECORDINGS_MAX)
    argp_error(state, "--recording may be given %u times at most", PLAN_RECORDINGS_MAX);
  w->recordings[w->recording_count++] = path;
}

static void records_parse(struct argp_state *state, wish *w, const char *text) {
  const char *colon = strchr(text, ':');
  char in[16] = "";
  if (!colon || colon - text >= (int)sizeof in)
    argp_error(state, "--tls-records must be IN:OUT, as 2048:1024");
  else
    memcpy(in, text, (size_t)(colon - text));
  w->tls_in_bytes = number_parse(state, "tls-records", in, 512, 16384);
  w->tls_out_bytes = number_parse(state, "tls-records", colon ? colon + 1 : "", 256, 16384);
}

static bool is_power_of_two(uint32_t n) {
  return n != 0 && (n & (n - 1u)) == 0;
}

/* What only the whole command line can show. */
static void whole_check(struct argp_state *state, options *o) {
  wish *w = &o->wish;
  if (w->recording_count > 0 && w->channel_count > 0)
    argp_error(state, "--recording says what is measured: not --wave or --numeric too");
  if (w->recording_count > 0 && (w->wave_bytes > 0 || w->numeric_bytes > 0))
    argp_error(state, "recordings are coded: --bytes-per-... is for --wave and --numeric");
  if (w->recording_count == 0 && w->channel_count == 0)
    argp_error(state, "say what is measured: --wave, --numeric or --recording");
  if (!is_power_of_two(w->flash_block_bytes) || !is_power_of_two(w->flash_program_bytes))
    argp_error(state, "--flash-block and --flash-program must be powers of two");
  if (w->tls && !w->link) argp_error(state, "--tls stands under --link mqtt: give that too");
  if (o->part == NULL) return;
  if (w->ram_bytes == 0) w->ram_bytes = o->part->ram_kb * 1024u;
  if (w->flash_bytes == 0) w->flash_bytes = o->part->flash_kb * 1024u;
  if (w->target == NULL) w->target = target_find(o->part->target);
}

static error_t option_parse(int key, char *text, struct argp_state *state) {
  options *o = state->input;
  wish *w = &o->wish;
  switch (key) {
    case OPT_WAVE: channel_add(state, w, "wave", text, true); break;
    case OPT_NUMERIC: channel_add(state, w, "numeric", text, false); break;
    case OPT_RECORDING: recording_add(state, w, text); break;
    case OPT_ALARMS: w->alarms_per_hour = number_parse(state, "alarms", text, 0, 3600); break;
    case OPT_CODING: w->coding = choice_parse(state, "coding", text, "zlib|fast|best"); break;
    case OPT_FRAME_S: w->frame_s = number_parse(state, "frame-s", text, 1, 86400); break;
    case OPT_FRAME_BYTES:
      w->frame_bytes = number_parse(state, "frame-bytes", text, 512, 61440);
      break;
    case OPT_BLOCK_MS: w->block_ms = number_parse(state, "block-ms", text, 1, 10000); break;
    case OPT_POLL_MS: w->poll_ms = number_parse(state, "poll-ms", text, 1, 60000); break;
    case OPT_OUTAGE: w->outage_s = number_parse(state, "outage", text, 0, 604800); break;
    case OPT_RECONNECT: w->reconnect_s = number_parse(state, "reconnect", text, 1, 86400); break;
    case OPT_MARGIN: w->margin = number_parse(state, "margin", text, 0, 400); break;
    case OPT_BYTES_SAMPLE: w->wave_bytes = fraction_parse(state, "bytes-per-sample", text); break;
    case OPT_BYTES_NUMERIC:
      w->numeric_bytes = fraction_parse(state, "bytes-per-numeric", text);
      break;
    case OPT_OUTBOX: w->on_flash = choice_parse(state, "outbox", text, "ram|flash") == 1; break;
    case OPT_FLASH_BLOCK:
      w->flash_block_bytes = number_parse(state, "flash-block", text, 4096, 65536);
      break;
    case OPT_FLASH_PROGRAM:
      w->flash_program_bytes = number_parse(state, "flash-program", text, 1, 16);
      break;
    case OPT_LINK: w->link = choice_parse(state, "link", text, "none|mqtt") == 1; break;
    case OPT_TLS: w->tls = choice_parse(state, "tls", text, "none|mbedtls") == 1; break;
    case OPT_TEXTS: w->texts = true; break;
    case OPT_TLS_RECORDS: records_parse(state, w, text); break;
    case OPT_TARGET:
      w->target = target_find(text);
      if (w->target == NULL) argp_error(state, "--target must be m0|m4|rv32|host");
      break;
    case OPT_PART:
      o->part = part_find(text);
      if (o->part == NULL)
        argp_error(state, "--part: '%s' is not known: see --list, or give --ram and --flash", text);
      break;
    case OPT_RAM: w->ram_bytes = bytes_parse(state, "ram", text); break;
    case OPT_FLASH: w->flash_bytes = bytes_parse(state, "flash", text); break;
    case OPT_OTHER_RAM: w->other_ram = bytes_parse(state, "other-ram", text); break;
    case OPT_OTHER_FLASH: w->other_flash = bytes_parse(state, "other-flash", text); break;
    case OPT_JSON: o->json = true; break;
    case OPT_LIST: o->list = true; break;
    case ARGP_KEY_ARG: argp_error(state, "'%s' is not an option", text); break;
    case ARGP_KEY_END:
      if (!o->list) whole_check(state, o);
      if (w->target == NULL) w->target = target_find("m4");
      break;
    default: return ARGP_ERR_UNKNOWN;
  }
  return 0;
}

void options_parse(options *o, int argc, char **argv) {
  static const struct argp parser = {.options = table, .parser = option_parse, .doc = about};
  *o = (options){.wish = {.alarms_per_hour = 6,
                          .coding = HTEL_CODING_FAST,
                          .frame_s = 10,
                          .outage_s = 60,
                          .reconnect_s = 60,
                          .poll_ms = 100,
                          .block_ms = 100,
                          .margin = 20,
                          .flash_block_bytes = 4096,
                          .flash_program_bytes = 8,
                          .tls_in_bytes = 2048,
                          .tls_out_bytes = 1024}};
  argp_err_exit_status = 64;
  argp_parse(&parser, argc, argv, 0, NULL, o);
}
