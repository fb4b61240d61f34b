/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/pool.h"

#include <string.h>

#include "model/storage_part.h"

enum { MODE_MAX = 07777 };

/* A mode is octal with or without the leading 0; -1 is libvirt's word for "not said". */
static int permissions_parsed(void *part, struct parse *parse)
{
    struct permissions *permissions = part;
    uint32_t mode;
    if (string_equal(permissions->mode, "-1"))
        permissions->mode = NULL;
    if (!permissions->mode)
        return 0;
    if (parse_u32(permissions->mode, 8, &mode) < 0 || mode > MODE_MAX)
        return xml_error(parse, "mode", "'%.20s' is not an octal mode like 0644", permissions->mode);
    permissions->mode = arena_printf(parse->arena, "0%o", mode);
    return 0;
}

static const struct field permissions_fields[] = {
    FIELD_STR(permissions, mode, "mode"),
    FIELD_OPT_I32(permissions, owner, "owner"),
    FIELD_OPT_I32(permissions, group, "group"),
    FIELD_STR(permissions, label, "label"),
};
ELEMENT(permissions, permissions, .parsed = permissions_parsed);

static const struct field pool_host_fields[] = {
    FIELD_STR(pool_host, name, "@name", .flags = REQUIRED | NOT_EMPTY),
    FIELD_U32(pool_host, port, "@port", MAX(65535)),
};
static ELEMENT(pool_host, pool_host);

static const struct field pool_device_fields[] = {
    FIELD_STR(pool_device, path, "@path", .flags = REQUIRED | NOT_EMPTY),
    FIELD_ENUM(pool_device, part_separator, "@part_separator", yesno),
    FIELD_KEPT("freeExtent"),
};
static ELEMENT(pool_device, pool_device);

static const struct field pool_auth_fields[] = {
    FIELD_STR(pool_auth, type, "@type", .flags = REQUIRED),
    FIELD_STR(pool_auth, username, "@username", .flags = REQUIRED),
    FIELD_STR(pool_auth, secret_type, "secret/@type"),
    FIELD_STR(pool_auth, secret_uuid, "secret/@uuid"),
    FIELD_STR(pool_auth, secret_usage, "secret/@usage"),
};
static ELEMENT(pool_auth, pool_auth);

static const struct field pool_adapter_source_fields[] = {
    FIELD_ENUM(pool_adapter_source, type, "@type", pool_adapter),
    FIELD_STR(pool_adapter_source, name, "@name"),
    FIELD_STR(pool_adapter_source, parent, "@parent"),
    FIELD_KEPT("@parent_wwnn"),
    FIELD_KEPT("@parent_wwpn"),
    FIELD_KEPT("@parent_fabric_wwn"),
    FIELD_ENUM(pool_adapter_source, managed, "@managed", yesno),
    FIELD_STR(pool_adapter_source, wwnn, "@wwnn"),
    FIELD_STR(pool_adapter_source, wwpn, "@wwpn"),
    FIELD_KEPT("parentaddr"),
};
static ELEMENT(pool_adapter_source, pool_adapter_source);

static const struct field pool_source_fields[] = {
    FIELD_LIST(pool_source, hosts, "host", pool_host),
    FIELD_LIST(pool_source, devices, "device", pool_device),
    FIELD_STR(pool_source, dir, "dir/@path"),
    FIELD_PART(pool_source, adapter, "adapter", pool_adapter_source),
    FIELD_STR(pool_source, name, "name"),
    FIELD_STR(pool_source, initiator, "initiator/iqn/@name"),
    FIELD_STR(pool_source, format, "format/@type"),
    FIELD_PART(pool_source, auth, "auth", pool_auth),
    FIELD_STR(pool_source, protocol_ver, "protocol/@ver"),
    FIELD_STR(pool_source, vendor, "vendor/@name"),
    FIELD_STR(pool_source, product, "product/@name"),
};
static ELEMENT(pool_source, pool_source);

/* "/images/" and "/images" are one place: without the slash they compare equal. */
static int target_parsed(void *part, struct parse *parse)
{
    struct pool_target *target = part;
    if (!target->path)
        return 0;
    if (target->path[0] != '/')
        return xml_error(parse, "path", "'%.200s' is not absolute; it must begin with /", target->path);
    size_t length = strlen(target->path);
    while (length > 1 && target->path[length - 1] == '/')
        length--;
    target->path = arena_strndup(parse->arena, target->path, length);
    return 0;
}

static const struct field pool_target_fields[] = {
    FIELD_STR(pool_target, path, "path", .flags = NOT_EMPTY),
    FIELD_PART(pool_target, permissions, "permissions", permissions, .flags = DROP_EMPTY),
    FIELD_KEPT("encryption"),
};
static ELEMENT(pool_target, pool_target, .parsed = target_parsed);

static const struct field pool_fields[] = {
    FIELD_ENUM(pool_def, type, "@type", pool_type, .flags = REQUIRED),
    FIELD_STR(pool_def, name, "name", .flags = NOT_EMPTY),
    FIELD_UUID(pool_def, uuid, "uuid"),
    FIELD_BYTES(pool_def, capacity, "capacity", .flags = ALWAYS),
    FIELD_BYTES(pool_def, allocation, "allocation", .flags = ALWAYS),
    FIELD_BYTES(pool_def, available, "available", .flags = ALWAYS),
    FIELD_ENUM(pool_def, cow, "features/cow/@state", yesno),
    FIELD_INLINE(pool_def, source, "source", pool_source, .flags = KEEP_EMPTY),
    FIELD_INLINE(pool_def, target, "target", pool_target, .flags = KEEP_EMPTY),
    FIELD_ENUM(pool_def, refresh_allocation, "refresh/volume/@allocation", volume_allocation),
};
static ELEMENT(pool, pool_def);

/* What the name defaults to, as libvirt's clients expect of a volume group. */
static int complete(struct pool_def *def, struct error *err)
{
    if (!def->name)
        def->name = def->source.name;
    if (!def->name)
        return error_set(err, ERR_NO_NAME, "the pool definition has no <name>");
    if (strchr(def->name, '/') || def->name[strspn(def->name, " \t\n")] == '\0')
        return error_set(err, ERR_XML_ERROR, "'%s' cannot be a pool's name: it must be something without '/'",
                         def->name);
    for (const char *c = def->name; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return error_set(err, ERR_XML_ERROR, "the pool's name has the control character 0x%02x in it", *c);
    if (!def->uuid_set) {
        uuid_random(def->uuid);
        def->uuid_set = true;
    }
    def->capacity = def->allocation = def->available = 0;
    return 0;
}

struct pool_def *pool_parse(const char *xml, unsigned flags, struct error *err)
{
    scoped_document xmlDoc *doc = xml_read(xml, strlen(xml), "pool", err);
    if (!doc)
        return NULL;
    scoped_arena struct arena *scratch = arena_new();
    struct pool_def *def = arena_struct(scratch, struct pool_def);
    struct parse parse = {.arena = scratch, .err = err, .flags = flags & POOL_PARSE_VALIDATE ? PARSE_STRICT : 0};
    if (xml_parse(&parse, &pool_element, def, xmlDocGetRootElement(doc)) < 0 || complete(def, err) < 0)
        return NULL;
    return pool_edit(def);
}

char *pool_format(const struct pool_def *def)
{
    struct text out = {0};
    xml_format(&out, &pool_element, "pool", def, 0, 0, NULL);
    return text_steal(&out);
}

struct pool_source *pool_source_parse(struct arena *arena, const char *xml, struct error *err)
{
    scoped_document xmlDoc *doc = xml_read(xml, strlen(xml), "source", err);
    if (!doc)
        return NULL;
    struct pool_source *source = arena_struct(arena, struct pool_source);
    struct parse parse = {.arena = arena, .err = err};
    return xml_parse(&parse, &pool_source_element, source, xmlDocGetRootElement(doc)) < 0 ? NULL : source;
}

void pool_source_format(struct text *out, const struct pool_source *source)
{
    xml_format(out, &pool_source_element, "source", source, 1, 0, NULL);
}

struct pool_def *pool_edit(const struct pool_def *def)
{
    struct arena *arena = arena_new();
    struct pool_def *copy = xml_clone(arena, &pool_element, def);
    copy->arena = arena;
    copy->references = 1;
    return copy;
}

struct pool_def *pool_def_ref(struct pool_def *def)
{
    if (def)
        def->references++;
    return def;
}

void pool_def_free(struct pool_def *def)
{
    if (def && --def->references == 0)
        arena_free(def->arena);
}

void pool_unknown(const struct pool_def *def, struct text *paths)
{
    xml_unknown(&pool_element, def, paths);
}

uint32_t permissions_mode(const struct permissions *part, uint32_t fallback)
{
    uint32_t mode;
    return part && part->mode && parse_u32(part->mode, 8, &mode) == 0 ? mode : fallback;
}

uint32_t permissions_owner(const struct permissions *part)
{
    return part && part->owner.set ? (uint32_t)part->owner.value : UINT32_MAX;
}

uint32_t permissions_group(const struct permissions *part)
{
    return part && part->group.set ? (uint32_t)part->group.value : UINT32_MAX;
}
