/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/sysinfo.h"

#include <string.h>

#include "base/arena.h"
#include "host/smbios.h"
#include "host/sysfs.h"

#define TABLE_MAX (1024 * 1024) /* SMBIOS 3 allows 4 GiB; a 64-socket machine's table has some 200 KiB */

/* One row: the entry's name, where its value stands in the structure, and the file that tells it to everybody. */
struct entry {
    const char *name;
    unsigned offset;
    smbios_value *value;
    const char *file; /* below /sys/class/dmi/id; NULL = only in the table */
};

static const struct entry bios_entries[] = {
    {"vendor", 0x04, smbios_string, "bios_vendor"},
    {"version", 0x05, smbios_string, "bios_version"},
    {"date", 0x08, smbios_string, "bios_date"},
    {"release", 0x14, smbios_release, "bios_release"},
    {0},
};
static const struct entry system_entries[] = {
    {"manufacturer", 0x04, smbios_string, "sys_vendor"},
    {"product", 0x05, smbios_string, "product_name"},
    {"version", 0x06, smbios_string, "product_version"},
    {"serial", 0x07, smbios_string, "product_serial"},
    {"uuid", 0x08, smbios_uuid, "product_uuid"},
    {"sku", 0x19, smbios_string, "product_sku"},
    {"family", 0x1a, smbios_string, "product_family"},
    {0},
};
static const struct entry board_entries[] = {
    {"manufacturer", 0x04, smbios_string, "board_vendor"},
    {"product", 0x05, smbios_string, "board_name"},
    {"version", 0x06, smbios_string, "board_version"},
    {"serial", 0x07, smbios_string, "board_serial"},
    {"asset", 0x08, smbios_string, "board_asset_tag"},
    {"location", 0x0a, smbios_string, NULL},
    {0},
};
static const struct entry chassis_entries[] = {
    {"manufacturer", 0x04, smbios_string, "chassis_vendor"},
    {"version", 0x06, smbios_string, "chassis_version"},
    {"serial", 0x07, smbios_string, "chassis_serial"},
    {"asset", 0x08, smbios_string, "chassis_asset_tag"},
    {"sku", 0x15, smbios_chassis_sku, NULL},
    {0},
};
static const struct entry processor_entries[] = {
    {"socket_destination", 0x04, smbios_string},
    {"type", 0x05, smbios_processor_type},
    {"family", 0x06, smbios_processor_family},
    {"manufacturer", 0x07, smbios_string},
    {"signature", 0x08, smbios_signature},
    {"version", 0x10, smbios_string},
    {"external_clock", 0x12, smbios_mhz},
    {"max_speed", 0x14, smbios_mhz},
    {"status", 0x18, smbios_processor_status},
    {"serial_number", 0x20, smbios_string},
    {"part_number", 0x22, smbios_string},
    {0},
};
static const struct entry memory_entries[] = {
    {"size", 0x0c, smbios_memory_size},
    {"form_factor", 0x0e, smbios_form_factor},
    {"locator", 0x10, smbios_string},
    {"bank_locator", 0x11, smbios_string},
    {"type", 0x12, smbios_memory_type},
    {"type_detail", 0x13, smbios_memory_detail},
    {"speed", 0x15, smbios_transfers},
    {"manufacturer", 0x17, smbios_string},
    {"serial_number", 0x18, smbios_string},
    {"part_number", 0x1a, smbios_string},
    {0},
};

/* The blocks in the order of the XML. */
static const struct block {
    const char *element;
    uint8_t type;
    bool many;
    const struct entry *entries; /* NULL: every string of the set */
} blocks[] = {
    {"bios", 0, false, bios_entries},           {"system", 1, false, system_entries},
    {"baseBoard", 2, true, board_entries},      {"chassis", 3, false, chassis_entries},
    {"processor", 4, true, processor_entries},  {"memory_device", 17, true, memory_entries},
    {"oemStrings", 11, false, NULL},
};

static void append_entry(struct text *xml, const char *name, const char *value)
{
    while (*value == ' ')
        value++;
    size_t length = strlen(value);
    while (length > 0 && value[length - 1] == ' ')
        length--;
    if (!length)
        return;
    scoped_free char *trimmed = strndup(value, length);
    for (char *c = trimmed; *c; c++) /* firmware puts anything there */
        *c = *c >= ' ' && *c <= '~' ? *c : '.';
    if (name)
        text_printf(xml, "    <entry name='%s'>", name);
    else
        text_append(xml, "    <entry>");
    text_append_xml(xml, trimmed);
    text_append(xml, "</entry>\n");
}

/* Wraps the block's entries, unless there are none. */
static void append_block(struct text *xml, const struct block *block, const struct text *entries)
{
    if (entries->length)
        text_printf(xml, "  <%s>\n%s  </%s>\n", block->element, text_string(entries), block->element);
}

static void item_format(struct text *xml, const struct block *block, const struct smbios_item *item)
{
    scoped_text struct text entries = {0}, value = {0};
    for (const struct entry *entry = block->entries; entry && entry->name; entry++) {
        text_clear(&value);
        if (entry->value(&value, item, entry->offset))
            append_entry(&entries, entry->name, text_string(&value));
    }
    const char *end = item->strings + item->strings_length;
    for (const char *string = item->strings; !block->entries && string < end && *string;) {
        append_entry(&entries, NULL, string);
        string += strnlen(string, end - string) + 1;
    }
    append_block(xml, block, &entries);
}

static void table_format(struct text *xml, const uint8_t *table, size_t length)
{
    for (size_t i = 0; i < COUNT(blocks); i++) {
        const uint8_t *rest = table;
        size_t rest_length = length;
        struct smbios_item item;
        while (smbios_next(&rest, &rest_length, &item)) {
            if (item.type != blocks[i].type)
                continue;
            item_format(xml, &blocks[i], &item);
            if (!blocks[i].many)
                break;
        }
    }
}

static void files_format(struct text *xml, const char *root)
{
    char value[256];
    for (size_t i = 0; i < COUNT(blocks); i++) {
        scoped_text struct text entries = {0};
        for (const struct entry *entry = blocks[i].entries; entry && entry->name; entry++)
            if (entry->file && sysfs_read(value, sizeof(value), root, "/sys/class/dmi/id/%s", entry->file) > 0)
                append_entry(&entries, entry->name, value);
        append_block(xml, &blocks[i], &entries);
    }
}

int sysinfo_format(struct text *xml, const char *root, struct error *err)
{
    scoped_text struct text body = {0};
    scoped_free char *table = xcalloc(1, TABLE_MAX);
    ssize_t length = sysfs_read_bytes(table, TABLE_MAX, root, "/sys/firmware/dmi/tables/DMI");
    if (length > 0)
        table_format(&body, (const uint8_t *)table, length);
    if (!body.length)
        files_format(&body, root);
    if (!body.length)
        return error_set(err, ERR_CONFIG_UNSUPPORTED, "Host SMBIOS information is not available: this machine has "
                         "no /sys/firmware/dmi/tables and no /sys/class/dmi/id");
    text_printf(xml, "<sysinfo type='smbios'>\n%s</sysinfo>\n", text_string(&body));
    return 0;
}
