/* SPDX-License-Identifier: Apache-2.0 */
/* print.h - a plan, for people and for programs. */
#ifndef HTEL_SIZE_PRINT_H
#define HTEL_SIZE_PRINT_H

#include "options.h"

void print_plan(const plan *p, const options *o);
/* 0, or -1: out of memory. */
int print_json(const plan *p, const options *o);
void print_list(void);

#endif
