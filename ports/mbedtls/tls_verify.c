/* SPDX-License-Identifier: Apache-2.0 */
/* tls_verify.c - looks at each certificate of a chain beside mbedTLS.
 *
 * mbedTLS checks signatures, names, constraints and revocation, and times where it has a clock.
 * This adds times by the configuration's clock: mbedTLS's own may be another, or not be there;
 *   revocation without regard to the date in the list: 2.28 passes over an entry whose date lies
 *     in the future of its clock;
 *   that there is a list at all for the server's own CA, where lists are configured;
 *   what the server's certificate may be used for;
 *   why a chain is not trusted, since each reason asks for another remedy;
 *   how long the chain will be good, which bounds the life of the session.
 * It can only add faults, except for those of time, which it judges alone. By a floor instead of a
 * clock nothing is too new: what was issued since the floor is most likely good. */
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
  bool listed = false;
  for (const mbedtls_x509_crl *crl = &tls->identity->crl; crl != NULL && crl->version != 0;
       crl = crl->next) {
    if (!same(&crl->issuer_raw, &crt->issuer_raw)) {
      continue;
    }
    listed = true;
    int64_t until_s = unix_time_s(&crl->next_update);
    if (tls->now_s > until_s) {
      found |= MBEDTLS_X509_BADCRL_EXPIRED;
    }
    if (!tls->by_floor && tls->now_s < unix_time_s(&crl->this_update)) {
      found |= MBEDTLS_X509_BADCRL_FUTURE;
    }
    if (lists_serial(crl, &crt->serial)) {
      found |= MBEDTLS_X509_BADCERT_REVOKED;
    }
    if (until_s < tls->until_s) {
      tls->until_s = until_s;
    }
  }
  return found | (listed ? 0u : FAULT_CRL_MISSING);
}

/* ---- Why a chain is not trusted ------------------------------------------------------------ */

/* As mbedTLS counts: one more than the certificates that may stand between; 0 without a limit. */
static bool may_sign(const mbedtls_x509_crt *ca, int depth) {
  int most = ca->HTEL_MBEDTLS_PRIVATE(max_pathlen);
  return ca->HTEL_MBEDTLS_PRIVATE(ca_istrue) != 0 && (most <= 0 || depth < most) &&
         mbedtls_x509_crt_check_key_usage(ca, MBEDTLS_X509_KU_KEY_CERT_SIGN) == 0;
}

/* Looks among `candidates` for one with the name of crt's issuer. */
static bool issuer_find(const mbedtls_x509_crt *candidates, const mbedtls_x509_crt *crt, int depth,
                        bool *able) {
  bool found = false;
  for (const mbedtls_x509_crt *it = candidates; it != NULL && it->version != 0; it = it->next) {
    if (same(&it->subject_raw, &crt->issuer_raw)) {
      found = true;
      *able = *able || may_sign(it, depth);
    }
  }
  return found;
}

/* For a certificate that mbedTLS found no signature above. Nothing to add (HTEL_E_TLS_CA) where one
 * of the issuer's name could have signed and has not, or where the chain ends in a root of its own.
 */
static uint32_t distrust_explain(const htel_tls *tls, const mbedtls_x509_crt *crt, int depth) {
  bool able = false;
  bool configured = issuer_find(&tls->identity->ca, crt, depth, &able);
  bool sent = issuer_find(crt->next, crt, depth, &able);
  if (!sent && same(&crt->subject_raw, &crt->issuer_raw)) {
    return depth == 0 ? FAULT_SELF_SIGNED : 0;
  }
  if (!configured && !sent) {
    return FAULT_CHAIN;
  }
  return able ? 0 : FAULT_NOT_CA;
}

/* ---- The callback -------------------------------------------------------------------------- */

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
    seen |= depth == 0 ? MBEDTLS_X509_BADCERT_EXPIRED : FAULT_CA_EXPIRED;
  }
  if (!tls->by_floor && tls->now_s < unix_time_s(&crt->valid_from)) {
    seen |= MBEDTLS_X509_BADCERT_FUTURE;
  }
  if (until_s < tls->until_s) {
    tls->until_s = until_s;
  }
  if ((seen & MBEDTLS_X509_BADCERT_NOT_TRUSTED) != 0) {
    seen |= distrust_explain(tls, crt, depth);
  }
  if (tls->identity->crl_given) {
    seen |= revocation_check(tls, crt) & (depth == 0 ? ~0u : ~FAULT_CRL_MISSING);
  }
  if (depth == 0) {
    seen |= usage_check(crt);
  }
  tls->verify_flags |= seen;
  tls->chain_length++;
  *flags = seen;
  return 0;
}
