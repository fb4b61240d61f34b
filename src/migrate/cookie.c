/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/cookie.h"

#include <string.h>

#include "model/xml.h"

enum { CAPABILITIES_MAX = 128, DISKS_MAX = 1024 };

static xmlNode *child_named(const xmlNode *parent, const char *name)
{
    for (xmlNode *child = parent->children; child; child = child->next)
        if (child->type == XML_ELEMENT_NODE && strcmp((const char *)child->name, name) == 0)
            return child;
    return NULL;
}

static uint32_t count_named(const xmlNode *parent, const char *name)
{
    uint32_t count = 0;
    for (xmlNode *child = parent->children; child; child = child->next)
        count += child->type == XML_ELEMENT_NODE && strcmp((const char *)child->name, name) == 0;
    return count;
}

static const char *text_of(const xmlNode *parent, const char *name, struct arena *arena)
{
    xmlNode *child = child_named(parent, name);
    xmlChar *content = child ? xmlNodeGetContent(child) : NULL;
    const char *copy = arena_strdup(arena, (const char *)content);
    xmlFree(content);
    return copy;
}

static const char *attribute(const xmlNode *node, const char *name, struct arena *arena)
{
    xmlChar *value = xmlGetProp(node, (const xmlChar *)name);
    const char *copy = arena_strdup(arena, (const char *)value);
    xmlFree(value);
    return copy;
}

static uint64_t number_of(const xmlNode *parent, const char *name, struct arena *arena)
{
    const char *text = text_of(parent, name, arena);
    uint64_t number = 0;
    if (text)
        parse_u64(text, 10, &number);
    return number;
}

static int read_uuid(const xmlNode *root, const char *name, unsigned char uuid[UUID_SIZE], struct arena *arena,
                     struct error *err)
{
    const char *text = text_of(root, name, arena);
    if (text && uuid_parse(text, uuid) == 0)
        return 0;
    return error_set(err, ERR_INTERNAL_ERROR, "migration cookie: <%s> is %s%s%s", name, text ? "no UUID: '" : "missing",
                     text ? text : "", text ? "'" : "");
}

/* What the other end will not go on without. libvirt asks for its lock state also when its lock manager ("nop") has
 * none; memory and CPU hot-plug only mean that the definition may hold such devices. */
static bool feature_is_known(const xmlNode *root, const char *name, struct arena *arena)
{
    const xmlNode *locks = child_named(root, "lockstate");
    if (string_equal(name, "lockstate"))
        return !locks || string_equal(attribute(locks, "driver", arena), "nop");
    return string_equal(name, "persistent") || string_equal(name, "memory-hotplug") ||
           string_equal(name, "cpu-hotplug");
}

static int check_features(const xmlNode *root, struct arena *arena, struct error *err)
{
    for (xmlNode *child = root->children; child; child = child->next) {
        if (child->type != XML_ELEMENT_NODE || strcmp((const char *)child->name, "feature") != 0)
            continue;
        const char *name = attribute(child, "name", arena);
        if (!feature_is_known(root, name, arena))
            return error_set(err, ERR_OPERATION_UNSUPPORTED,
                             "the other host wants feature '%s' of the migration, which this one does not have",
                             name ? name : "");
    }
    return 0;
}

static int read_capabilities(struct migrate_cookie *cookie, const xmlNode *node, struct arena *arena,
                             struct error *err)
{
    cookie->has_capabilities = true;
    cookie->capabilities = arena_new_array(arena, CAPABILITIES_MAX, const char *);
    for (xmlNode *child = node->children; child; child = child->next) {
        if (child->type != XML_ELEMENT_NODE || strcmp((const char *)child->name, "cap") != 0)
            continue;
        const char *name = attribute(child, "name", arena);
        if (!name || cookie->capability_count == CAPABILITIES_MAX)
            return error_set(err, ERR_INTERNAL_ERROR, "migration cookie: <capabilities> has %s",
                             name ? "too many entries" : "an entry without name");
        cookie->capabilities[cookie->capability_count++] = name;
    }
    return 0;
}

static int read_disk(struct cookie_disk *disk, const xmlNode *node, struct arena *arena, struct error *err)
{
    const char *capacity = attribute(node, "capacity", arena);
    disk->target = attribute(node, "target", arena);
    disk->backing = attribute(node, "backing", arena);
    disk->backing_format = attribute(node, "backing-format", arena);
    if (!disk->target || (capacity && parse_u64(capacity, 10, &disk->capacity) < 0))
        return error_set(err, ERR_INTERNAL_ERROR, "migration cookie: <nbd><disk> has %s",
                         disk->target ? "a capacity that is no number" : "no target");
    return 0;
}

static int read_nbd(struct migrate_cookie *cookie, const xmlNode *node, struct arena *arena, struct error *err)
{
    const char *text = attribute(node, "port", arena);
    uint32_t port = 0;
    if (text && (parse_u32(text, 10, &port) < 0 || port > UINT16_MAX))
        return error_set(err, ERR_INTERNAL_ERROR, "migration cookie: <nbd port='%s'> is no port", text);
    cookie->has_nbd = true;
    cookie->nbd_port = (uint16_t)port;
    cookie->disk_count = count_named(node, "disk");
    if (cookie->disk_count > DISKS_MAX)
        return error_set(err, ERR_INTERNAL_ERROR, "migration cookie: <nbd> has more than %d disks", DISKS_MAX);
    struct cookie_disk *next = cookie->disks = arena_new_array(arena, cookie->disk_count, struct cookie_disk);
    for (xmlNode *child = node->children; child; child = child->next)
        if (child->type == XML_ELEMENT_NODE && strcmp((const char *)child->name, "disk") == 0 &&
            read_disk(next++, child, arena, err) < 0)
            return -1;
    return 0;
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int read_nvram(struct migrate_cookie *cookie, const xmlNode *node, struct arena *arena, struct error *err)
{
    xmlChar *text = xmlNodeGetContent(node);
    size_t digits = text ? strlen((const char *)text) : 0;
    char *bytes = arena_alloc(arena, digits / 2 + 1);
    bool good = digits % 2 == 0;
    for (size_t i = 0; good && i < digits; i++) {
        int value = hex_value((char)text[i]);
        good = value >= 0;
        bytes[i / 2] = (char)(bytes[i / 2] << 4 | (value & 15));
    }
    xmlFree(text);
    cookie->nvram = bytes;
    cookie->nvram_length = digits / 2;
    return good ? 0 : error_set(err, ERR_INTERNAL_ERROR, "migration cookie: <godwit-nvram> is not hexadecimal");
}

static void write_nvram(struct text *out, const struct migrate_cookie *cookie)
{
    text_append(out, "  <godwit-nvram>");
    for (size_t i = 0; i < cookie->nvram_length; i++) {
        unsigned byte = (unsigned char)cookie->nvram[i];
        text_append_char(out, "0123456789abcdef"[byte >> 4]);
        text_append_char(out, "0123456789abcdef"[byte & 15]);
    }
    text_append(out, "</godwit-nvram>\n");
}

static void read_graphics(struct migrate_cookie *cookie, const xmlNode *node, struct arena *arena)
{
    const char *port = attribute(node, "port", arena);
    if (!string_equal(attribute(node, "type", arena), "spice"))
        return;
    if (port)
        parse_i32(port, 10, &cookie->spice_port);
    cookie->spice_listen = attribute(node, "listen", arena);
}

static void write_attribute(struct text *out, const char *name, const char *value)
{
    if (!value)
        return;
    text_printf(out, " %s='", name);
    xml_escape(out, value);
    text_append(out, "'");
}

static int read_devices(struct migrate_cookie *cookie, const xmlNode *node, struct arena *arena, struct error *err)
{
    uint32_t count = count_named(node, "device");
    if (count > COOKIE_DEVICES_MAX)
        return error_set(err, ERR_INTERNAL_ERROR, "migration cookie: <godwit-devices> has more than %d entries",
                         COOKIE_DEVICES_MAX);
    cookie->devices = arena_new_array(arena, count, struct cookie_device);
    for (xmlNode *child = node->children; child; child = child->next) {
        if (child->type != XML_ELEMENT_NODE || strcmp((const char *)child->name, "device") != 0)
            continue;
        struct cookie_device *device = &cookie->devices[cookie->device_count++];
        *device = (struct cookie_device){attribute(child, "id", arena), attribute(child, "type", arena)};
        if (!device->id || !device->type)
            return error_set(err, ERR_INTERNAL_ERROR, "migration cookie: a <device> has no id or no type");
    }
    return 0;
}

static int read_memory(struct cookie_memory *memory, const xmlNode *node, struct arena *arena, struct error *err)
{
    const char *bytes = attribute(node, "bytes", arena);
    uint32_t count = count_named(node, "piece");
    if (!bytes || parse_u32(bytes, 10, &memory->bytes) < 0 || !memory->bytes ||
        memory->bytes > COOKIE_PIECE_BYTES_MAX || count > COOKIE_PIECES_MAX)
        return error_set(err, ERR_INTERNAL_ERROR, "migration cookie: <godwit-memory> is of %u pieces of '%s' bytes",
                         count, bytes ? bytes : "");
    memory->pieces = arena_new_array(arena, count, struct cookie_piece);
    for (xmlNode *child = node->children; child; child = child->next) {
        if (child->type != XML_ELEMENT_NODE || strcmp((const char *)child->name, "piece") != 0)
            continue;
        const char *at = attribute(child, "at", arena), *sum = attribute(child, "sum", arena);
        struct cookie_piece *piece = &memory->pieces[memory->count++];
        if (!at || !sum || parse_u64(at, 16, &piece->at) < 0 || parse_u64(sum, 16, &piece->sum) < 0)
            return error_set(err, ERR_INTERNAL_ERROR, "migration cookie: a <piece> has no address or no sum");
    }
    return 0;
}

static void write_devices(struct text *out, const struct migrate_cookie *cookie)
{
    text_append(out, "  <godwit-devices>\n");
    for (uint32_t i = 0; i < cookie->device_count; i++) {
        text_append(out, "    <device");
        write_attribute(out, "id", cookie->devices[i].id);
        write_attribute(out, "type", cookie->devices[i].type);
        text_append(out, "/>\n");
    }
    text_append(out, "  </godwit-devices>\n");
}

static void write_memory(struct text *out, const struct cookie_memory *memory)
{
    text_printf(out, "  <godwit-memory bytes='%u'>\n", memory->bytes);
    for (uint32_t i = 0; i < memory->count; i++)
        text_printf(out, "    <piece at='%llx' sum='%llx'/>\n", (unsigned long long)memory->pieces[i].at,
                    (unsigned long long)memory->pieces[i].sum);
    text_append(out, "  </godwit-memory>\n");
}

/* Our own element, which libvirt skips. */
static int read_journal(struct migrate_cookie *cookie, const xmlNode *node, struct arena *arena, struct error *err)
{
    const char *id = attribute(node, "id", arena);
    if (!id || uuid_parse(id, cookie->id) < 0)
        return error_set(err, ERR_INTERNAL_ERROR, "migration cookie: <godwit id='%s'> is no UUID", id ? id : "");
    cookie->has_id = true;
    cookie->connection_uri = attribute(node, "connection", arena);
    cookie->armed = attribute(node, "armed", arena);
    return 0;
}

static void read_statistics(struct migrate_cookie *cookie, const xmlNode *node, struct arena *arena)
{
    cookie->has_statistics = true;
    cookie->started_ms = number_of(node, "started", arena);
    cookie->stopped_ms = number_of(node, "stopped", arena);
    cookie->sent_ms = number_of(node, "sent", arena);
    const char *delta = text_of(node, "delta", arena);
    if (delta)
        parse_i64(delta, 10, &cookie->delta_ms);
    job_info_parse(&cookie->info, node);
}

static const char *node_text(xmlNode *node, struct arena *arena)
{
    xmlBuffer *buffer = xmlBufferCreate();
    xmlNodeDump(buffer, node->doc, node, 0, 0);
    const char *text = arena_strdup(arena, (const char *)xmlBufferContent(buffer));
    xmlBufferFree(buffer);
    return text;
}

static int read_root(struct migrate_cookie *cookie, const xmlNode *root, struct arena *arena, struct error *err)
{
    cookie->name = text_of(root, "name", arena);
    cookie->hostname = text_of(root, "hostname", arena);
    if (!cookie->name || !cookie->hostname)
        return error_set(err, ERR_INTERNAL_ERROR, "migration cookie: <%s> is missing",
                         cookie->name ? "hostname" : "name");
    if (read_uuid(root, "uuid", cookie->uuid, arena, err) < 0 ||
        read_uuid(root, "hostuuid", cookie->host_uuid, arena, err) < 0 || check_features(root, arena, err) < 0)
        return -1;
    xmlNode *capabilities = child_named(root, "capabilities"), *statistics = child_named(root, "statistics");
    xmlNode *domain = child_named(root, "domain"), *nbd = child_named(root, "nbd");
    xmlNode *graphics = child_named(root, "graphics"), *nvram = child_named(root, "godwit-nvram");
    xmlNode *journal = child_named(root, "godwit"), *devices = child_named(root, "godwit-devices");
    xmlNode *memory = child_named(root, "godwit-memory");
    if (capabilities && read_capabilities(cookie, capabilities, arena, err) < 0)
        return -1;
    if (nvram && read_nvram(cookie, nvram, arena, err) < 0)
        return -1;
    if (graphics)
        read_graphics(cookie, graphics, arena);
    if (nbd && read_nbd(cookie, nbd, arena, err) < 0)
        return -1;
    if (journal && read_journal(cookie, journal, arena, err) < 0)
        return -1;
    if (devices && read_devices(cookie, devices, arena, err) < 0)
        return -1;
    if (memory && read_memory(&cookie->memory, memory, arena, err) < 0)
        return -1;
    if (statistics)
        read_statistics(cookie, statistics, arena);
    cookie->persistent_xml = domain ? node_text(domain, arena) : NULL;
    return 0;
}

int migrate_cookie_read(struct migrate_cookie *cookie, const struct migrate_blob *blob, struct arena *arena,
                        struct error *err)
{
    *cookie = (struct migrate_cookie){0};
    if (blob->length == 0)
        return 0;
    if (blob->length > MIGRATE_COOKIE_MAX || blob->data[blob->length - 1] != '\0')
        return error_set(err, ERR_INTERNAL_ERROR, "migration cookie of %u bytes %s", blob->length,
                         blob->length > MIGRATE_COOKIE_MAX ? "is too long" : "does not end with a NUL");
    xmlDoc *document = xml_read((const char *)blob->data, strlen((const char *)blob->data), "qemu-migration", err);
    if (!document)
        return error_wrap(err, "migration cookie");
    int rc = read_root(cookie, xmlDocGetRootElement(document), arena, err);
    xmlFreeDoc(document);
    return rc;
}

static void write_element(struct text *out, const char *name, const char *value)
{
    text_printf(out, "  <%s>", name);
    xml_escape(out, value ? value : "");
    text_printf(out, "</%s>\n", name);
}

static void write_uuid(struct text *out, const char *name, const unsigned char uuid[UUID_SIZE])
{
    char string[UUID_STRING_SIZE];
    uuid_format(uuid, string);
    write_element(out, name, string);
}

static void write_nbd(struct text *out, const struct migrate_cookie *cookie)
{
    text_append(out, "  <nbd");
    if (cookie->nbd_port)
        text_printf(out, " port='%u'", cookie->nbd_port);
    text_append(out, ">\n");
    for (uint32_t i = 0; i < cookie->disk_count; i++) {
        const struct cookie_disk *disk = &cookie->disks[i];
        text_append(out, "    <disk");
        write_attribute(out, "target", disk->target);
        text_printf(out, " capacity='%llu'", (unsigned long long)disk->capacity);
        write_attribute(out, "backing", disk->backing);
        write_attribute(out, "backing-format", disk->backing_format);
        text_append(out, "/>\n");
    }
    text_append(out, "  </nbd>\n");
}

static void write_journal(struct text *out, const struct migrate_cookie *cookie)
{
    char id[UUID_STRING_SIZE];
    uuid_format(cookie->id, id);
    text_printf(out, "  <godwit id='%s'", id);
    write_attribute(out, "connection", cookie->connection_uri);
    write_attribute(out, "armed", cookie->armed);
    text_append(out, "/>\n");
}

struct migrate_blob migrate_cookie_write(const struct migrate_cookie *cookie, struct arena *arena)
{
    scoped_text struct text out = {0};
    text_append(&out, "<qemu-migration>\n");
    write_element(&out, "name", cookie->name);
    write_uuid(&out, "uuid", cookie->uuid);
    write_element(&out, "hostname", cookie->hostname);
    write_uuid(&out, "hostuuid", cookie->host_uuid);
    if (cookie->has_id)
        write_journal(&out, cookie);
    if (cookie->persistent_xml)
        text_append(&out, cookie->persistent_xml);
    if (cookie->spice_port > 0) {
        text_printf(&out, "  <graphics type='spice' port='%d' tlsPort='-1'", cookie->spice_port);
        write_attribute(&out, "listen", cookie->spice_listen ? cookie->spice_listen : "127.0.0.1");
        text_append(&out, "/>\n");
    }
    if (cookie->nvram)
        write_nvram(&out, cookie);
    if (cookie->has_nbd)
        write_nbd(&out, cookie);
    if (cookie->device_count)
        write_devices(&out, cookie);
    if (cookie->memory.count)
        write_memory(&out, &cookie->memory);
    if (cookie->has_statistics) {
        text_printf(&out, "  <statistics>\n    <started>%llu</started>\n    <stopped>%llu</stopped>\n"
                          "    <sent>%llu</sent>\n",
                    (unsigned long long)cookie->started_ms, (unsigned long long)cookie->stopped_ms,
                    (unsigned long long)cookie->sent_ms);
        if (cookie->delta_ms)
            text_printf(&out, "    <delta>%lld</delta>\n", (long long)cookie->delta_ms);
        job_info_format(&cookie->info, &out);
        text_append(&out, "  </statistics>\n");
    }
    if (cookie->has_capabilities) {
        /* libvirt turns on by itself, at both ends, only what the other end says it turns on by itself */
        text_append(&out, "  <capabilities>\n");
        for (uint32_t i = 0; i < cookie->capability_count; i++)
            text_printf(&out, "    <cap name='%s' auto='%s'/>\n", cookie->capabilities[i],
                        string_equal(cookie->capabilities[i], "return-path") ? "yes" : "no");
        text_append(&out, "  </capabilities>\n");
    }
    text_append(&out, "</qemu-migration>\n");
    return (struct migrate_blob){arena_memdup(arena, text_string(&out), out.length + 1), (uint32_t)out.length + 1};
}

bool migrate_cookie_armed(const struct migrate_cookie *cookie, const char *capability)
{
    size_t length = strlen(capability);
    for (const char *word = cookie->armed; word; word = strchr(word, ',')) {
        word += *word == ',';
        if (strncmp(word, capability, length) == 0 && (word[length] == ',' || !word[length]))
            return true;
    }
    return false;
}

bool migrate_cookie_can(const struct migrate_cookie *cookie, const char *capability)
{
    for (uint32_t i = 0; i < cookie->capability_count; i++)
        if (strcmp(cookie->capabilities[i], capability) == 0)
            return true;
    return false;
}
