/* SPDX-License-Identifier: Apache-2.0 */
/* wire_report.c - the figures, and the bars that they must not pass. */
#include <stdio.h>
#include <string.h>

#include "wire.h"

/* Bars of ports/mqtt. */
#define WEARABLE_BYTES_MAX 2900u /* a resumed connection of the hourly wearable, everything */
#define JSON_SHARE_MAX 0.25      /* of the ordinary JSON client's */
#define BEYOND_10S_MAX 700.0     /* ecg-10s: bytes beyond payload in 10 s */
#define RESUMED_SHARE_MAX 0.5    /* of a full handshake, in bytes */

const char *wire_client_name(uint8_t client) {
  static const char *const names[WIRE_CLIENTS] = {"healthtel mqtt", "healthtel paho", "JSON",
                                                  "JSON array", "Sparkplug B"};
  return client < WIRE_CLIENTS ? names[client] : "?";
}

static const wire_traffic *traffic_of(const wire_result *r) {
  return &wire_traffics[r->job->traffic];
}

static double whole(const wire_cost *c) {
  return (double)c->up + c->down;
}

static double seconds(const wire_result *r) {
  return r->sum.periods * (traffic_of(r)->period_ms / 1000.0);
}

double wire_beyond_10s(const wire_result *r) {
  return (whole(&r->rest) - (double)r->sum.payload) * 10 / seconds(r);
}

double wire_each(const wire_result *r) {
  return whole(&r->rest) / r->sum.periods;
}

/* ---- Kinds ----------------------------------------------------------------------------------- */

typedef struct kind {
  const char *name, *what;
  double bytes; /* a period */
} kind;

enum { KINDS = 9 };

static void kinds_of(const wire_result *r, kind kinds[KINDS]) {
  const wire_cost *c = &r->rest;
  /* TLS 1.3 hides alerts, which are as long as PINGRESP; in a short connection it is the alert. */
  uint32_t pongs = traffic_of(r)->hourly ? 0 : c->pongs;
  const kind all[KINDS] = {
      {"payload", "messages that carry readings", (double)r->sum.payload},
      {"topics", "MQTT beside it, upwards: topics, births, acknowledgements",
       c->sent - (double)r->sum.payload - pongs},
      {"acks", "CONNACK, SUBACK, PUBACK", c->acks},
      {"receipts", "messages from the broker", c->messages},
      {"pings", "PINGREQ, PINGRESP", 2.0 * pongs},
      {"records", "TLS around these", c->records},
      {"handshake", "TLS handshakes and alerts", (double)c->shake + c->pongs - pongs},
      {"headers", "TCP/IP of segments with data", c->headers},
      {"empty", "SYN, FIN, acknowledgements alone", c->empty_bytes}};
  memcpy(kinds, all, sizeof all);
  for (size_t i = 0; i < KINDS; i++) kinds[i].bytes /= r->sum.periods;
}

/* ---- Tables
 * -------------------------------------------------------------------------------------- */

static void line_head(void) {
  printf("  %-15s %8s %7s %7s %8s %7s %8s %7s %8s\n", "", "messages", "up", "down", "together",
         "packets", "payload", "B/read.", "B/10 s");
}

static void line_print(const wire_result *r) {
  double n = r->sum.periods;
  const wire_cost *c = &r->rest;
  printf("  %-15s %8.1f %7.0f %7.0f %8.0f %7.1f %8.0f %7.2f %8.1f%s\n",
         wire_client_name(r->job->client), r->sum.messages / n, c->up / n, c->down / n,
         wire_each(r), c->packets / n, (double)r->sum.payload / n,
         whole(c) / (r->sum.readings > 0 ? r->sum.readings : 1), wire_beyond_10s(r),
         c->again > 0 ? "  (with segments sent again)" : "");
}

static void kinds_print(const wire_result *r) {
  kind kinds[KINDS];
  kinds_of(r, kinds);
  printf("  %-15s", wire_client_name(r->job->client));
  for (size_t i = 0; i < KINDS; i++) printf(" %9.1f", kinds[i].bytes);
  printf("\n");
}

static void connections_print(const wire_result *r) {
  printf("  %-15s coming up %.0f bytes, of which until TLS was there %u",
         wire_client_name(r->job->client), whole(&r->first), (unsigned)r->handshake_first);
  if (r->handshake_rest > 0) printf(", in later connections %u", (unsigned)r->handshake_rest);
  if (r->ticket_bytes > 0)
    printf("; ticket of %u bytes for %u s", (unsigned)r->ticket_bytes, (unsigned)r->ticket_s);
  printf("\n");
}

static void speeds_print(const wire_traffic *t) {
  if (t->speed > 1) printf("; the clock runs %u times as fast", (unsigned)t->speed);
  if (t->message_speed > 0 && t->message_speed != t->speed)
    printf(", that of JSON and Sparkplug B %u times", (unsigned)t->message_speed);
  printf("\n");
}

static void traffic_print(const wire_result *results, size_t count, uint8_t traffic) {
  const wire_traffic *t = &wire_traffics[traffic];
  const kind *named = NULL;
  kind kinds[KINDS];
  for (size_t i = 0; i < count; i++) {
    const wire_result *r = &results[i];
    if (r->job->traffic != traffic) continue;
    if (named == NULL) {
      printf("\n%s: %s\n  bytes for each %s", t->name, t->what,
             t->hourly ? "connection after the first" : "frame's time");
      speeds_print(t);
      line_head();
      kinds_of(r, kinds);
      named = kinds;
    }
    line_print(r);
  }
  if (named == NULL) return;
  printf("  %-15s", "  of which");
  for (size_t k = 0; k < KINDS; k++) printf(" %9s", named[k].name);
  printf("\n");
  for (size_t i = 0; i < count; i++)
    if (results[i].job->traffic == traffic) kinds_print(&results[i]);
  for (size_t i = 0; i < count; i++)
    if (results[i].job->traffic == traffic) connections_print(&results[i]);
}

void wire_report_table(const wire_result *results, size_t count) {
  printf(
      "Bytes of IP packets, both ways, as on Ethernet (MTU 1500). B/read.: all bytes for each "
      "reading; B/10 s: bytes beyond the payload.\n");
  for (size_t t = 0; t < wire_traffic_count; t++) traffic_print(results, count, (uint8_t)t);
}

/* ---- JSON
 * ---------------------------------------------------------------------------------------- */

static void result_json(const wire_result *r) {
  const wire_traffic *t = traffic_of(r);
  kind kinds[KINDS];
  kinds_of(r, kinds);
  printf(
      "  {\"traffic\": \"%s\", \"client\": \"%s\", \"speed\": %u, \"period_ms\": %u, "
      "\"periods\": %u, \"messages\": %u, \"readings\": %u, \"payload\": %llu, \"up\": %u, "
      "\"down\": %u, \"packets\": %u, \"again\": %u, \"each\": %.1f, \"beyond_10s\": %.1f, "
      "\"coming_up\": %.0f, \"handshake_first\": %u, \"handshake_later\": %u, "
      "\"connection_max\": %u, \"ticket_bytes\": %u, \"ticket_s\": %u, \"resumed\": %u, "
      "\"kinds\": {",
      t->name, wire_client_name(r->job->client), (unsigned)r->job->speed, (unsigned)t->period_ms,
      (unsigned)r->sum.periods, (unsigned)r->sum.messages, (unsigned)r->sum.readings,
      (unsigned long long)r->sum.payload, (unsigned)r->rest.up, (unsigned)r->rest.down,
      (unsigned)r->rest.packets, (unsigned)r->rest.again, wire_each(r), wire_beyond_10s(r),
      whole(&r->first), (unsigned)r->handshake_first, (unsigned)r->handshake_rest,
      (unsigned)r->connection_max, (unsigned)r->ticket_bytes, (unsigned)r->ticket_s,
      (unsigned)r->told.resumed);
  for (size_t k = 0; k < KINDS; k++)
    printf("%s\"%s\": %.1f", k > 0 ? ", " : "", kinds[k].name, kinds[k].bytes);
  printf("}}");
}

void wire_report_json(const wire_result *results, size_t count) {
  printf("{\"suite\": \"wire\", \"results\": [\n");
  for (size_t i = 0; i < count; i++) {
    if (i > 0) printf(",\n");
    result_json(&results[i]);
  }
  printf("\n]}\n");
}

/* ---- Bars
 * ---------------------------------------------------------------------------------------- */

static const wire_result *find(const wire_result *results, size_t count, const char *traffic,
                               wire_client client) {
  for (size_t i = 0; i < count; i++)
    if (results[i].job->client == client && strcmp(traffic_of(&results[i])->name, traffic) == 0)
      return &results[i];
  return NULL;
}

/* 1 when `is` is more than `most`. */
static unsigned bar(const char *what, double is, double most) {
  fprintf(stderr, "htel-bench: %s: %.4g, at most %.4g%s\n", what, is, most,
          is > most ? ": BROKEN" : "");
  return is > most;
}

unsigned wire_bars_check(const wire_result *results, size_t count) {
  unsigned broken = 0;
  const wire_result *wearable = find(results, count, "wearable", WIRE_MQTT);
  const wire_result *json = find(results, count, "wearable", WIRE_JSON);
  const wire_result *ecg = find(results, count, "ecg-10s", WIRE_MQTT);
  if (wearable != NULL) {
    broken += bar("hourly wearable: bytes of a resumed connection", wire_each(wearable),
                  WEARABLE_BYTES_MAX);
    broken += bar("bytes until TLS is there, resumed / full",
                  (double)wearable->handshake_rest / wearable->handshake_first, RESUMED_SHARE_MAX);
    if (wearable->told.resumed != wearable->sum.periods) {
      fprintf(stderr, "htel-bench: %u of %u connections were resumed: BROKEN\n",
              (unsigned)wearable->told.resumed, (unsigned)wearable->sum.periods);
      broken++;
    }
  }
  if (wearable != NULL && json != NULL)
    broken += bar("hourly wearable: its bytes / those of the JSON client",
                  wire_each(wearable) / wire_each(json), JSON_SHARE_MAX);
  if (ecg != NULL)
    broken += bar("ECG, frames of 10 s: bytes beyond the payload in 10 s", wire_beyond_10s(ecg),
                  BEYOND_10S_MAX);
  return broken;
}
