/* SPDX-License-Identifier: Apache-2.0 */
/* htel-crash - the flash outbox against power cuts, damage and wear, on a simulated flash.
 *
 * Runs parts on geometries in modes and prints a line for each. Everything follows from the seed:
 * a failure names the place, and --replay runs that place alone. */
#include "crash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const flash_geometry geometries[] = {
    {"4k", 4096, 32, 1},
    {"64k", 65536, 6, 8},
    {"small", 4096, 4, 4},
};

static const crash_part parts[] = {
    {"cuts", crash_run_cuts, true, false},       {"recovery", crash_run_recovery, true, true},
    {"failing", crash_run_failing, true, false}, {"lives", crash_run_lives, true, false},
    {"bits", crash_run_bits, false, true},       {"images", crash_run_images, false, false},
    {"reads", crash_run_reads, false, false},    {"wear", crash_run_wear, false, false},
};

enum { GEOMETRIES = sizeof geometries / sizeof geometries[0] };
enum { PARTS = sizeof parts / sizeof parts[0] };

static const char usage[] =
    "htel-crash [OPTION...]: the flash outbox against power cuts, damage and wear\n"
    "\n"
    "  --part NAME        cuts, recovery, failing, lives, bits, images, reads, wear, or all\n"
    "  --geometry NAME    4k, 64k, small (16 KB), or all\n"
    "  --mode NAME        none, partial, random, reordered, or all\n"
    "  --seed N           first seed (1); everything follows from it\n"
    "  --operations N     flash operations of each workload that are cut (10000)\n"
    "  --variants N       draws for each operation and mode (1; nightly: 4)\n"
    "  --nightly          longer: more seeds, more draws; --seeds N says how many (20)\n"
    "  --replay PLACE     one place alone, as a failure names it: AT.VARIANT[.RECOVERY.VARIANT]\n"
    "  --first            ends at the first failure\n"
    "  --trace            with --replay: the last operations before it, to stderr\n"
    "  --json             a JSON object a line instead of the table\n"
    "\n"
    "Exit status: 0 all good, 1 something failed, 2 wrong use, 130 ended by a signal.\n";

volatile sig_atomic_t crash_stop;

static void on_signal(int number) {
  (void)number;
  crash_stop = 1;
}

/* ---- The report ---------------------------------------------------------------------- */

static void place_text(const crash_place *p, char *text, size_t size) {
  if (p->recovery == 0)
    snprintf(text, size, "%llu.%u", (unsigned long long)p->at, (unsigned)p->variant);
  else
    snprintf(text, size, "%llu.%u.%llu.%u", (unsigned long long)p->at, (unsigned)p->variant,
             (unsigned long long)p->recovery, (unsigned)p->recovery_variant);
}

static void report_json(const crash_result *r, const char *place) {
  printf(
      "{\"part\":\"%s\",\"geometry\":\"%s\",\"mode\":\"%s\",\"seed\":%llu,"
      "\"operations\":%llu,\"cuts\":%llu,\"mounts\":%llu,\"frames\":%llu,\"lost\":%llu,"
      "\"twice\":%llu,\"holes\":%llu,\"altered\":%llu,\"seconds\":%.1f,\"note\":\"%s\","
      "\"failure\":\"%s\",\"place\":\"%s\"}\n",
      r->part, r->geometry, r->mode, (unsigned long long)r->seed, (unsigned long long)r->operations,
      (unsigned long long)r->cuts, (unsigned long long)r->mounts, (unsigned long long)r->frames,
      (unsigned long long)r->lost, (unsigned long long)r->twice, (unsigned long long)r->holes,
      (unsigned long long)r->altered, r->seconds, r->note, r->failure,
      r->failure[0] == '\0' ? "" : place);
}

static void report(const crash_result *r, const crash_options *o, bool json) {
  char place[96];
  place_text(&r->place, place, sizeof place);
  if (json) {
    report_json(r, place);
  } else {
    printf(
        "%-8s %-5s %-9s operations=%llu cuts=%llu mounts=%llu frames=%llu lost=%llu twice=%llu "
        "holes=%llu altered=%llu %.1f s%s%s\n",
        r->part, r->geometry, r->mode, (unsigned long long)r->operations,
        (unsigned long long)r->cuts, (unsigned long long)r->mounts, (unsigned long long)r->frames,
        (unsigned long long)r->lost, (unsigned long long)r->twice, (unsigned long long)r->holes,
        (unsigned long long)r->altered, r->seconds, r->note[0] == '\0' ? "" : "  ", r->note);
    if (r->failure[0] != '\0')
      printf(
          "FAILED: %s\n  again: htel-crash --part %s --geometry %s --mode %s --seed %llu "
          "--operations %u --replay %s\n",
          r->failure, r->part, r->geometry, r->mode, (unsigned long long)r->seed,
          (unsigned)o->operations, place);
  }
  fflush(stdout);
}

/* ---- Arguments ----------------------------------------------------------------------- */

static bool number_of(const char *text, uint64_t max, uint64_t *value) {
  if (text == NULL || *text < '0' || *text > '9') return false;
  char *end;
  errno = 0;
  unsigned long long v = strtoull(text, &end, 10);
  if (errno != 0 || *end != '\0' || v > max) return false;
  *value = v;
  return true;
}

static bool place_of(const char *text, crash_place *place) {
  unsigned long long at, recovery = 0;
  unsigned variant, recovery_variant = 0;
  char rest;
  int n = sscanf(text, "%llu.%u.%llu.%u%c", &at, &variant, &recovery, &recovery_variant, &rest);
  if (n != 2 && n != 4) return false;
  *place = (crash_place){at, variant, recovery, recovery_variant};
  return true;
}

typedef struct wanted {
  const char *part, *geometry, *mode;
  uint64_t seeds;
  bool json;
  bool first;
} wanted;

static bool is(const char *wish, const char *name) {
  return strcmp(wish, "all") == 0 || strcmp(wish, name) == 0;
}

static bool known(const wanted *w) {
  unsigned part = 0, geometry = 0, mode = 0;
  for (unsigned i = 0; i < PARTS; i++) part += is(w->part, parts[i].name);
  for (unsigned i = 0; i < GEOMETRIES; i++) geometry += is(w->geometry, geometries[i].name);
  for (unsigned i = 0; i < FLASH_MODES; i++) mode += is(w->mode, flash_mode_name((flash_mode)i));
  return part > 0 && geometry > 0 && (mode > 0 || strcmp(w->mode, "-") == 0);
}

static bool *flag_of(const char *name, wanted *w, crash_options *o) {
  if (strcmp(name, "--nightly") == 0) return &o->nightly;
  if (strcmp(name, "--trace") == 0) return &o->trace;
  if (strcmp(name, "--first") == 0) return &w->first;
  return strcmp(name, "--json") == 0 ? &w->json : NULL;
}

static bool arguments(int argc, char **argv, wanted *w, crash_options *o) {
  *w = (wanted){.part = "all", .geometry = "all", .mode = "all"};
  *o = (crash_options){.seed = 1};
  for (int i = 1; i < argc; i++) {
    const char *a = argv[i];
    uint64_t n;
    bool *flag = flag_of(a, w, o);
    if (flag != NULL) {
      *flag = true;
      continue;
    }
    const char *value = i + 1 < argc ? argv[++i] : NULL;
    if (value == NULL) return false;
    if (strcmp(a, "--part") == 0) {
      w->part = value;
    } else if (strcmp(a, "--geometry") == 0) {
      w->geometry = value;
    } else if (strcmp(a, "--mode") == 0) {
      w->mode = value;
    } else if (strcmp(a, "--replay") == 0) {
      o->replay = true;
      if (!place_of(value, &o->place)) return false;
    } else if (strcmp(a, "--seed") == 0 && number_of(value, UINT64_MAX, &n)) {
      o->seed = n;
    } else if (strcmp(a, "--seeds") == 0 && number_of(value, 1000000, &n)) {
      w->seeds = n;
    } else if (strcmp(a, "--operations") == 0 && number_of(value, 100000000, &n)) {
      o->operations = (uint32_t)n;
    } else if (strcmp(a, "--variants") == 0 && number_of(value, 1000, &n)) {
      o->variants = (uint32_t)n;
    } else {
      return false;
    }
  }
  if (o->operations == 0) o->operations = 10000;
  if (o->variants == 0) o->variants = o->nightly ? 4 : 1;
  if (o->replay && o->variants <= o->place.variant) o->variants = o->place.variant + 1;
  if (o->replay && o->variants <= o->place.recovery_variant)
    o->variants = o->place.recovery_variant + 1;
  if (w->seeds == 0) w->seeds = o->nightly ? 20 : 1;
  return known(w);
}

static bool run_one(const crash_part *part, const flash_geometry *g, flash_mode mode,
                    const crash_options *o, bool json) {
  crash_result r = {.part = part->name,
                    .geometry = g->name,
                    .mode = part->modes ? flash_mode_name(mode) : "-",
                    .seed = o->seed};
  double began = crash_now_s();
  part->run(g, mode, o, &r);
  r.seconds = crash_now_s() - began;
  report(&r, o, json);
  return r.failure[0] == '\0';
}

static unsigned run_part(const crash_part *part, const wanted *w, const crash_options *o) {
  unsigned failed = 0;
  for (unsigned g = 0; g < GEOMETRIES && !(w->first && failed > 0); g++) {
    if (!is(w->geometry, geometries[g].name)) continue;
    if (part->small_only && strcmp(geometries[g].name, "small") != 0) continue;
    for (unsigned m = 0; m < FLASH_MODES && !crash_stop && !(w->first && failed > 0); m++) {
      if (part->modes && !is(w->mode, flash_mode_name((flash_mode)m))) continue;
      if (!part->modes && m > 0) continue;
      if (!run_one(part, &geometries[g], (flash_mode)m, o, w->json)) failed++;
    }
  }
  return failed;
}

int main(int argc, char **argv) {
  wanted w;
  crash_options o;
  if (!arguments(argc, argv, &w, &o)) {
    fputs(usage, stderr);
    return 2;
  }
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  unsigned failed = 0;
  for (uint64_t i = 0; i < w.seeds && !crash_stop && !(w.first && failed > 0); i++, o.seed++)
    for (unsigned p = 0; p < PARTS && !(w.first && failed > 0); p++)
      if (is(w.part, parts[p].name)) failed += run_part(&parts[p], &w, &o);
  if (crash_stop)
    fputs("htel-crash: ended by a signal; the last line says how far it came\n", stderr);
  return failed > 0 ? 1 : crash_stop ? 130 : 0;
}
