/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Bytes encrypted for the disk: AES-256-GCM under the host's key. Whoever changes or exchanges sealed bytes, or takes
 * them for those of another object, is found out. */

#define SEAL_KEY_SIZE 32
#define SEAL_OVERHEAD 36 /* magic, version, nonce and tag */

/* Both return a buffer for bytes_free() and its length. `of` says whose bytes they are, and must be the same again. */
uint8_t *seal(const uint8_t key[SEAL_KEY_SIZE], const void *of, size_t of_size, const uint8_t *data, size_t length,
              size_t *sealed_length, struct error *err);
uint8_t *unseal(const uint8_t key[SEAL_KEY_SIZE], const void *of, size_t of_size, const uint8_t *sealed,
                size_t sealed_length, size_t *length, struct error *err);

/* Wiped before the memory is given back. NULL is fine. */
void bytes_free(uint8_t *bytes, size_t length);
