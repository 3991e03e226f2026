/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "options.h"

#include <argp.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *argp_program_version = "htel-monitor " HTEL_VERSION;

static const char about[] =
    "A patient monitor on Linux: plays recordings, or a synthetic patient, to a broker.\v"
    "A recording is a CSV of integer codes with a JSON beside it. Several recordings play at "
    "once, as one device with more channels. Without --replay a synthetic patient is monitored."
    "\n\n"
    "SIGINT and SIGTERM end the recording; what is left is delivered until --close-timeout. Exit "
    "status: 0 everything was delivered (or lost and reported), 1 something remained, 64 the "
    "command line is wrong.\n\n"
    "Examples:\n"
    "  htel-monitor --device bed-7 --replay ecg.csv --speed max --out ecg.htel\n"
    "  htel-monitor --device bed-7 --broker localhost:8883 \\\n"
    "      --ca ca.crt --cert bed-7.crt --key bed-7.key";

enum {
  OPT_BROKER = 256,
  OPT_LINK,
  OPT_CA,
  OPT_CERT,
  OPT_KEY,
  OPT_CRL,
  OPT_ALPN,
  OPT_CLOCK_FLOOR,
  OPT_BOOT_FILE,
  OPT_STORE,
  OPT_STORE_BYTES,
  OPT_PERSIST,
  OPT_REPLAY,
  OPT_SPEED,
  OPT_REPEAT,
  OPT_DURATION,
  OPT_UTC,
  OPT_SEED,
  OPT_THREADS,
  OPT_WRITE_RECORDING,
  OPT_OUT,
  OPT_DELIVERY,
  OPT_CODING,
  OPT_FRAME_S,
  OPT_FRAME_BYTES,
  OPT_OUTBOX_BYTES,
  OPT_RING_BYTES,
  OPT_RATE,
  OPT_KEEP_ALIVE,
  OPT_BACKOFF,
  OPT_RECEIPT_WAIT,
  OPT_CONNECT_TIMEOUT,
  OPT_OUTAGE,
  OPT_SUMMARY,
  OPT_CLOSE_TIMEOUT,
  OPT_JSON,
  OPT_PROGRESS,
  OPT_DEVICE,
  OPT_SESSION
};

static const struct argp_option table[] = {
    {"device", OPT_DEVICE, "ID", 0, "Opaque id of the device: 1 to 36 of A-Z a-z 0-9 _ -", 1},
    {"session", OPT_SESSION, "N", 0, "Opaque id of the patient's session (0: none)", 1},
    {"boot-file", OPT_BOOT_FILE, "FILE", 0,
     "Where the boot number is kept; without it, and without --store, boots have random numbers",
     1},

    {NULL, 0, NULL, 0, "Where to:", 2},
    {"broker", OPT_BROKER, "HOST:PORT", 0, "MQTT broker, by the name in its certificate", 2},
    {"ca", OPT_CA, "FILE", 0, "Certificates that may sign the broker's (PEM)", 2},
    {"cert", OPT_CERT, "FILE", 0, "This device's certificate (PEM)", 2},
    {"key", OPT_KEY, "FILE", 0, "Its private key (PEM)", 2},
    {"crl", OPT_CRL, "FILE", 0, "Revoked certificates (PEM)", 2},
    {"alpn", OPT_ALPN, "PROTOCOL", 0, "ALPN protocol name, as x-amzn-mqtt-ca on port 443", 2},
    {"clock-floor", OPT_CLOCK_FLOOR, "wait|build|DATE", 0,
     "While the clock is not set: do not connect (default), or judge certificates as of the build "
     "(" MONITOR_BUILD_DATE ") or of YYYY-MM-DD; see docs/TLS.md",
     2},
    {"link", OPT_LINK, "paho|mqtt", 0,
     "By paho.mqtt.c (default), or by the client made for small systems", 2},
    {"out", OPT_OUT, "FILE", 0, "Write the messages to a file instead (htel-cat reads it)", 2},

    {NULL, 0, NULL, 0, "What to play:", 3},
    {"replay", OPT_REPLAY, "FILE.csv", 0, "Play this recording; may be given several times", 3},
    {"speed", OPT_SPEED, "X", 0, "X times real time (default 1), or max: as fast as it is taken",
     3},
    {"repeat", OPT_REPEAT, "N", 0, "Play the recordings N times over", 3},
    {"duration", OPT_DURATION, "S", 0, "End after S seconds of signal", 3},
    {"utc", OPT_UTC, "recording|now", 0,
     "Place recordings with times of their own at those (default), or at the present", 3},
    {"seed", OPT_SEED, "N", 0, "Which synthetic patient (default 1)", 3},
    {"threads", OPT_THREADS, NULL, 0,
     "Record from two threads while a third delivers, instead of all in one loop", 3},
    {"write-recording", OPT_WRITE_RECORDING, "DIR", 0,
     "Write --duration seconds of the synthetic patient as recordings into DIR, and end", 3},

    {NULL, 0, NULL, 0, "How to deliver:", 4},
    {"delivery", OPT_DELIVERY, "receipt|broker", 0,
     "A frame is kept until the ingest says that it is stored (default), or only until the broker "
     "acknowledges it",
     4},
    {"coding", OPT_CODING, "zlib|fast|best", 0,
     "Try zlib where it may pay (default), do without, or the smallest frames", 4},
    {"frame-s", OPT_FRAME_S, "S", 0,
     "Seconds of signal in a frame at most (default 10; 10 rows of slow recordings that are "
     "played faster than they are)",
     4},
    {"frame-bytes", OPT_FRAME_BYTES, "N", 0,
     "Bytes of a frame at most (default 4096; with --store 2048)", 4},
    {"outbox-bytes", OPT_OUTBOX_BYTES, "N", 0,
     "Memory for frames that wait (default 1048576; with --store 8192, for those under way)", 4},
    {"store", OPT_STORE, "FILE", 0,
     "Keep frames that wait, and the boot number, in this file, made when missing: they survive "
     "SIGKILL and power cuts; htel-cat --store shows what is in it",
     4},
    {"store-bytes", OPT_STORE_BYTES, "N", 0,
     "Size of that file, 16384 to 16777216 in whole 4096 (default: as it is; a new one 1048576)",
     4},
    {"persist", OPT_PERSIST, "N:MS", 0,
     "Make N frames durable with one sync, 1 to 32, but wait no longer than MS (default 1:1000); "
     "alarms are at once",
     4},
    {"ring-bytes", OPT_RING_BYTES, "N", 0,
     "Memory for readings not yet in a frame, a power of two (default 65536)", 4},
    {"rate", OPT_RATE, "N:BACKLOG", 0,
     "Frames a second at most, 1 to 90; and those from before the connection (default 50:20)", 4},
    {"keep-alive", OPT_KEEP_ALIVE, "S", 0, "MQTT keep-alive (default 60)", 4},
    {"backoff", OPT_BACKOFF, "MS:MAX", 0,
     "Random wait before connecting again: within MS at first, within MAX later (default "
     "1000:60000)",
     4},
    {"receipt-wait", OPT_RECEIPT_WAIT, "MS", 0,
     "Send a frame again when no receipt comes for so long (default 30000)", 4},
    {"connect-timeout", OPT_CONNECT_TIMEOUT, "S", 0, "For one attempt to connect (default 20)", 4},
    {"outage", OPT_OUTAGE, "START:LENGTH", 0,
     "The device has no network from second START on for LENGTH seconds; may be given several "
     "times",
     4},
    {"close-timeout", OPT_CLOSE_TIMEOUT, "S", 0,
     "Deliver the rest for S seconds at most (default 30)", 4},

    {NULL, 0, NULL, 0, "What it says:", 5},
    {"summary", OPT_SUMMARY, "FILE", 0, "Write what was recorded and delivered as JSON", 5},
    {"json", OPT_JSON, NULL, 0, "Say it as JSON", 5},
    {"progress", OPT_PROGRESS, NULL, 0, "A line a second even when this is no terminal", 5},
    {"quiet", 'q', NULL, 0, "Errors only", 5},
    {NULL, 0, NULL, 0, NULL, 0},
};

static uint64_t number_parse(struct argp_state *state, const char *option, const char *text,
                             uint64_t min, uint64_t max) {
  char *end;
  errno = 0;
  unsigned long long value = strtoull(text, &end, 10);
  if (errno || !isdigit((unsigned char)*text) || *end || value < min || value > max)
    argp_error(state, "--%s must be a whole number of %llu to %llu", option,
               (unsigned long long)min, (unsigned long long)max);
  return value;
}

static uint32_t number32(struct argp_state *state, const char *option, const char *text,
                         uint32_t min, uint32_t max) {
  return (uint32_t)number_parse(state, option, text, min, max);
}

/* "A:B" as two numbers. */
static void pair_parse(struct argp_state *state, const char *option, const char *text, uint32_t min,
                       uint32_t max, uint32_t *a, uint32_t *b) {
  char first[16] = "";
  const char *colon = strchr(text, ':');
  if (!colon || colon - text >= (int)sizeof first)
    argp_error(state, "--%s must be two whole numbers with a colon between them", option);
  else
    memcpy(first, text, (size_t)(colon - text));
  *a = number32(state, option, first, min, max);
  *b = number32(state, option, colon ? colon + 1 : "", 1, max);
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

static void broker_parse(struct argp_state *state, options *o, const char *text) {
  const char *colon = strrchr(text, ':');
  if (!colon || colon == text || (size_t)(colon - text) > OPTIONS_HOST_CHARS_MAX)
    argp_error(state, "--broker must be HOST:PORT");
  else
    snprintf(o->host, sizeof o->host, "%.*s", (int)(colon - text), text);
  o->port = (uint16_t)number_parse(state, "broker's port", colon ? colon + 1 : "", 1, 65535);
}

/* 0 for "wait". */
static int64_t clock_floor_parse(struct argp_state *state, const char *text) {
  if (strcmp(text, "wait") == 0) return 0;
  struct tm date = {0};
  const char *end =
      strptime(strcmp(text, "build") == 0 ? MONITOR_BUILD_DATE : text, "%Y-%m-%d", &date);
  int day = date.tm_mday;
  int64_t utc_s = end && !*end ? (int64_t)timegm(&date) : 0;
  if (date.tm_mday != day) utc_s = 0; /* there is no 31st of February */
  if (utc_s <= 0) argp_error(state, "--clock-floor must be wait, build, or a date YYYY-MM-DD");
  return utc_s * 1000;
}

static double speed_parse(struct argp_state *state, const char *text) {
  if (strcmp(text, "max") == 0) return 0;
  char *end;
  double speed = strtod(text, &end);
  if (*end || end == text || !(speed >= 0.01) || !(speed <= 10000))
    argp_error(state, "--speed must be a number of 0.01 to 10000, or max");
  return speed;
}

static void replay_add(struct argp_state *state, options *o, const char *path) {
  if (o->replay_count == OPTIONS_REPLAYS_MAX)
    argp_error(state, "--replay may be given %u times at most", OPTIONS_REPLAYS_MAX);
  o->replays[o->replay_count++] = path;
}

static void persist_parse(struct argp_state *state, options *o, const char *text) {
  pair_parse(state, "persist", text, 1, 60000, &o->persist_frames, &o->persist_ms);
  if (o->persist_frames > 32) argp_error(state, "--persist must begin with 1 to 32 frames");
}

static void outage_add(struct argp_state *state, options *o, const char *text) {
  if (o->outage_count == OPTIONS_OUTAGES_MAX)
    argp_error(state, "--outage may be given %u times at most", OPTIONS_OUTAGES_MAX);
  options_outage *outage = &o->outages[o->outage_count++];
  pair_parse(state, "outage", text, 0, 1000000, &outage->start_s, &outage->length_s);
}

/* What only the whole command line can show. */
static void whole_check(struct argp_state *state, const options *o) {
  if (o->recording_dir) {
    if (o->duration_s == 0) argp_error(state, "--write-recording needs --duration");
    return;
  }
  if (!o->device) argp_error(state, "--device is missing");
  if (!o->out == !o->host[0]) argp_error(state, "give one of --broker and --out");
  if (!o->out && (!o->ca || !o->cert || !o->key))
    argp_error(state, "--broker needs --ca, --cert and --key");
  if (o->speed == 0 && o->replay_count == 0 && o->duration_s == 0)
    argp_error(state, "--speed max without --replay needs --duration");
  if (o->speed == 0 && o->threads)
    argp_error(state, "--threads needs a speed: only the loop can wait for room");
  if (o->speed == 0 && !o->store && o->outbox_bytes / 8 < o->frame_bytes)
    argp_error(state, "--speed max needs an --outbox-bytes of at least 8 frames");
  if (!o->store && (o->store_bytes || o->persist_frames))
    argp_error(state, "--store-bytes and --persist need --store");
  if (o->backoff_base_ms > o->backoff_max_ms)
    argp_error(state, "--backoff must not begin above its end");
}

static error_t option_parse(int key, char *text, struct argp_state *state) {
  options *o = state->input;
  switch (key) {
    case OPT_DEVICE: o->device = text; break;
    case OPT_SESSION: o->session = number_parse(state, "session", text, 0, UINT64_MAX); break;
    case OPT_BOOT_FILE: o->boot_file = text; break;
    case OPT_STORE: o->store = text; break;
    case OPT_STORE_BYTES:
      o->store_bytes = number32(state, "store-bytes", text, 16384, 1u << 24);
      if (o->store_bytes % 4096 != 0) argp_error(state, "--store-bytes must be a multiple of 4096");
      break;
    case OPT_PERSIST: persist_parse(state, o, text); break;
    case OPT_BROKER: broker_parse(state, o, text); break;
    case OPT_LINK: o->link = choice_parse(state, "link", text, "paho|mqtt"); break;
    case OPT_CA: o->ca = text; break;
    case OPT_CERT: o->cert = text; break;
    case OPT_KEY: o->key = text; break;
    case OPT_CRL: o->crl = text; break;
    case OPT_ALPN: o->alpn = text; break;
    case OPT_CLOCK_FLOOR: o->utc_floor_ms = clock_floor_parse(state, text); break;
    case OPT_OUT: o->out = text; break;
    case OPT_REPLAY: replay_add(state, o, text); break;
    case OPT_SPEED: o->speed = speed_parse(state, text); break;
    case OPT_REPEAT: o->repeat = number32(state, "repeat", text, 1, 1000000); break;
    case OPT_DURATION: o->duration_s = number32(state, "duration", text, 1, 2000000); break;
    case OPT_UTC: o->utc = choice_parse(state, "utc", text, "recording|now"); break;
    case OPT_SEED: o->seed = number_parse(state, "seed", text, 0, UINT64_MAX); break;
    case OPT_THREADS: o->threads = true; break;
    case OPT_WRITE_RECORDING: o->recording_dir = text; break;
    case OPT_DELIVERY: o->delivery = choice_parse(state, "delivery", text, "receipt|broker"); break;
    case OPT_CODING: o->coding = choice_parse(state, "coding", text, "zlib|fast|best"); break;
    case OPT_FRAME_S: o->frame_s = number32(state, "frame-s", text, 1, 86400); break;
    case OPT_FRAME_BYTES: o->frame_bytes = number32(state, "frame-bytes", text, 512, 61440); break;
    case OPT_OUTBOX_BYTES:
      o->outbox_bytes = number32(state, "outbox-bytes", text, 1024, 1u << 30);
      break;
    case OPT_RING_BYTES: o->ring_bytes = number32(state, "ring-bytes", text, 256, 1u << 20); break;
    case OPT_RATE: pair_parse(state, "rate", text, 1, 90, &o->rate_per_s, &o->backlog_per_s); break;
    case OPT_KEEP_ALIVE: o->keep_alive_s = number32(state, "keep-alive", text, 5, 65535); break;
    case OPT_BACKOFF:
      pair_parse(state, "backoff", text, 1, 3600000, &o->backoff_base_ms, &o->backoff_max_ms);
      break;
    case OPT_RECEIPT_WAIT:
      o->receipt_wait_ms = number32(state, "receipt-wait", text, 100, 3600000);
      break;
    case OPT_CONNECT_TIMEOUT:
      o->connect_timeout_s = number32(state, "connect-timeout", text, 1, 3600);
      break;
    case OPT_OUTAGE: outage_add(state, o, text); break;
    case OPT_CLOSE_TIMEOUT:
      o->close_timeout_s = number32(state, "close-timeout", text, 0, 86400);
      break;
    case OPT_SUMMARY: o->summary = text; break;
    case OPT_JSON: o->json = true; break;
    case OPT_PROGRESS: o->progress = true; break;
    case 'q': o->quiet = true; break;
    case ARGP_KEY_ARG: argp_error(state, "'%s' is not an option", text); break;
    case ARGP_KEY_END:
      if (!o->store && o->outbox_bytes == 0) o->outbox_bytes = 1u << 20;
      if (o->frame_bytes == 0) o->frame_bytes = o->store ? 2048 : 4096;
      whole_check(state, o);
      break;
    default: return ARGP_ERR_UNKNOWN;
  }
  return 0;
}

void options_parse(options *o, int argc, char **argv) {
  static const struct argp parser = {.options = table, .parser = option_parse, .doc = about};
  *o = (options){.speed = 1,
                 .repeat = 1,
                 .seed = 1,
                 .ring_bytes = 1u << 16,
                 .rate_per_s = 50,
                 .backlog_per_s = 20,
                 .keep_alive_s = 60,
                 .backoff_base_ms = 1000,
                 .backoff_max_ms = 60000,
                 .receipt_wait_ms = 30000,
                 .connect_timeout_s = 20,
                 .close_timeout_s = 30};
  argp_err_exit_status = 64;
  argp_parse(&parser, argc, argv, 0, NULL, o);
}
