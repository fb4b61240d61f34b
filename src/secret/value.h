/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "secret/secret.h"

/* Inside of src/secret: values on disk. */

/* Encrypts and stores it, durably. Makes the host's key when there is none and no value that would need an older one.
 * Waits. */
int value_store(struct secrets *secrets, const unsigned char uuid[UUID_SIZE], const uint8_t *data, size_t length,
                struct error *err);
/* 0 and the value, 1 when there is none, -1. Does not wait. */
int value_load(const struct secrets *secrets, const unsigned char uuid[UUID_SIZE], struct secret_value *value,
               struct error *err);
/* Waits. */
int value_remove(const struct secrets *secrets, const unsigned char uuid[UUID_SIZE], struct error *err);
