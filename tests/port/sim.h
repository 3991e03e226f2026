/* SPDX-License-Identifier: Apache-2.0 */
/* sim.h - a device that is made up: a port as it should be, on hardware that keeps its rules, and
 * more than fifty ways to get it wrong. Its time is its own, so that a run takes no time of ours;
 * interrupts come at any call, which is where they hurt.
 *
 * The flash is strict: a unit of 8 bytes with ECC is programmed once between two erases, or the
 * part refuses. So a kit that breaks the contract itself fails on the sound port. */
#ifndef HTEL_TESTS_PORT_SIM_H
#define HTEL_TESTS_PORT_SIM_H

#include "kit.h"
#include "peer.h"

#define SIM_BLOCK_BYTES 4096u
#define SIM_BLOCKS 64u
#define SIM_BYTES (SIM_BLOCK_BYTES * SIM_BLOCKS)
#define SIM_UNIT 8u
#define SIM_QUEUE_BYTES 2048u

typedef enum sim_breakage {
  SIM_SOUND,
  CLOCK_STANDS,
  CLOCK_GOES_BACK,
  CLOCK_IS_COARSE,
  CLOCK_COUNTS_OTHERWISE,
  CLOCK_STOPS_IN_SLEEP,
  CLOCK_WRAPS_EARLY,
  CLOCK_IS_SIGNED,
  CLOCK_IS_TORN,
  RANDOM_IS_SEEDED_ALIKE,
  RANDOM_FILLS_WORDS,
  RANDOM_WRITES_WORDS,
  RANDOM_REPEATS,
  RANDOM_COUNTS,
  RANDOM_IS_OFF,
  BOOT_IS_IN_RAM,
  BOOT_IS_ALWAYS_CLEAN,
  BOOT_FORGETS_THE_RUN,
  BOOT_END_IS_EMPTY,
  UTC_IS_SECONDS,
  UTC_STEPS,
  UTC_NEVER_SET,
  WAKE_IS_LOST,
  WAKE_NOT_FROM_INTERRUPT,
  FLASH_GEOMETRY,
  FLASH_FAILS_UNDER_INTERRUPTS,
  FLASH_UNIT_TOO_SMALL,
  FLASH_BLOCKS_TOO_SMALL,
  FLASH_ERASE_TAKES_ADDRESS,
  FLASH_MIRRORED,
  FLASH_PAGE_WRAPS,
  FLASH_NEEDS_ALIGNED,
  FLASH_PADS_WITH_ZERO,
  FLASH_CACHE_IS_STALE,
  FLASH_STATUS_POSITIVE,
  FLASH_HIDES_ERRORS,
  FLASH_IS_RAM,
  FLASH_SYNC_FAILS,
  FLASH_IS_SLOW,
  STACK_IS_ANOTHER,
  LINK_MISSING,
  NET_NEVER_CONNECTS,
  NET_KEEPS_BUFFER,
  NET_CONNECT_WAITS,
  NET_NEVER_GIVES_UP,
  NET_READ_WAITS,
  NET_READ_TIMES_OUT,
  NET_READ_SAYS_AGAIN,
  NET_WRITE_WAITS,
  NET_WRITE_TAKES_TOO_MUCH,
  NET_END_IS_ZERO,
  NET_END_COMES_FIRST,
  NET_RESET_IS_HIDDEN,
  NET_CLOSE_LOSES,
  NET_CLOSE_LEAKS,
  NET_CLOSE_ONCE_ONLY,
  NET_SLEEPER_IS_LEFT,
  SIM_BREAKAGES
} sim_breakage;

/* What a reset leaves. */
typedef struct sim_device {
  uint8_t flash[SIM_BYTES];
  bool used[SIM_BYTES / SIM_UNIT]; /* programmed since the last erase */
  uint64_t boot_number, unclean_first;
  uint32_t entropy; /* what the noise has come to */
} sim_device;

typedef struct sim_net {
  int state;
  uint64_t since_us;
  uint32_t timeout_ms, opened;
  peer peer;
  peer_count count;
  uint8_t out[SIM_QUEUE_BYTES], in[SIM_QUEUE_BYTES];
  uint32_t out_used, in_used;
  bool armed; /* the sleeper wants to hear of what comes */
  bool ended, reset;
  const uint8_t *kept; /* KEEPS_BUFFER: what is still to be copied */
  uint32_t kept_count;
} sim_net;

/* One boot. */
typedef struct sim {
  sim_breakage broken;
  sim_device *device;
  uint64_t now_us, tick_from_us, next_interrupt_us;
  uint32_t tick_base_ms;
  void (*handler)(void *arg);
  void *handler_arg;
  bool in_interrupt;
  bool woken;
  bool flash_fails;
  uint8_t cached[64]; /* CACHE_IS_STALE */
  uint32_t cached_at;
  uint64_t random_state;
  htel_port port;
  htel_flash flash;
  htel_link link;
  sim_net net;
  htel_mqtt_transport transport, nowhere;
  uint64_t nowhere_us;
  uint32_t nowhere_ms;
} sim;

void sim_device_init(sim_device *device);
void sim_boot(sim *s, sim_device *device, sim_breakage broken);
void sim_config(sim *s, kit_config *config); /* port, hooks and ctx; not the memory, nor print */

/* Between the files of the simulation. */
void sim_spend(sim *s, uint32_t us); /* time passes, interrupts come */
void sim_flash_init(sim *s);
void sim_net_init(sim *s);
void sim_net_run(sim *s); /* bytes move between the port and the peer */

#endif
