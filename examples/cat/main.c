/* SPDX-License-Identifier: Apache-2.0 */
/* htel-cat: shows what is in frames. */
#include <argp.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "image_print.h"
#include "print.h"

const char *argp_program_version = "htel-cat " HTEL_VERSION;

enum {
  OPT_TEXT = 256,
  OPT_CSV,
  OPT_JSONL,
  OPT_BIRTH,
  OPT_DEVICE,
  OPT_CHANNEL,
  OPT_DB,
  OPT_STORE,
  OPT_JSON,
  OPT_NO_TIME,
  OPT_QUALITY
};

typedef struct cat_options {
  int form; /* OPT_TEXT, OPT_CSV or OPT_JSONL; 0: what is in the store */
  const char *births[16];
  unsigned birth_count;
  const char *device, *db, *store;
  bool json;
  char **files;
  int file_count;
  print_options print;
} cat_options;

static const struct argp_option table[] = {
    {"text", OPT_TEXT, NULL, 0, "Frame by frame, for reading (default)", 1},
    {"csv", OPT_CSV, NULL, 0,
     "A row for each instant, a column for each channel (alarms left out). The first column, t_ms, "
     "is UTC in ms "
     "where an anchor is known, else ms since boot",
     1},
    {"jsonl", OPT_JSONL, NULL, 0,
     "A JSON object on each line: one for each numeric reading and alarm, one for each block of "
     "waveform samples (tick and utc_ms are of its first sample; rate is [num, den]; quality, a "
     "list of numbers, is there when not all samples are valid)",
     1},
    {"no-time", OPT_NO_TIME, NULL, 0, "csv: without t_ms", 2},
    {"quality", OPT_QUALITY, NULL, 0, "csv: a column NAME.q after each channel", 2},
    {"channel", OPT_CHANNEL, "NAME", 0, "This channel alone; may be given several times", 2},
    {"device", OPT_DEVICE, "ID", 0, "This device alone; for raw frames: whose they are", 2},
    {"birth", OPT_BIRTH, "FILE", 0, "A birth message, for raw frames; may be given several times",
     3},
    {"db", OPT_DB, "FILE", 0, "Frames out of htel-ingest's database", 3},
    {"store", OPT_STORE, "FILE", 0,
     "The image of a device's flash (htel-monitor --store). Says what is in it: boots, frames that "
     "wait and that are done, wear, what is damaged and where. With --text, --csv or --jsonl: its "
     "frames, as those of other files; --birth and --device say whose they are",
     3},
    {"json", OPT_JSON, NULL, 0, "store: say it as JSON, with a list of the frames", 3},
    {0},
};

static const char about[] =
    "Shows what is in frames: of capture files (htel-monitor --out), of single raw frames, of an "
    "ingest's database, of a device's flash.\v"
    "A FILE may be - for the standard input; it goes through an unnamed temporary file, since it "
    "is read "
    "twice. Frames are shown in the order of device, boot and sequence, each once. In memory are "
    "an "
    "index of about 100 bytes a frame, one frame's readings, and with --csv those that "
    "overlap in time.\n\n"
    "What is damaged is told on stderr, the rest is shown. Exit status: 0, 1 when something was "
    "damaged or missing, 64 the command line is wrong.";

static void whole_check(struct argp_state *state, cat_options *o) {
  bool others = o->file_count > 0 || o->db != NULL;
  if (o->store == NULL && !others)
    argp_error(state, "nothing to show: give a FILE, -, --db or --store");
  if (o->store == NULL && o->json) argp_error(state, "--json is for --store");
  if (o->json && o->form != 0) argp_error(state, "--json goes without --text, --csv and --jsonl");
  if (o->store != NULL && o->form == 0 && others)
    argp_error(state, "with other files --store needs --text, --csv or --jsonl");
  if (o->store == NULL && o->form == 0) o->form = OPT_TEXT;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  cat_options *o = state->input;
  switch (key) {
    case OPT_TEXT:
    case OPT_CSV:
    case OPT_JSONL: o->form = key; return 0;
    case OPT_NO_TIME: o->print.no_time = true; return 0;
    case OPT_QUALITY: o->print.quality = true; return 0;
    case OPT_DB: o->db = arg; return 0;
    case OPT_STORE: o->store = arg; return 0;
    case OPT_JSON: o->json = true; return 0;
    case OPT_DEVICE:
      if (!device_id_valid(arg, strlen(arg)))
        argp_error(state, "--device must be 1 to 36 of A-Z a-z 0-9 _ -");
      o->device = arg;
      return 0;
    case OPT_BIRTH:
      if (o->birth_count == sizeof o->births / sizeof o->births[0])
        argp_error(state, "--birth may be given 16 times at most");
      else
        o->births[o->birth_count++] = arg;
      return 0;
    case OPT_CHANNEL:
      if (o->print.channel_count == PRINT_NAMES_MAX)
        argp_error(state, "--channel may be given %u times at most", PRINT_NAMES_MAX);
      else
        o->print.channels[o->print.channel_count++] = arg;
      return 0;
    case ARGP_KEY_ARGS:
      o->files = state->argv + state->next;
      o->file_count = state->argc - state->next;
      return 0;
    case ARGP_KEY_END: whole_check(state, o); return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

/* Damage is told by its place in the block, which the report has too. */
static bool store_told(const image *im) {
  bool good = im->erased || im->mounted == 0;
  if (!good)
    fprintf(stderr, "htel-cat: %s: a device would refuse this image: %s\n", im->name,
            htel_errname(im->mounted));
  for (size_t i = 0; i < im->damage_count; i++) {
    const image_damage *d = &im->damages[i];
    if (!image_damage_counts(d->kind)) continue;
    good = false;
    fprintf(stderr, "htel-cat: %s: at byte %" PRIu32 ": %s\n", im->name,
            d->block * im->flash.block_bytes + d->offset, image_damage_words(d->kind));
  }
  return good;
}

/* What is in the store, not in its frames. */
static bool store_show(const cat_options *o) {
  image *im = calloc(1, sizeof *im);
  if (im == NULL) return false;
  bool good = image_read(im, o->store);
  bool told = good && store_told(im);
  if (good && o->json)
    told &= image_print_json(im);
  else if (good)
    image_print_words(im);
  image_free(im);
  free(im);
  return told;
}

static void store_gather(input *in, const char *path) {
  image *im = calloc(1, sizeof *im);
  if (im == NULL || !image_read(im, path)) {
    in->failed = true;
  } else {
    if (!store_told(im)) in->damaged++;
    input_add_store(in, im);
  }
  if (im != NULL) image_free(im);
  free(im);
}

static void gather(input *in, const cat_options *o) {
  in->device_wanted = o->device;
  for (unsigned i = 0; i < o->birth_count; i++) input_add_birth(in, o->births[i]);
  if (o->db != NULL) input_add_database(in, o->db);
  if (o->store != NULL) store_gather(in, o->store);
  for (int i = 0; i < o->file_count; i++) input_add_file(in, o->files[i]);
  input_sort(in);
  if (in->duplicates > 0)
    fprintf(stderr, "htel-cat: %" PRIu64 " frames came more than once and are shown once\n",
            in->duplicates);
}

static bool show(input *in, const cat_options *o) {
  if (o->form == OPT_CSV) return print_csv(in, &o->print);
  input_decoded *d = calloc(1, sizeof *d);
  if (d == NULL) {
    fprintf(stderr, "htel-cat: no memory\n");
    return false;
  }
  for (size_t i = 0; i < in->entry_count; i++)
    if (input_frame(in, i, d)) (o->form == OPT_JSONL ? print_jsonl : print_text)(d, &o->print);
  input_decoded_free(d);
  free(d);
  return true;
}

/* False: something was damaged or missing. */
static bool frames_show(const cat_options *o) {
  input *in = calloc(1, sizeof *in);
  if (in == NULL) {
    fprintf(stderr, "htel-cat: no memory\n");
    return false;
  }
  gather(in, o);
  bool good = show(in, o);
  good &= !in->failed && in->damaged == 0;
  input_free(in);
  free(in);
  return good;
}

int main(int argc, char **argv) {
  static const struct argp argp = {
      .options = table, .parser = parse, .args_doc = "[FILE...]", .doc = about};
  cat_options o = {0};
  if (argp_parse(&argp, argc, argv, 0, NULL, &o) != 0) return 1;
  bool good = o.form == 0 ? store_show(&o) : frames_show(&o);
  if (fflush(stdout) != 0 || ferror(stdout)) {
    fprintf(stderr, "htel-cat: the output cannot be written\n");
    good = false;
  }
  return good ? 0 : 1;
}
