/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

/* The structures of an SMBIOS table (DMTF DSP0134) and the values in them as text. The table comes from firmware: every
 * length in it is checked. */

struct smbios_item {
    uint8_t type;
    uint8_t length;         /* of the formatted part, header included */
    const uint8_t *data;    /* the header */
    const char *strings;    /* the string set: NUL-terminated, one after the other */
    size_t strings_length;
};

/* Takes the next structure off the table. False at its end or at the first damaged one. */
bool smbios_next(const uint8_t **table, size_t *length, struct smbios_item *item);

/* A value as text. Appends to `text` and returns true, or false when the structure does not say. */
typedef bool smbios_value(struct text *text, const struct smbios_item *item, unsigned offset);
smbios_value smbios_string;         /* number of a string of the set; what is not printable ASCII becomes '.' */
smbios_value smbios_release;        /* two bytes: major.minor */
smbios_value smbios_uuid;
smbios_value smbios_mhz;
smbios_value smbios_transfers;      /* memory speed in MT/s */
smbios_value smbios_processor_type;
smbios_value smbios_processor_family;
smbios_value smbios_signature;      /* CPUID leaf 1 EAX */
smbios_value smbios_processor_status;
smbios_value smbios_chassis_sku;    /* its place follows from a list of variable length */
smbios_value smbios_memory_size;
smbios_value smbios_form_factor;
smbios_value smbios_memory_type;
smbios_value smbios_memory_detail;
