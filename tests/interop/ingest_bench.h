/* SPDX-License-Identifier: Apache-2.0 */
/* ingest_bench.h - htel-ingest as a program on a bench: a real mosquitto, messages published by
 * hand, receipts caught.
 *
 *     bench_setup, bench_teardown        of each test; *state is the bench
 *     ingest_start(b, NULL, NULL)
 *     subscriber_start(b)                from now on receipts are caught
 *     publish_birth(b, DEV); publish_frame(b, DEV, 1, 60)
 *     wait_receipt(b, STORED, 1)
 *
 * Everything waits at most BENCH_WAIT_MS. */
#ifndef HTEL_TEST_INGEST_BENCH_H
#define HTEL_TEST_INGEST_BENCH_H

#include "broker.h"
#include "healthtel/decode.h"
#include "healthtel/healthtel.h"

#define DEV "dev-1"   /* its receipts are the ones that are caught */
#define OTHER "dev-2" /* minds its own business */
#define BENCH_BOOT 7u
#define BENCH_WAIT_MS 15000u
#define BENCH_PATH_MAX (BROKER_PATH_MAX + 64)

typedef struct bench {
  broker broker;
  char dir[BROKER_PATH_MAX];
  char db[BENCH_PATH_MAX], log[BENCH_PATH_MAX], receipts[BENCH_PATH_MAX];
  pid_t ingest, subscriber;
  uint32_t schema; /* of the birth that was published last */
} bench;

/* With certificates of DEV, OTHER and the ingest; "stranger.crt" is another authority. */
int bench_group_setup(void **state);
int bench_group_teardown(void **state);
int bench_setup(void **state);
int bench_teardown(void **state);
extern char bench_certs[BROKER_PATH_MAX];

/* ---- Messages --------------------------------------------------------------------------- */

/* Published when it returns: the broker has acknowledged it. */
void publish(bench *b, const char *device, const char *kind, const void *bytes, size_t size,
             bool retain);
/* Of a device with one numeric, PULSE. Also keeps it as a file dir/birth. */
void publish_birth(bench *b, const char *device);
void publish_birth_of(bench *b, const char *device, const htel_channel *channels, uint16_t count);
/* A frame of one reading, or of `data`. Also keeps it as a file dir/frame. */
void publish_frame(bench *b, const char *device, uint32_t sequence, int32_t value);
size_t frame_make(const bench *b, uint32_t sequence, int32_t value, uint8_t *out, size_t room);
size_t frame_around(const bench *b, uint32_t sequence, const uint8_t *data, size_t size,
                    uint8_t *out, size_t room);

/* ---- The ingest --------------------------------------------------------------------------- */

void ingest_start(bench *b, const char *option, const char *value); /* and waits until it is up */
void ingest_start_with(bench *b, const char *host, const char *ca_name, const char *option,
                       const char *value);
void ingest_stop(bench *b); /* in order: exit status 0 */
void ingest_kill(bench *b);
long ingest_rss_kib(const bench *b); /* the most it ever was */
unsigned log_count(const bench *b, const char *text);
bool wait_log(const bench *b, const char *text, unsigned count);

/* ---- What came of it ---------------------------------------------------------------------- */

void subscriber_start(bench *b);
/* Until every receipt that the broker has taken is caught. */
void receipts_flush(const bench *b);
typedef enum about { STORED, QUARANTINED, BORN, WANTED } about;
bool receipted(const bench *b, about what, uint32_t number);
bool wait_receipt(const bench *b, about what, uint32_t number);

/* One number out of the database, -1 where there is none. */
int64_t sql(const bench *b, const char *text);
bool wait_sql(const bench *b, const char *text, int64_t wanted);
int audit(const bench *b, const char *device); /* its exit status; NULL: of all devices */

#endif
