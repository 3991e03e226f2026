/* SPDX-License-Identifier: Apache-2.0 */
/* htel-monitor: a patient monitor on Linux, as an example and for tests. See monitor.h. */
#define _GNU_SOURCE
#include "monitor.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FRAME_MS 10000u
#define FRAME_ROWS 10u
#define FRAME_MS_MAX 86400000u

/* ---- Signals --------------------------------------------------------------------------- */

static volatile sig_atomic_t stop_asked;
static htel_posix *stop_wakes; /* ends the loop's sleep; set before the handler is */

static void stop_ask(int signal) {
  (void)signal;
  stop_asked++;
  htel_posix_wake(stop_wakes);
}

int monitor_stop_asked(void) {
  return stop_asked;
}

void monitor_time_learn(monitor *m) {
  int64_t utc_ms;
  uint32_t uncertainty_ms;
  if (m->utc_known) return; /* then that is the recordings' time */
  if (htel_utc_now(m->tel, &utc_ms, &uncertainty_ms) == 0) htel_posix_utc_learn(&m->posix, utc_ms);
}

static void signals_take(monitor *m) {
  struct sigaction action = {.sa_handler = stop_ask};
  stop_wakes = &m->posix;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
}

uint64_t monitor_clock_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int complain(const char *what, const char *why) {
  fprintf(stderr, "htel-monitor: %s%s%s\n", what, why ? ": " : "", why ? why : "");
  return -1;
}

/* ---- Tracks ---------------------------------------------------------------------------- */

static int tracks_open(monitor *m) {
  const options *o = &m->options;
  unsigned wanted = o->replay_count ? o->replay_count : PATIENT_SIGNAL_COUNT;
  for (unsigned i = 0; i < wanted; i++) {
    track *t = &m->tracks[m->track_count++];
    int rc = o->replay_count ? track_open_recording(t, o->replays[i], o->repeat)
                             : track_open_patient(t, (patient_signal)i, o->seed);
    if (rc != 0) return complain(t->error, NULL);
    if (o->duration_s) t->end_ms = (uint64_t)o->duration_s * 1000;
  }
  int count = tracks_device(m->tracks, m->track_count, o->threads ? 2 : 1, m->channels);
  if (count < 0) return complain("the recordings have more than 64 channels together", NULL);
  m->channel_count = (uint16_t)count;
  return 0;
}

/* Recordings with times of their own keep their distances: the earliest begins at tick0. */
static void tracks_place(monitor *m) {
  int64_t earliest = INT64_MAX;
  for (unsigned i = 0; i < m->track_count; i++) {
    const recording *r = m->tracks[i].recording;
    if (r && r->irregular && r->t_ms_first < earliest) earliest = r->t_ms_first;
  }
  if (earliest == INT64_MAX || m->options.utc == OPTIONS_UTC_NOW) return;
  for (unsigned i = 0; i < m->track_count; i++) {
    const recording *r = m->tracks[i].recording;
    if (r && r->irregular) m->tracks[i].start_ms = (uint64_t)(r->t_ms_first - earliest);
  }
  m->utc0_ms = earliest;
  m->utc_known = true;
}

static uint8_t spo2_channel(const monitor *m) {
  for (unsigned i = 0; i < m->channel_count; i++)
    if (m->channels[i].code == HTEL_MDC_SPO2) return (uint8_t)i;
  return HTEL_NO_SOURCE;
}

/* ---- The client ------------------------------------------------------------------------ */

enum { CA, CERT, KEY, CRL, PEMS };

static int paho_open(monitor *m, char *const pem[PEMS]) {
  const options *o = &m->options;
  htel_paho_config config = {.host = o->host,
                             .port = o->port,
                             .ca_pem = pem[CA],
                             .cert_pem = pem[CERT],
                             .key_pem = pem[KEY],
                             .crl_pem = pem[CRL],
                             .alpn = o->alpn,
                             .connect_timeout_ms = o->connect_timeout_s * 1000,
                             .utc = htel_posix_utc,
                             .utc_ctx = &m->posix,
                             .utc_floor_ms = o->utc_floor_ms,
                             .wake = htel_posix_wake,
                             .wake_ctx = &m->posix};
  return htel_paho_new(&m->paho, &config);
}

static int mqtt_open(monitor *m, char *const pem[PEMS]) {
  const options *o = &m->options;
  htel_dial_config config = {.host = o->host,
                             .port = o->port,
                             .ca_pem = pem[CA],
                             .cert_pem = pem[CERT],
                             .key_pem = pem[KEY],
                             .crl_pem = pem[CRL],
                             .alpn = o->alpn,
                             .utc_floor_ms = o->utc_floor_ms,
                             .posix = &m->posix};
  int rc = htel_dial_new(&m->dial, &config);
  if (rc != 0) return rc;
  htel_port clock = htel_posix_port(&m->posix, NULL);
  m->mqtt_config = (htel_mqtt_config){.transport = htel_dial_transport(m->dial),
                                      .tick_ms = clock.tick_ms,
                                      .tick_ctx = clock.ctx,
                                      .buffer = m->mqtt_buffer,
                                      .buffer_size = sizeof m->mqtt_buffer,
                                      .connect_timeout_ms = o->connect_timeout_s * 1000};
  return htel_mqtt_init(&m->mqtt, &m->mqtt_config);
}

static const htel_link *broker_open(monitor *m) {
  const options *o = &m->options;
  const char *const paths[PEMS] = {o->ca, o->cert, o->key, o->crl};
  char *pem[PEMS] = {NULL};
  int rc = 0;
  for (int i = 0; i < PEMS && rc == 0; i++)
    if (paths[i] && (rc = htel_pem_load(paths[i], &pem[i])) != 0)
      complain(paths[i], htel_strerror(rc));
  if (rc == 0) {
    rc = o->link == OPTIONS_LINK_MQTT ? mqtt_open(m, pem) : paho_open(m, pem);
    if (rc != 0) complain("the connection cannot be set up", htel_strerror(rc));
  }
  for (int i = 0; i < PEMS; i++) htel_pem_free(pem[i]);
  if (rc != 0) return NULL;
  return o->link == OPTIONS_LINK_MQTT ? htel_mqtt_link(&m->mqtt) : htel_paho_link(m->paho);
}

static const htel_link *link_open(monitor *m) {
  const options *o = &m->options;
  const htel_link *link;
  if (o->out) {
    if (capture_open(&m->capture, o->out, o->device) != 0) {
      complain(o->out, strerror(errno));
      return NULL;
    }
    link = capture_link(&m->capture);
  } else {
    link = broker_open(m);
    if (!link) return NULL;
  }
  if (o->outage_count == 0) return link;
  outage_init(&m->outage, link, &m->port, o->outages, o->outage_count);
  return outage_link(&m->outage);
}

static int store_open(monitor *m) {
  const options *o = &m->options;
  if (!o->store) return 0;
  if (htel_posix_flash_open(&m->store, o->store, o->store_bytes, 0, 0) != 0)
    return complain(o->store, m->store.why);
  m->store_open = true;
  return 0;
}

static int port_open(monitor *m) {
  const char *boot_file = m->options.store ? NULL : m->options.boot_file; /* it has its own */
  int rc = htel_posix_open(&m->posix, boot_file);
  if (rc != 0) return complain(m->options.boot_file, htel_strerror(rc));
  m->posix_open = true;
  if (store_open(m) != 0) return -1;
  const htel_link *link = link_open(m);
  if (!link) return -1;
  m->port = htel_posix_port(&m->posix, link);
  m->outage.tick0 = m->port.tick_ms(m->port.ctx);
  return 0;
}

/* Ten seconds of signal; but when slow recordings fly past, ten rows, since a frame for each
 * reading would cost many times what it carries. In real time nothing is held back longer than ten
 * seconds. */
static uint32_t frame_ms(const monitor *m) {
  uint64_t ms = FRAME_MS;
  if (m->options.frame_s) return m->options.frame_s * 1000;
  if (m->options.speed == 1) return FRAME_MS;
  for (unsigned i = 0; i < m->track_count; i++) {
    const track *t = &m->tracks[i];
    if (t->kind == HTEL_ALARM) continue;
    if (t->rate.num == 0) return FRAME_MS;
    uint64_t rows_ms = recording_offset_ms(t->rate, FRAME_ROWS);
    if (i == 0 || rows_ms < ms) ms = rows_ms;
  }
  if (ms < FRAME_MS) return FRAME_MS;
  return ms < FRAME_MS_MAX ? (uint32_t)ms : FRAME_MS_MAX;
}

static void open_complain(const monitor *m, int rc) {
  const options *o = &m->options;
  if (o->store && rc == HTEL_E_FORMAT)
    complain(o->store, "is neither a store nor erased throughout: it stays as it is");
  else if (o->store && rc == HTEL_E_VERSION)
    complain(o->store, "is a store of another layout or other block sizes: it stays as it is");
  else if (o->store && m->store.why[0])
    complain(o->store, m->store.why);
  else
    complain("the client cannot be opened", htel_strerror(rc));
}

static int client_open(monitor *m) {
  const options *o = &m->options;
  htel_config_fault fault = {0};
  htel_config config = {.device_id = o->device,
                        .firmware = MONITOR_FIRMWARE,
                        .channels = m->channels,
                        .channel_count = m->channel_count,
                        .ring_count = o->threads ? 2 : 1,
                        .ring_bytes = {o->ring_bytes, o->threads ? o->ring_bytes : 0},
                        .session = o->session,
                        .coding = o->coding,
                        .batch = {.age_ms_max = frame_ms(m), .bytes_max = (uint16_t)o->frame_bytes},
                        .outbox = {.bytes = o->outbox_bytes},
                        .delivery = {.mode = o->out ? (uint8_t)HTEL_DELIVERY_BROKER : o->delivery,
                                     .rate_per_s_max = (uint16_t)o->rate_per_s,
                                     .backlog_per_s_max = (uint16_t)o->backlog_per_s,
                                     .keep_alive_s = (uint16_t)o->keep_alive_s,
                                     .backoff_base_ms = o->backoff_base_ms,
                                     .backoff_max_ms = o->backoff_max_ms,
                                     .receipt_wait_ms = o->receipt_wait_ms},
                        .fault = &fault};
  if (o->store) {
    config.outbox.code = &htel_outbox_on_flash;
    config.outbox.flash = &m->store.flash;
    config.outbox.persist_frames = (uint8_t)o->persist_frames;
    config.outbox.persist_ms = o->persist_ms;
  }
  int32_t needed = htel_memory_needed(&config);
  int rc = needed < 0 ? needed : 0;
  if (rc == 0) {
    m->memory = malloc((size_t)needed);
    rc = m->memory ? htel_open(&m->tel, m->memory, (size_t)needed, &config, &m->port)
                   : HTEL_E_MEMORY;
  }
  if (rc == HTEL_E_CONFIG)
    fprintf(stderr, "htel-monitor: the configuration is refused: %s (%u): %s\n", fault.field,
            fault.index, fault.why);
  else if (rc != 0)
    open_complain(m, rc);
  return rc == 0 ? 0 : -1;
}

/* In a replay all times come from one anchor, so that row i is exactly at first + i * period: the
 * port's own clock must not add others. A synthetic patient is a live device, with the port's
 * clock. */
static int (*utc_take(monitor *m))(void *, int64_t *, uint32_t *) {
  int (*utc)(void *, int64_t *, uint32_t *) = m->port.utc;
  bool live = m->options.replay_count == 0 && m->options.speed == 1;
  if (!live) m->port.utc = NULL;
  return live ? NULL : utc;
}

static int players_start(monitor *m, int (*utc)(void *, int64_t *, uint32_t *)) {
  m->begun_ms = m->told_ms = monitor_clock_ms();
  m->tick0 = m->port.tick_ms(m->port.ctx);
  uint32_t uncertainty_ms = 0;
  if (utc && !m->utc_known) m->utc_known = utc(m->port.ctx, &m->utc0_ms, &uncertainty_ms) == 0;
  int rc = utc && m->utc_known ? htel_utc_set(m->tel, m->tick0, m->utc0_ms, uncertainty_ms) : 0;
  if (rc != 0) return complain("the time cannot be set", htel_strerror(rc));

  m->player_count = m->options.threads ? 2 : 1;
  for (unsigned i = 0; i < m->player_count; i++)
    m->players[i] = (player){.tel = m->tel,
                             .port = &m->port,
                             .tick0 = m->tick0,
                             .live = !utc,
                             .alarm_source = spo2_channel(m)};
  for (unsigned i = 0; i < m->track_count; i++) {
    track *t = &m->tracks[i];
    player *p = &m->players[t->kind == HTEL_WAVEFORM ? 0 : m->player_count - 1];
    if (player_add(p, t) != 0) return complain(p->error, NULL);
  }
  return 0;
}

static void take_down(monitor *m) {
  free(m->memory);
  htel_paho_free(m->paho);
  htel_dial_free(m->dial);
  if (m->store_open) htel_posix_flash_close(&m->store);
  if (m->posix_open) htel_posix_close(&m->posix);
  for (unsigned i = 0; i < m->track_count; i++) track_close(&m->tracks[i]);
}

static int run(monitor *m) {
  if (tracks_open(m) != 0 || port_open(m) != 0) return -1;
  signals_take(m);
  int (*utc)(void *, int64_t *, uint32_t *) = utc_take(m);
  if (client_open(m) != 0) return -1;
  tracks_place(m);
  if (players_start(m, utc) != 0) return -1;
  int played = play(m);
  int closed = play_close(m);
  int told = report_end(m, closed);
  if (m->store_open && m->store.failed) complain(m->options.store, m->store.why);
  if (m->options.out && capture_close(&m->capture) != 0)
    return complain(m->options.out, strerror(errno));
  return played == 0 && closed == 0 && told == 0 ? 0 : -1;
}

static int recording_write(const options *o) {
  char error[RECORDING_PATH_BYTES_MAX + 256];
  if (patient_record(o->recording_dir, o->duration_s, o->seed, error, sizeof error) == 0) return 0;
  return complain(error, NULL);
}

int main(int argc, char **argv) {
  static monitor m; /* large: not for the stack */
  options_parse(&m.options, argc, argv);
  if (m.options.recording_dir) return recording_write(&m.options) == 0 ? 0 : 1;
  int rc = run(&m);
  take_down(&m);
  return rc == 0 ? 0 : 1;
}
