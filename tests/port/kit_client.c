/* SPDX-License-Identifier: Apache-2.0 */
/* kit_client.c - a whole client on the port: records from interrupts while it polls, and all of it
 * must arrive. The link is the kit's own and takes everything, so that what fails here is the port:
 * a wake() or tick_ms() that interrupts break, atomics that are none, flash under a real load. */
#include "kit_internal.h"

#define RECORD_MS 1000u
#define CLOSE_MS 10000u
#define TOKENS_MAX 16u
#define CLIENT_BLOCKS_MAX 16u /* of the flash */
#define MAIN_EVERY_MS 10u

static const char client_section[] = "Interrupts";

/* ---- A link that takes everything and acknowledges it -------------------------------------- */

typedef struct kit_link {
  htel_link link;
  bool open, up, closing;
  uint32_t tokens[TOKENS_MAX], token_count;
  uint32_t messages;
} kit_link;

static int link_open(void *ctx, const htel_link_session *session) {
  kit_link *l = ctx;
  (void)session;
  if (l->open) return HTEL_E_AGAIN;
  l->open = true;
  l->up = l->closing = false;
  l->token_count = 0;
  return 0;
}

static int link_publish(void *ctx, const htel_message *message) {
  kit_link *l = ctx;
  uint8_t piece[64];
  if (!l->up || l->token_count == TOKENS_MAX) return HTEL_E_AGAIN;
  for (uint32_t at = 0; at < message->size; at += (uint32_t)sizeof piece) {
    uint32_t left = message->size - at;
    int rc = message->read(message->source, message->token, at, piece,
                           left < sizeof piece ? left : sizeof piece);
    if (rc != 0) return rc;
  }
  l->tokens[l->token_count++] = message->token;
  l->messages++;
  return 0;
}

static int link_next(void *ctx, htel_link_event *event) {
  kit_link *l = ctx;
  *event = (htel_link_event){0};
  if (!l->open) return 0;
  if (!l->up) {
    l->up = true;
    event->kind = HTEL_LINK_UP;
  } else if (l->token_count > 0) {
    event->kind = HTEL_LINK_ACKED;
    event->token = l->tokens[0];
    l->token_count--;
    for (uint32_t i = 0; i < l->token_count; i++) l->tokens[i] = l->tokens[i + 1u];
  } else if (l->closing) {
    l->open = false;
    event->kind = HTEL_LINK_DOWN;
  } else {
    return 0;
  }
  return 1;
}

static uint32_t link_wait_ms(void *ctx) {
  const kit_link *l = ctx;
  return l->token_count > 0 || l->closing || (l->open && !l->up) ? 0 : 1000;
}

static void link_close(void *ctx) {
  kit_link *l = ctx;
  l->closing = true;
}

/* ---- The client ---------------------------------------------------------------------------- */

typedef struct trial {
  kit *k;
  kit_link link;
  htel_port port; /* the port, with the kit's link */
  htel_flash flash;
  htel *tel;
  volatile uint32_t accepted, refused; /* from interrupts */
  uint32_t main_accepted, main_refused;
} trial;

static void record_in_interrupt(void *arg) {
  trial *t = arg;
  if (htel_record(t->tel, 0, (int32_t)t->accepted) == 0)
    t->accepted++;
  else
    t->refused++;
}

/* Polls and sleeps as a product does. */
static void poll_and_wait(trial *t) {
  uint32_t ms = htel_poll(t->tel);
  kit_wait(t->k, ms < MAIN_EVERY_MS ? ms : MAIN_EVERY_MS);
}

static void record_in_main(trial *t, uint32_t past_ms) {
  if (past_ms / MAIN_EVERY_MS < t->main_accepted + t->main_refused) return;
  if (htel_record(t->tel, 1, (int32_t)past_ms) == 0)
    t->main_accepted++;
  else
    t->main_refused++;
}

static void run(trial *t) {
  const kit_config *c = t->k->config;
  uint32_t from_ms = kit_ms(t->k), past_ms = 0;
  if (c->interrupts != NULL) c->interrupts(c->ctx, record_in_interrupt, t);
  for (; past_ms < RECORD_MS; past_ms = kit_ms(t->k) - from_ms) {
    record_in_main(t, past_ms);
    poll_and_wait(t);
  }
  if (c->interrupts != NULL) c->interrupts(c->ctx, NULL, NULL);
}

static void finish(trial *t) {
  kit *k = t->k;
  htel_stats stats;
  uint32_t from_ms = kit_ms(k);
  int rc;
  do {
    rc = htel_close(t->tel, CLOSE_MS);
    htel_stats_get(t->tel, &stats);
    if (rc == HTEL_E_AGAIN) kit_wait(k, 1);
  } while (rc == HTEL_E_AGAIN && kit_ms(k) - from_ms < 2u * CLOSE_MS);
  uint32_t accepted = (uint32_t)stats.readings_accepted, main_accepted = t->main_accepted;
  uint32_t refused = t->refused + t->main_refused;
  if (rc != 0)
    kit_fail(k, "htel_close() gave %s: with a link that takes everything all must leave",
             htel_errname(rc));
  if (accepted != t->accepted + main_accepted || (uint32_t)stats.readings_refused != refused)
    kit_fail(k,
             "htel_record() took %u readings from interrupts and %u from the main loop, %u came "
             "out of the rings; it refused %u, %u were counted: are atomics real on this part, is "
             "record called from one priority only?",
             (unsigned)t->accepted, (unsigned)main_accepted, (unsigned)accepted, (unsigned)refused,
             (unsigned)stats.readings_refused);
  if (stats.readings_delivered != stats.readings_accepted)
    kit_fail(k, "of %u readings %u were delivered", (unsigned)accepted,
             (unsigned)stats.readings_delivered);
  kit_say(k,
          "%u readings from interrupts, %u from the main loop, %u refused, all accounted for; "
          "longest htel_poll %u ms",
          (unsigned)t->accepted, (unsigned)main_accepted, (unsigned)refused,
          (unsigned)stats.poll_ms_max);
}

static bool erase_all(kit *k, const htel_flash *flash) {
  for (uint32_t block = 0; block < flash->block_count; block++)
    if (!kit_returned(k, "flash.erase()", flash->erase(flash->ctx, block))) return false;
  return true;
}

/* With the outbox in RAM, or on a few blocks of the flash. */
static void client(kit *k, const htel_outbox_code *outbox) {
  static const htel_channel channels[] = {{.code = 1, .name = "FIRST"},
                                          {.code = 2, .name = "SECOND", .ring = 1}};
  htel_config_fault fault = {0};
  htel_config config = {.device_id = "port-kit",
                        .channels = channels,
                        .channel_count = 2,
                        .ring_count = 2,
                        .ring_bytes = {1024, 512},
                        .coding = HTEL_CODING_FAST,
                        .batch = {.age_ms_max = 200, .bytes_max = 512},
                        .outbox = {.bytes = outbox != NULL ? 1024 : 2048, .code = outbox},
                        .delivery = {.mode = HTEL_DELIVERY_BROKER, .backoff_base_ms = 10},
                        .fault = &fault};
  trial t = {.k = k, .port = *k->port};
  t.link.link = (htel_link){&t.link, link_open, link_publish, link_next, link_wait_ms, link_close};
  t.port.link = &t.link.link;
  if (outbox != NULL) {
    t.flash = *k->flash;
    if (t.flash.block_count > CLIENT_BLOCKS_MAX) t.flash.block_count = CLIENT_BLOCKS_MAX;
    if (!erase_all(k, &t.flash)) return;
    config.outbox.flash = &t.flash;
  }
  int32_t needed = htel_memory_needed(&config);
  if (needed < 0) {
    kit_fail(k, "the kit's own configuration is refused: %s %s", fault.field, fault.why);
    return;
  }
  if ((uint32_t)needed > k->config->memory_size) {
    kit_skip(k, "needs config.memory of %d bytes", (int)needed);
    return;
  }
  int rc = htel_open(&t.tel, k->config->memory, k->config->memory_size, &config, &t.port);
  if (!kit_returned(k, "htel_open()", rc)) return;
  run(&t);
  finish(&t);
  /* No half of a log is left, which a product might take for its own. */
  if (outbox != NULL) (void)erase_all(k, &t.flash);
}

static void check_record(kit *k) {
  if (kit_needs_clock(k)) client(k, NULL);
}

static void check_outbox(kit *k) {
  if (!kit_needs_clock(k)) return;
  if (k->flash == NULL || k->config->outbox == NULL || k->flash_failed) {
    kit_skip(k, k->flash_failed ? "the flash must first pass its own checks"
                                : "no flash, or .outbox = &htel_outbox_on_flash was not given");
    return;
  }
  client(k, k->config->outbox);
}

/* What carries it in the product. */
static void check_link(kit *k) {
  const htel_link *link = k->port->link;
  if (link == NULL || link->open == NULL || link->publish == NULL || link->next == NULL ||
      link->wait_ms == NULL || link->close == NULL)
    kit_fail(k, "port.link must be there with all of its functions: htel_mqtt_link() gives one");
}

const kit_check kit_client_checks[] = {{"link.there", "Network", check_link},
                                       {"client.record", client_section, check_record},
                                       {"client.outbox", client_section, check_outbox},
                                       {NULL, NULL, NULL}};
