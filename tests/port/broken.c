/* SPDX-License-Identifier: Apache-2.0 */
/* broken.c - whether the kit is any good: a sound port passes it, and each broken one fails the
 * check that is meant for it, and no other. Two runs with a reset between, as a porter does.
 *
 *     test_port_broken              all; the exit status is 0 when the kit caught each
 *     test_port_broken 27           one of them, with all that the kit says */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

/* What each must be caught by. `also`: checks that fail too, since what they stand on is broken. */
static const struct {
  const char *what, *check, *also;
} breakages[SIM_BREAKAGES] = {
    [SIM_SOUND] = {"nothing is broken", "", ""},
    [CLOCK_STANDS] = {"tick_ms is left as the template has it", "clock.moves", ""},
    [CLOCK_GOES_BACK] = {"the clock's overflow is counted late", "clock.monotone", ""},
    [CLOCK_IS_COARSE] = {"the clock moves in steps of 100 ms", "clock.step", "clock.wrap"},
    [CLOCK_COUNTS_OTHERWISE] = {"the clock's unit is no millisecond", "clock.rate",
                                "clock.wrap utc.steps"},
    [CLOCK_STOPS_IN_SLEEP] = {"the clock stops in sleep", "clock.sleep", ""},
    [CLOCK_WRAPS_EARLY] = {"microseconds of 32 bits, divided", "clock.wrap", ""},
    [CLOCK_IS_SIGNED] = {"the clock stays at the largest int", "clock.wrap", ""},
    [CLOCK_IS_TORN] = {"the clock's two words are read apart", "clock.interrupt", ""},
    [RANDOM_IS_SEEDED_ALIKE] = {"random without entropy", "random.boots", ""},
    [RANDOM_FILLS_WORDS] = {"random fills whole words only", "random.fills", ""},
    [RANDOM_WRITES_WORDS] = {"random writes beyond the end", "random.fills", ""},
    [RANDOM_REPEATS] = {"random is seeded at each call", "random.repeats",
                        "random.boots random.balance"},
    [RANDOM_COUNTS] = {"random is a counter", "random.balance", ""},
    [RANDOM_IS_OFF] = {"the generator is not switched on", "random.repeats",
                       "random.boots random.balance"},
    [BOOT_IS_IN_RAM] = {"the boot number does not outlive a reset", "boot.kept", ""},
    [BOOT_IS_ALWAYS_CLEAN] = {"no boot is ever unclean", "boot.counts", "boot.kept"},
    [BOOT_FORGETS_THE_RUN] = {"only the last boot is reported", "boot.counts", ""},
    [BOOT_END_IS_EMPTY] = {"boot_end does nothing", "boot.ends", ""},
    [UTC_IS_SECONDS] = {"time in seconds", "utc.range", "utc.steps"},
    [UTC_STEPS] = {"time of whole seconds, said to be exact", "utc.steps", ""},
    [UTC_NEVER_SET] = {"time of 1970 instead of HTEL_E_AGAIN", "utc.range", ""},
    [WAKE_IS_LOST] = {"wake before wait is lost", "wake.before", ""},
    [WAKE_NOT_FROM_INTERRUPT] = {"wake does nothing in interrupts", "wake.interrupt", ""},
    [FLASH_GEOMETRY] = {"blocks of 2 KB", "flash.there", "flash.kept"},
    [FLASH_FAILS_UNDER_INTERRUPTS] = {"a program fails when an interrupt runs from the same bank",
                                      "client.outbox", ""},
    [FLASH_UNIT_TOO_SMALL] = {"units of 8 bytes with ECC, said to be 1", "flash.units", ""},
    [FLASH_BLOCKS_TOO_SMALL] = {"erase clears four blocks", "flash.beside", "flash.borders"},
    [FLASH_ERASE_TAKES_ADDRESS] = {"erase takes the block's number for an address", "flash.erase",
                                   "flash.kept"},
    [FLASH_MIRRORED] = {"half as many blocks as said", "flash.borders", ""},
    [FLASH_PAGE_WRAPS] = {"a program over the end of a page goes on at its beginning",
                          "flash.pages", ""},
    [FLASH_NEEDS_ALIGNED] = {"program needs an aligned buffer", "flash.alignment", ""},
    [FLASH_PADS_WITH_ZERO] = {"short programs are padded with zeros", "flash.program", ""},
    [FLASH_CACHE_IS_STALE] = {"read tells what the cache has", "flash.program", "flash.erase"},
    [FLASH_STATUS_POSITIVE] = {"errors are a vendor's positive numbers", "flash.errors", ""},
    [FLASH_HIDES_ERRORS] = {"errors are hidden", "flash.errors", ""},
    [FLASH_IS_RAM] = {"the flash does not outlive a reset", "flash.kept", ""},
    [FLASH_SYNC_FAILS] = {"sync fails", "flash.sync", "flash.time"},
    [FLASH_IS_SLOW] = {"an erase takes 900 ms", "flash.time", ""},
    [STACK_IS_ANOTHER] = {"the stack is somewhere else", "stack.left", ""},
    [LINK_MISSING] = {"no link", "link.there", ""},
    [NET_NEVER_CONNECTS] = {"step never ends", "net.connect", ""},
    [NET_KEEPS_BUFFER] = {"write keeps the buffer", "net.echo", "net.stall net.close"},
    [NET_CONNECT_WAITS] = {"open waits for the handshake", "net.calls", ""},
    [NET_NEVER_GIVES_UP] = {"connecting never ends", "net.nowhere", ""},
    [NET_READ_WAITS] = {"read waits for bytes", "net.silence", ""},
    [NET_READ_TIMES_OUT] = {"read waits for 10 ms", "net.silence", ""},
    [NET_READ_SAYS_AGAIN] = {"read says HTEL_E_AGAIN for nothing yet", "net.silence", ""},
    [NET_WRITE_WAITS] = {"write waits for room", "net.stall", "net.calls"},
    [NET_WRITE_TAKES_TOO_MUCH] = {"write says it took all", "net.stall", ""},
    [NET_END_IS_ZERO] = {"the end of the stream reads as 0", "net.end", ""},
    [NET_END_COMES_FIRST] = {"the end of the stream comes before its last bytes", "net.end", ""},
    [NET_RESET_IS_HIDDEN] = {"a reset is not told", "net.reset", ""},
    [NET_CLOSE_LOSES] = {"an orderly close throws away what was written", "net.close", ""},
    [NET_CLOSE_LEAKS] = {"connections are not given back", "net.again", ""},
    [NET_CLOSE_ONCE_ONLY] = {"close fails where nothing is open", "net.there", ""},
    [NET_SLEEPER_IS_LEFT] = {"what comes does not end the sleep", "net.wakes", ""},
};

typedef struct verdict {
  char failed[2048]; /* names, each in blanks */
  bool loud;
} verdict;

static verdict said;

static void print(void *ctx, const char *text) {
  (void)ctx;
  if (said.loud) fputs(text, stdout);
}

static void report(void *ctx, const kit_result *result) {
  (void)ctx;
  char name[40];
  snprintf(name, sizeof name, " %s ", result->name);
  if (result->outcome != KIT_FAILED || strstr(said.failed, name) != NULL) return;
  size_t used = strlen(said.failed);
  snprintf(said.failed + used, sizeof said.failed - used, "%s", name);
}

static kit_totals run(sim_device *device, sim_breakage broken, bool again) {
  static sim s;
  static max_align_t memory[KIT_MEMORY_BYTES / sizeof(max_align_t)];
  kit_totals totals = {0};
  sim_boot(&s, device, broken);
  kit_config config = {.memory = memory,
                       .memory_size = sizeof memory,
                       .print = print,
                       .report = report,
                       .again = again};
  sim_config(&s, &config);
  (void)kit_run(&config, &totals);
  return totals;
}

/* Every name that failed is `check` or in `also`. */
static bool no_other(const char *check, const char *also) {
  char names[sizeof said.failed];
  snprintf(names, sizeof names, "%s", said.failed);
  char *rest = NULL;
  for (char *name = strtok_r(names, " ", &rest); name != NULL; name = strtok_r(NULL, " ", &rest))
    if (strcmp(name, check) != 0 && strstr(also, name) == NULL) return false;
  return true;
}

static bool caught(sim_breakage b) {
  char name[40];
  snprintf(name, sizeof name, " %s ", breakages[b].check);
  if (b == SIM_SOUND) return said.failed[0] == '\0';
  return strstr(said.failed, name) != NULL && no_other(breakages[b].check, breakages[b].also);
}

static bool trial(sim_breakage b) {
  static sim_device device;
  said.failed[0] = '\0';
  sim_device_init(&device);
  (void)run(&device, b, false);
  kit_totals second = run(&device, b, true);
  bool good = caught(b) && (b != SIM_SOUND || second.skipped <= 1);
  printf("%s %2d %s: %s\n", good ? "ok  " : "FAIL", (int)b, breakages[b].what,
         said.failed[0] != '\0' ? said.failed : " nothing failed");
  return good;
}

int main(int argc, char **argv) {
  unsigned wrong = 0;
  if (argc > 2 || (argc == 2 && (atoi(argv[1]) < 0 || atoi(argv[1]) >= (int)SIM_BREAKAGES))) {
    fputs("test_port_broken [NUMBER]\n", stderr);
    return 2;
  }
  said.loud = argc == 2;
  for (int b = argc == 2 ? atoi(argv[1]) : 0; b < (argc == 2 ? atoi(argv[1]) + 1 : SIM_BREAKAGES);
       b++)
    if (!trial((sim_breakage)b)) wrong++;
  printf("%u of %d wrong\n", wrong, argc == 2 ? 1 : (int)SIM_BREAKAGES);
  return wrong == 0 ? 0 : 1;
}
