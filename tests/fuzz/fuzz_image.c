/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "storage/image.h"

/* A guest writes the header of its disk. Whatever stands there, the answer has a format and bounded names. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct image *image = malloc(sizeof *image);
    uint8_t *copy = malloc(size ? size : 1); /* of exactly that size, so that reading beyond is seen */
    memcpy(copy, data, size);
    image_probe(copy, size, image);
    if (!image->format || strlen(image->backing) >= sizeof image->backing ||
        strlen(image->backing_format) >= sizeof image->backing_format || (image->has_backing && !*image->backing))
        abort();
    free(image_backing_path("/directory/image", image));
    free(copy);
    free(image);
    return 0;
}
