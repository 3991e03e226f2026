/* SPDX-License-Identifier: Apache-2.0 */
/* tls_verify.c - looks at each certificate of a chain beside mbedTLS.
 *
 * mbedTLS checks signatures, names, constraints and revocation, and times where it has a clock.
 * This adds times by the configuration's clock: mbedTLS's own may be another, or not be there;
 *   revocation without regard to the date in the list: 2.28 passes over an entry whose date lies
 *     in the future of its clock;
 *   what the server's certificate may be used for;
 *   how long the chain will be good, which bounds the life of the session.
 * It can only add faults, except for those of time, which it judges alone. */
#include <string.h>

#include <mbedtls/oid.h>

#include "tls_internal.h"

#define TIME_FLAGS                                                                            \
  (MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE | MBEDTLS_X509_BADCRL_EXPIRED | \
   MBEDTLS_X509_BADCRL_FUTURE)

/* Days from 1970-01-01 in the proleptic Gregorian calendar; the year is taken to begin in March, so
 * that the leap day is its last. */
static int64_t days_from_civil(int64_t year, int64_t month, int64_t day) {
  year -= month <= 2;
  int64_t era = (year >= 0 ? year : year - 399) / 400;
  int64_t year_of_era = year - era * 400;
  int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146097 + day_of_era - 719468;
}

static int64_t unix_time_s(const mbedtls_x509_time *time) {
  return days_from_civil(time->year, time->mon, time->day) * 86400 + (int64_t)time->hour * 3600 +
         (int64_t)time->min * 60 + time->sec;
}

static bool same(const mbedtls_x509_buf *a, const mbedtls_x509_buf *b) {
  return a->len == b->len && memcmp(a->p, b->p, a->len) == 0;
}

static bool lists_serial(const mbedtls_x509_crl *crl, const mbedtls_x509_buf *serial) {
  for (const mbedtls_x509_crl_entry *entry = &crl->entry; entry != NULL && entry->serial.len != 0;
       entry = entry->next) {
    if (same(&entry->serial, serial)) {
      return true;
    }
  }
  return false;
}

static uint32_t revocation_check(htel_tls *tls, const mbedtls_x509_crt *crt) {
  uint32_t found = 0;
  for (const mbedtls_x509_crl *crl = &tls->identity->crl; crl != NULL && crl->version != 0;
       crl = crl->next) {
    if (!same(&crl->issuer_raw, &crt->issuer_raw)) {
      continue;
    }
    int64_t until_s = unix_time_s(&crl->next_update);
    if (tls->now_s > until_s) {
      found |= MBEDTLS_X509_BADCRL_EXPIRED;
    }
    if (tls->now_s < unix_time_s(&crl->this_update)) {
      found |= MBEDTLS_X509_BADCRL_FUTURE;
    }
    if (lists_serial(crl, &crt->serial)) {
      found |= MBEDTLS_X509_BADCERT_REVOKED;
    }
    if (until_s < tls->until_s) {
      tls->until_s = until_s;
    }
  }
  return found;
}

/* mbedTLS looks at this after the chain, and tells it differently from version to version. */
static uint32_t usage_check(const mbedtls_x509_crt *crt) {
  uint32_t found = 0;
  if (mbedtls_x509_crt_check_key_usage(crt, MBEDTLS_X509_KU_DIGITAL_SIGNATURE) != 0) {
    found |= MBEDTLS_X509_BADCERT_KEY_USAGE;
  }
  if (mbedtls_x509_crt_check_extended_key_usage(crt, MBEDTLS_OID_SERVER_AUTH,
                                                MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH)) != 0) {
    found |= MBEDTLS_X509_BADCERT_EXT_KEY_USAGE;
  }
  return found;
}

int verify_certificate(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags) {
  htel_tls *tls = ((htel_tls_identity *)ctx)->handshaking;
  if (tls == NULL) {
    return MBEDTLS_ERR_X509_FATAL_ERROR; /* outside of a handshake nothing is to be verified */
  }
  int64_t until_s = unix_time_s(&crt->valid_to);
  uint32_t seen = *flags & ~(uint32_t)TIME_FLAGS;
  if (tls->now_s > until_s) {
    seen |= MBEDTLS_X509_BADCERT_EXPIRED;
  }
  if (tls->now_s < unix_time_s(&crt->valid_from)) {
    seen |= MBEDTLS_X509_BADCERT_FUTURE;
  }
  if (until_s < tls->until_s) {
    tls->until_s = until_s;
  }
  seen |= revocation_check(tls, crt);
  if (depth == 0) {
    seen |= usage_check(crt);
  }
  tls->verify_flags |= seen;
  tls->chain_length++;
  *flags = seen;
  return 0;
}
