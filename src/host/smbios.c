/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/smbios.h"

#include <string.h>

#include "base/cleanup.h"

#define HEADER_SIZE 4

/* Names by number, as DSP0134 lists them; NULL where it has none. */
static const char *const processor_types[] = {[1] = "Other", "Unknown", "Central Processor", "Math Processor",
                                              "DSP Processor", "Video Processor"};
static const char *const processor_status[] = {"Unknown", "Enabled", "Disabled By User", "Disabled By BIOS", "Idle",
                                               NULL, NULL, "Other"};
static const char *const form_factors[] = {[1] = "Other", "Unknown", "SIMM", "SIP", "Chip", "DIP", "ZIP",
                                           "Proprietary Card", "DIMM", "TSOP", "Row Of Chips", "RIMM", "SODIMM",
                                           "SRIMM", "FB-DIMM", "Die", "CAMM"};
static const char *const memory_types[] = {
    [0x01] = "Other", "Unknown", "DRAM", "EDRAM", "VRAM", "SRAM", "RAM", "ROM", "Flash", "EEPROM", "FEPROM", "EPROM",
    "CDRAM", "3DRAM", "SDRAM", "SGRAM", "RDRAM", "DDR", "DDR2", "DDR2 FB-DIMM",
    [0x18] = "DDR3", "FBD2", "DDR4", "LPDDR", "LPDDR2", "LPDDR3", "LPDDR4", "Logical non-volatile device", "HBM",
    "HBM2", "DDR5", "LPDDR5", "HBM3"};
static const char *const memory_details[] = {
    [1] = "Other", "Unknown", "Fast-paged", "Static Column", "Pseudo-static", "RAMBus", "Synchronous", "CMOS", "EDO",
    "Window DRAM", "Cache DRAM", "Non-Volatile", "Registered (Buffered)", "Unbuffered (Unregistered)", "LRDIMM"};

static const struct processor_family {
    unsigned number;
    const char *name;
} processor_families[] = {
    {0x01, "Other"},         {0x02, "Unknown"},       {0x0B, "Pentium"},        {0x2B, "Atom"},
    {0x2C, "Core M"},        {0x2D, "Core m3"},       {0x2E, "Core m5"},        {0x2F, "Core m7"},
    {0x38, "Turion 64"},     {0x3B, "Opteron 6200"},  {0x3E, "FX"},             {0x66, "Athlon X4"},
    {0x69, "Opteron 3000"},  {0x6B, "Zen"},           {0x84, "Opteron"},        {0xB3, "Xeon"},
    {0xBF, "Core 2 Duo"},    {0xC0, "Core 2 Solo"},   {0xC1, "Core 2 Extreme"}, {0xC2, "Core 2 Quad"},
    {0xC6, "Core i7"},       {0xC7, "Dual-Core Celeron"}, {0xCD, "Core i5"},    {0xCE, "Core i3"},
    {0xCF, "Core i9"},       {0x100, "ARMv7"},        {0x101, "ARMv8"},         {0x102, "ARMv9"},
};

bool smbios_next(const uint8_t **table, size_t *length, struct smbios_item *item)
{
    const uint8_t *data = *table;
    if (*length < HEADER_SIZE || data[1] < HEADER_SIZE || data[1] > *length)
        return false;
    /* The string set ends with an empty string; an empty set is two NULs. */
    size_t end = data[1];
    while (end + 1 < *length && (data[end] || data[end + 1]))
        end++;
    if (end + 1 >= *length)
        return false;
    *item = (struct smbios_item){data[0], data[1], data, (const char *)data + data[1], end + 1 - data[1]};
    *table += end + 2;
    *length -= end + 2;
    return true;
}

static bool item_number(const struct smbios_item *item, unsigned offset, unsigned size, uint64_t *value)
{
    if (offset + size > item->length)
        return false;
    *value = 0;
    for (unsigned i = size; i-- > 0;)
        *value = *value << 8 | item->data[offset + i];
    return true;
}

static bool append_name(struct text *text, const char *const *names, size_t count, uint64_t number)
{
    if (number >= count || !names[number])
        return false;
    text_append(text, names[number]);
    return true;
}

bool smbios_string(struct text *text, const struct smbios_item *item, unsigned offset)
{
    uint64_t number;
    if (!item_number(item, offset, 1, &number) || number == 0)
        return false;
    const char *string = item->strings, *end = item->strings + item->strings_length;
    while (--number > 0 && string < end)
        string += strnlen(string, end - string) + 1;
    if (string >= end || !*string)
        return false;
    for (; string < end && *string; string++)
        text_append_char(text, *string >= ' ' && *string <= '~' ? *string : '.');
    return true;
}

bool smbios_release(struct text *text, const struct smbios_item *item, unsigned offset)
{
    uint64_t major, minor;
    if (!item_number(item, offset, 1, &major) || !item_number(item, offset + 1, 1, &minor) ||
        (major == 0xff && minor == 0xff))
        return false;
    text_printf(text, "%u.%u", (unsigned)major, (unsigned)minor);
    return true;
}

bool smbios_uuid(struct text *text, const struct smbios_item *item, unsigned offset)
{
    /* The first three groups are little-endian since SMBIOS 2.6 (2008). */
    static const unsigned char order[UUID_SIZE] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    unsigned char uuid[UUID_SIZE], zero = 0, ones = 0xff;
    if (offset + UUID_SIZE > item->length)
        return false;
    for (int i = 0; i < UUID_SIZE; i++) {
        uuid[i] = item->data[offset + order[i]];
        zero |= uuid[i];
        ones &= uuid[i];
    }
    if (!zero || ones == 0xff)
        return false;
    char string[UUID_STRING_SIZE];
    uuid_format(uuid, string);
    text_append(text, string);
    return true;
}

static bool number_with_unit(struct text *text, const struct smbios_item *item, unsigned offset, const char *unit)
{
    uint64_t value;
    if (!item_number(item, offset, 2, &value) || value == 0)
        return false;
    text_printf(text, "%u %s", (unsigned)value, unit);
    return true;
}

bool smbios_mhz(struct text *text, const struct smbios_item *item, unsigned offset)
{
    return number_with_unit(text, item, offset, "MHz");
}

bool smbios_transfers(struct text *text, const struct smbios_item *item, unsigned offset)
{
    return number_with_unit(text, item, offset, "MT/s");
}

bool smbios_processor_type(struct text *text, const struct smbios_item *item, unsigned offset)
{
    uint64_t number;
    return item_number(item, offset, 1, &number) && append_name(text, processor_types, COUNT(processor_types), number);
}

bool smbios_processor_family(struct text *text, const struct smbios_item *item, unsigned offset)
{
    uint64_t number;
    if (!item_number(item, offset, 1, &number))
        return false;
    if (number == 0xfe && !item_number(item, 0x28, 2, &number)) /* 0xfe: see the second field */
        return false;
    for (size_t i = 0; i < COUNT(processor_families); i++)
        if (processor_families[i].number == number) {
            text_append(text, processor_families[i].name);
            return true;
        }
    text_printf(text, "0x%02X", (unsigned)number);
    return true;
}

bool smbios_signature(struct text *text, const struct smbios_item *item, unsigned offset)
{
    uint64_t eax;
    if (!item_number(item, offset, 4, &eax) || eax == 0)
        return false;
    text_printf(text, "Type %u, Family %u, Model %u, Stepping %u", (unsigned)(eax >> 12 & 3),
                (unsigned)((eax >> 8 & 15) + (eax >> 20 & 0xff)), (unsigned)((eax >> 12 & 0xf0) + (eax >> 4 & 15)),
                (unsigned)(eax & 15));
    return true;
}

bool smbios_processor_status(struct text *text, const struct smbios_item *item, unsigned offset)
{
    uint64_t status;
    if (!item_number(item, offset, 1, &status))
        return false;
    if (!(status & 0x40)) {
        text_append(text, "Unpopulated");
        return true;
    }
    text_append(text, "Populated, ");
    return append_name(text, processor_status, COUNT(processor_status), status & 7);
}

bool smbios_chassis_sku(struct text *text, const struct smbios_item *item, unsigned offset)
{
    uint64_t count, size;
    return item_number(item, 0x13, 1, &count) && item_number(item, 0x14, 1, &size) &&
           smbios_string(text, item, offset + count * size);
}

bool smbios_memory_size(struct text *text, const struct smbios_item *item, unsigned offset)
{
    uint64_t size;
    if (!item_number(item, offset, 2, &size) || size == 0xffff)
        return false;
    if (size == 0)
        text_append(text, "No Module Installed");
    else if (size == 0x7fff && item_number(item, 0x1c, 4, &size))
        text_printf(text, "%u MB", (unsigned)(size & 0x7fffffff));
    else
        text_printf(text, "%u %s", (unsigned)(size & 0x7fff), size & 0x8000 ? "kB" : "MB");
    return true;
}

bool smbios_form_factor(struct text *text, const struct smbios_item *item, unsigned offset)
{
    uint64_t number;
    return item_number(item, offset, 1, &number) && append_name(text, form_factors, COUNT(form_factors), number);
}

bool smbios_memory_type(struct text *text, const struct smbios_item *item, unsigned offset)
{
    uint64_t number;
    return item_number(item, offset, 1, &number) && append_name(text, memory_types, COUNT(memory_types), number);
}

bool smbios_memory_detail(struct text *text, const struct smbios_item *item, unsigned offset)
{
    uint64_t bits;
    if (!item_number(item, offset, 2, &bits))
        return false;
    size_t before = text->length;
    for (unsigned bit = 1; bit < COUNT(memory_details); bit++)
        if (bits >> bit & 1)
            text_printf(text, "%s%s", text->length > before ? " " : "", memory_details[bit]);
    return text->length > before;
}
