/* SPDX-License-Identifier: Apache-2.0 */
/* fault_kind.c - the faults' names, as in files, options and reports. */
#include <stdio.h>
#include <string.h>

#include "scenario.h"

static const struct {
  const char *name, *text;
} kinds[FAULT_KINDS] = {
    [FAULT_FLAPS] = {"flaps", "connections end: by FIN, by reset, or without a word"},
    [FAULT_SLOW] = {"slow", "a link of 1 to 2500 bytes a second, in fragments, that blocks"},
    [FAULT_HALF_OPEN] = {"half-open", "silence both ways, and nobody is told"},
    [FAULT_OUTAGE] = {"outage", "no network, for a minute to two hours"},
    [FAULT_DNS] = {"dns", "names are not resolved, or never answered"},
    [FAULT_TLS] = {"tls", "the server cannot be verified: expired, wrong name, unknown CA..."},
    [FAULT_CLOCK] = {"clock", "UTC unset at boot and set later, wrong by years; the tick wraps"},
    [FAULT_RESET] = {"reset", "the device is reset; its flash keeps its power"},
    [FAULT_POWER] = {"power", "the power fails in the middle of a flash operation"},
    [FAULT_ROT] = {"rot", "a bit of the flash flips, or reads fail for a moment"},
    [FAULT_WEAR] = {"wear", "a flash block goes bad for good"},
    [FAULT_OVERFLOW] = {"overflow", "the device is not polled for a while: rings run full"},
    [FAULT_CLONE] = {"clone", "another device with the same id and a copy of the flash"},
    [FAULT_BROKER] = {"broker", "the broker is killed, refuses, or is slow"},
    [FAULT_HOSTILE] = {"hostile", "the broker sends what it should not"},
    [FAULT_ACKS] = {"acks", "PUBACKs, frames and receipts lost, late, twice, out of order"},
    [FAULT_INGEST] = {"ingest", "the ingest is killed, also between commit and receipt"},
    [FAULT_DISK] = {"disk", "the ingest's store is full, or fails in a transaction"},
    [FAULT_STORM] = {"storm", "every connection ends at one moment"},
};

const char *fault_name(fault_kind kind) {
  return kinds[kind].name;
}

const char *fault_text(fault_kind kind) {
  return kinds[kind].text;
}

static bool one_parse(fault_set *set, const char *name, size_t size, bool take_out) {
  fault_set bits = 0;
  if (size == 3 && memcmp(name, "all", 3) == 0) bits = FAULT_ALL;
  for (unsigned k = 0; k < FAULT_KINDS; k++)
    if (strlen(kinds[k].name) == size && memcmp(name, kinds[k].name, size) == 0) bits = 1u << k;
  if (bits == 0 && !(size == 4 && memcmp(name, "none", 4) == 0)) return false;
  *set = take_out ? *set & ~bits : *set | bits;
  return true;
}

bool fault_set_parse(fault_set *set, const char *text, char *error, size_t error_size) {
  *set = 0;
  for (const char *at = text;; at++) {
    while (*at == ' ') at++;
    bool take_out = *at == '-';
    if (take_out) at++;
    size_t size = strcspn(at, ",");
    size_t word = size;
    while (word > 0 && at[word - 1] == ' ') word--;
    if (!one_parse(set, at, word, take_out)) {
      snprintf(error, error_size,
               "there is no fault '%.*s': --list-faults has them all, \"all\" and \"none\" too",
               (int)(word < 40 ? word : 40), at);
      return false;
    }
    at += size;
    if (*at == '\0') return true;
  }
}
