/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/base64.h"

#include <stdint.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(struct arena *arena, const void *data, size_t length)
{
    const unsigned char *from = data;
    char *encoded = arena_alloc(arena, (length + 2) / 3 * 4 + 1), *to = encoded;
    for (size_t i = 0; i < length; i += 3) {
        unsigned bits = (unsigned)from[i] << 16;
        if (i + 1 < length)
            bits |= (unsigned)from[i + 1] << 8;
        if (i + 2 < length)
            bits |= from[i + 2];
        *to++ = alphabet[bits >> 18 & 63];
        *to++ = alphabet[bits >> 12 & 63];
        *to++ = i + 1 < length ? alphabet[bits >> 6 & 63] : '=';
        *to++ = i + 2 < length ? alphabet[bits & 63] : '=';
    }
    return encoded;
}

void *base64_decode(struct arena *arena, const char *text, size_t text_length, size_t *length)
{
    uint8_t *bytes = arena_alloc(arena, text_length / 4 * 3 + 4), *to = bytes;
    unsigned bits = 0, digits = 0, padding = 0;
    for (const char *end = text + text_length; text < end; text++) {
        const char *digit = memchr(alphabet, *text, sizeof alphabet - 1);
        if (memchr(" \t\r\n", *text, 4))
            continue;
        if (*text == '=' ? digits % 4 < 2 || padding++ == 2 : !digit || padding)
            return NULL;
        bits = bits << 6 | (digit && !padding ? (unsigned)(digit - alphabet) : 0);
        if (++digits % 4 == 0) {
            *to++ = (uint8_t)(bits >> 16);
            *to++ = (uint8_t)(bits >> 8);
            *to++ = (uint8_t)bits;
        }
    }
    if (digits % 4)
        return NULL;
    *length = (size_t)(to - bytes) - padding;
    bytes[*length] = 0;
    return bytes;
}
