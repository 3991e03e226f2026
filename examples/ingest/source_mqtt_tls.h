/* SPDX-License-Identifier: Apache-2.0 */
/* source_mqtt_tls.h - says in words what paho does not: are the certificates usable, why is there
 * no connection? */
#ifndef INGEST_SOURCE_MQTT_TLS_H
#define INGEST_SOURCE_MQTT_TLS_H

#include <stddef.h>
#include <stdint.h>

/* Reads CA, certificate and key. 0; or -1 with `error` naming the file and what is wrong. */
int source_mqtt_tls_check(const char *ca_file, const char *cert_file, const char *key_file,
                          char *error, size_t error_size);

/* Why an attempt to connect failed. `paho` and `tls` are their own last words, tls "" where OpenSSL
 * had none; then the host is asked for a plain TCP connection, which tells how far one gets. Takes
 * some seconds at most, but for the look-up of the name. */
void source_mqtt_tls_explain(const char *host, uint16_t port, const char *paho, const char *tls,
                             char *why, size_t why_size);

#endif
