/* SPDX-License-Identifier: Apache-2.0 */
/* size_probe.c - a device that uses the whole client, linked to see what of the library stays.
 *
 *     PROBE_FLASH   its frames lie on flash
 *     PROBE_LINK    it has ports/mqtt over ports/mbedtls; TCP is the firmware's own
 *
 * Linked without start-up code, C library start or system calls: that it links at all shows that
 * the core needs none. It is never run; main() only names each public function of a device. */
#include "healthtel/healthtel.h"
#if defined(PROBE_LINK)
#include <htel_mqtt.h>
#include <htel_tls_transport.h>
#endif

/* The firmware's own, at no cost here: the linker puts it nowhere. */
extern struct {
  htel_port port;
  htel_flash flash;
  volatile int result;
  uint64_t memory[1];
#if defined(PROBE_LINK)
  htel_mqtt mqtt;
  htel_mqtt_config mqtt_config;
  htel_tls_identity identity;
  htel_tls_config tls_config;
  htel_tls_transport secure;
  htel_tls_transport_config secure_config;
#endif
} probe;

#if defined(PROBE_LINK)
static int link_use(void) {
  int result = htel_tls_identity_load(&probe.identity, &probe.tls_config);
  result += htel_tls_transport_init(&probe.secure, &probe.secure_config);
  probe.mqtt_config.transport = htel_tls_transport_get(&probe.secure);
  result += htel_mqtt_init(&probe.mqtt, &probe.mqtt_config);
  probe.port.link = htel_mqtt_link(&probe.mqtt);
  htel_tls_identity_free(&probe.identity);
  return result;
}
#endif

int main(void) {
  static const htel_channel channels[] = {
      {.code = HTEL_MDC_ECG_LEAD_II, .kind = HTEL_WAVEFORM, .rate = {360, 1}}};
  static const htel_config config = {
    .device_id = "probe",
    .channels = channels,
    .channel_count = 1,
#if defined(PROBE_FLASH)
    .outbox = {.code = &htel_outbox_on_flash, .flash = &probe.flash},
#endif
  };
  static const htel_alarm_event event = {.source = HTEL_NO_SOURCE};
  static const int32_t samples[36] = {0};
  htel *tel = NULL;
  htel_stats stats;
  int64_t utc_ms = 0;
  uint32_t error_ms = 0;

  int result = (int)htel_memory_needed(&config);
#if defined(PROBE_LINK)
  result += link_use();
#endif
  result += htel_open(&tel, probe.memory, (size_t)result, &config, &probe.port);
  result += htel_record(tel, 0, 1) + htel_record_at(tel, 0, 1, HTEL_VALID, 1);
  result += htel_record_block(tel, 0, samples, 36);
  result += htel_record_block_at(tel, 0, samples, 36, HTEL_ARTEFACT, 1);
  result += htel_alarm(tel, 0, &event) + htel_alarm_at(tel, 0, &event, 1);
  result += htel_utc_set(tel, 0, utc_ms, 1) + htel_utc_now(tel, &utc_ms, &error_ms);
  result += htel_session_set(tel, 1) + (int)htel_poll(tel);
  htel_stats_get(tel, &stats);
  result += htel_flush(tel, 1) + htel_close(tel, 1) + stats.last_error;
  result += htel_strerror(result)[0] + htel_errname(result)[0];
  probe.result = result;
  for (;;) {
  }
}
