/* SPDX-License-Identifier: Apache-2.0 */
#include "outage.h"

#include "healthtel/error.h"

static bool offline(const outage *o) {
  uint32_t elapsed_s = (o->port->tick_ms(o->port->ctx) - o->tick0) / 1000;
  for (unsigned i = 0; i < o->plan_count; i++)
    if (elapsed_s >= o->plan[i].start_s && elapsed_s - o->plan[i].start_s < o->plan[i].length_s)
      return true;
  return false;
}

static int link_open(void *ctx, const htel_link_session *session) {
  outage *o = ctx;
  if (o->inner_open) return HTEL_E_AGAIN;
  if (offline(o)) {
    o->refused_due = true;
    return 0;
  }
  int rc = o->inner->open(o->inner->ctx, session);
  o->inner_open = rc == 0;
  return rc;
}

static int link_publish(void *ctx, const htel_message *message) {
  outage *o = ctx;
  if (o->cutting || offline(o)) return HTEL_E_AGAIN;
  return o->inner->publish(o->inner->ctx, message);
}

static int link_next(void *ctx, htel_link_event *event) {
  outage *o = ctx;
  if (o->refused_due) {
    o->refused_due = false;
    *event = (htel_link_event){.kind = HTEL_LINK_DOWN, .error = HTEL_E_CONNECT};
    return 1;
  }
  if (!o->inner_open) return 0;
  if (!o->cutting && offline(o)) {
    o->cutting = true;
    o->inner->close(o->inner->ctx);
  }
  /* Once cut, only the end is heard of. */
  for (int i = 0; i < 256 && o->inner->next(o->inner->ctx, event) == 1; i++) {
    if (event->kind == HTEL_LINK_DOWN) {
      if (o->cutting) event->error = HTEL_E_LINK_LOST;
      o->inner_open = o->cutting = false;
      return 1;
    }
    if (!o->cutting) return 1;
  }
  return 0;
}

static uint32_t link_wait_ms(void *ctx) {
  const outage *o = ctx;
  if (o->refused_due) return 0;
  if (!o->inner_open) return 1000;
  uint32_t wait_ms = o->inner->wait_ms(o->inner->ctx);
  return wait_ms < 50 ? wait_ms : 50; /* to notice the beginning of an outage */
}

static void link_close(void *ctx) {
  outage *o = ctx;
  if (o->inner_open) o->inner->close(o->inner->ctx);
}

void outage_init(outage *o, const htel_link *inner, const htel_port *port,
                 const options_outage *plan, unsigned plan_count) {
  *o = (outage){.inner = inner, .port = port, .plan = plan, .plan_count = plan_count};
  o->link = (htel_link){.ctx = o,
                        .open = link_open,
                        .publish = link_publish,
                        .next = link_next,
                        .wait_ms = link_wait_ms,
                        .close = link_close};
}

const htel_link *outage_link(outage *o) {
  return &o->link;
}
