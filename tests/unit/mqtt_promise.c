/* SPDX-License-Identifier: Apache-2.0 */
/* mqtt_promise.c - puts ports/mqtt between the core and the fake world of test_promise.c.
 *
 *     core -> ports/mqtt -> bytes, in pieces -> a broker made here -> the fake link -> the fake
 * ingest
 *
 * fake_init() is wrapped by the linker, so the test itself does not know. A connection that the
 * fake world cuts ends here in the middle of whatever is on its way, in both directions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake.h"
#include "mqtt_far.h"

void __real_fake_init(fake *f, uint64_t seed);
void __wrap_fake_init(fake *f, uint64_t seed);

static struct {
  fake *world;
  htel_link link; /* what the core gets */
  htel_mqtt mqtt;
  htel_mqtt_config config;
  far_end far;
  uint8_t buffer[HTEL_MQTT_BUFFER_BYTES(HTEL_MQTT_WINDOW_BYTES_MIN)];
  bool world_open; /* the fake link is open */
  uint16_t next_id;
} bridge;

static uint32_t clock_ms(void *ctx) {
  (void)ctx;
  return bridge.world->tick_ms;
}

static uint16_t u16(const uint8_t *at) {
  return (uint16_t)(at[0] << 8 | at[1]);
}

static int payload_read(void *source, uint32_t token, uint32_t offset, uint8_t *buf, size_t size) {
  (void)token;
  const uint8_t *payload = source;
  memcpy(buf, payload + offset, size);
  return 0;
}

static void on_connect(const far_packet *packet) {
  char id[40], will_topic[128];
  const uint8_t *at = packet->body + 10;
  snprintf(id, sizeof id, "%.*s", u16(at), (const char *)at + 2);
  at += 2 + u16(at);
  snprintf(will_topic, sizeof will_topic, "%.*s", u16(at), (const char *)at + 2);
  htel_link_session session = {.client_id = id, .will_topic = will_topic};
  assert_int_equal(bridge.world->link.open(bridge.world, &session), 0);
  bridge.world_open = true;
}

/* Whether the fake link took it. */
static bool on_publish(const far_packet *packet) {
  char topic[128];
  size_t chars = u16(packet->body);
  snprintf(topic, sizeof topic, "%.*s", (int)chars, (const char *)packet->body + 2);
  static uint8_t payload[HTEL_FRAME_BYTES_MAX];
  size_t size = packet->size - 4 - chars;
  memcpy(payload, packet->body + 4 + chars, size);
  htel_message message = {.topic = topic,
                          .size = (uint32_t)size,
                          .token = u16(packet->body + 2 + chars),
                          .retain = (packet->head & 1) != 0,
                          .source = payload,
                          .read = payload_read};
  return bridge.world->link.publish(bridge.world, &message) == 0;
}

/* The world has cut the connection: some of what was on its way arrives, and then the end. */
static void on_world_down(void) {
  far_end *far = &bridge.far;
  bridge.world_open = false;
  far->read_error = far->write_error = HTEL_E_LINK_LOST;
  far->read_limit =
      far->read + random_below(&far->random, (uint32_t)(far->put.count - far->read + 1));
  far->write_limit = far->got.count;
}

static void world_events(void) {
  htel_link_event event;
  while (bridge.world->link.next(bridge.world, &event) == 1) {
    if (event.kind == HTEL_LINK_UP) far_connack(&bridge.far, 0, 0);
    if (event.kind == HTEL_LINK_ACKED) far_puback(&bridge.far, (uint16_t)event.token);
    if (event.kind == HTEL_LINK_MESSAGE) {
      if (++bridge.next_id == 0) bridge.next_id = 1;
      far_publish(&bridge.far, bridge.next_id, event.payload, event.size);
    }
    if (event.kind == HTEL_LINK_DOWN) on_world_down();
  }
}

static void client_packets(void) {
  far_packet packet;
  for (size_t before = bridge.far.taken; far_take(&bridge.far, &packet);
       before = bridge.far.taken) {
    uint8_t head = packet.head & 0xf0;
    if (head == 0x10) on_connect(&packet);
    if (!bridge.world_open) continue;
    if (head == 0x80) far_suback(&bridge.far, u16(packet.body), 1);
    if (head == 0xc0) far_pingresp(&bridge.far);
    if (head == 0x30 && !on_publish(&packet)) {
      bridge.far.taken = before; /* no room now: again later */
      return;
    }
  }
}

/* What the broker does meanwhile. */
static void broker_step(void) {
  if (!bridge.far.is_open && bridge.world_open) bridge.world->link.close(bridge.world);
  world_events();
  if (bridge.far.is_open) client_packets();
}

/* ---- The link that the core gets ----------------------------------------------------------- */

static int link_open(void *ctx, const htel_link_session *session) {
  broker_step();
  bridge.far.read_limit = bridge.far.write_limit = FAR_ALL;
  bridge.far.read_error = bridge.far.write_error = 0;
  return bridge.mqtt.link.open(ctx, session);
}

static int link_publish(void *ctx, const htel_message *message) {
  return bridge.mqtt.link.publish(ctx, message);
}

static int link_next(void *ctx, htel_link_event *event) {
  broker_step();
  return bridge.mqtt.link.next(ctx, event);
}

static uint32_t link_wait_ms(void *ctx) {
  uint32_t mine = bridge.mqtt.link.wait_ms(ctx);
  uint32_t world = bridge.world->link.wait_ms(bridge.world);
  if (bridge.far.taken < bridge.far.got.count) mine = mine < 1 ? mine : 1;
  return mine < world ? mine : world;
}

static void link_close(void *ctx) {
  bridge.mqtt.link.close(ctx);
}

void __wrap_fake_init(fake *f, uint64_t seed) {
  __real_fake_init(f, seed);
  far_free(&bridge.far);
  memset(&bridge, 0, sizeof bridge);
  bridge.world = f;
  far_end *far = &bridge.far;
  far_init(far, seed);
  far->read_max = seed % 5 == 0 ? 1 : seed % 5 == 1 ? 7 : FAR_ALL;
  far->write_max = seed % 3 == 0 ? 97 : FAR_ALL;
  far->block_pct = (unsigned)(seed % 4) * 20;
  bridge.config = (htel_mqtt_config){.transport = &far->transport,
                                     .tick_ms = clock_ms,
                                     .buffer = bridge.buffer,
                                     .buffer_size = sizeof bridge.buffer};
  assert_int_equal(htel_mqtt_init(&bridge.mqtt, &bridge.config), 0);
  bridge.link = (htel_link){.ctx = &bridge.mqtt,
                            .open = link_open,
                            .publish = link_publish,
                            .next = link_next,
                            .wait_ms = link_wait_ms,
                            .close = link_close};
  f->port.link = &bridge.link;
}
