/* SPDX-License-Identifier: Apache-2.0 */
/* image_print.h - what is in a device's flash, in words or as JSON; no reading's value. */
#ifndef CAT_IMAGE_PRINT_H
#define CAT_IMAGE_PRINT_H

#include "image.h"

void image_print_words(const image *im);
/* False: no memory. */
bool image_print_json(const image *im);

#endif
