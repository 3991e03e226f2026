/* SPDX-License-Identifier: Apache-2.0 */
/* htel-size: a memory calculator. See options.c for what it is asked, plan.h for how it answers. */
#include <stdio.h>

#include "print.h"

int main(int argc, char **argv) {
  static options o;
  static plan p;
  char error[PLAN_ERROR_BYTES_MAX] = "";
  options_parse(&o, argc, argv);
  if (o.list) {
    print_list();
    return 0;
  }
  if (plan_make(&p, &o.wish, error) != 0) {
    fprintf(stderr, "htel-size: %s\n", error);
    return 2;
  }
  if (!o.json) {
    print_plan(&p, &o);
  } else if (print_json(&p, &o) != 0) {
    fprintf(stderr, "htel-size: out of memory\n");
    return 2;
  }
  if (fflush(stdout) != 0 || ferror(stdout)) {
    fprintf(stderr, "htel-size: the output cannot be written\n");
    return 2;
  }
  return p.fits_ram && p.fits_flash ? 0 : 1;
}
