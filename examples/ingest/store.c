/* SPDX-License-Identifier: Apache-2.0 */
#include "store.h"

const char *store_counter_name(store_counter counter) {
  static const char *const names[STORE_COUNTERS] = {
      [STORE_DUPLICATES] = "duplicates",         [STORE_CONFLICTS] = "conflicts",
      [STORE_UNREADABLE] = "unreadable",         [STORE_UNKNOWN_SCHEMA] = "unknown_schema",
      [STORE_BIRTHS_REFUSED] = "births_refused",
  };
  return names[counter];
}
