/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/volume.h"

#include <string.h>

#include "model/storage_part.h"

static const struct field volume_timestamps_fields[] = {
    FIELD_STR(volume_timestamps, atime, "atime"),
    FIELD_STR(volume_timestamps, mtime, "mtime"),
    FIELD_STR(volume_timestamps, ctime, "ctime"),
    FIELD_STR(volume_timestamps, btime, "btime"),
};
static ELEMENT(volume_timestamps, volume_timestamps);

static const struct field volume_target_fields[] = {
    FIELD_STR(volume_target, path, "path"),
    FIELD_STR(volume_target, format, "format/@type"),
    FIELD_PART(volume_target, permissions, "permissions", permissions, .flags = DROP_EMPTY),
    FIELD_PART(volume_target, timestamps, "timestamps", volume_timestamps),
    FIELD_VERBATIM(volume_target, encryption, "encryption"),
    FIELD_STR(volume_target, compat, "compat"),
    FIELD_BYTES(volume_target, cluster_size, "clusterSize"),
    FIELD_FLAG(volume_target, nocow, "nocow"),
    FIELD_FLAG(volume_target, lazy_refcounts, "features/lazy_refcounts"),
    FIELD_FLAG(volume_target, extended_l2, "features/extended_l2"),
};
static ELEMENT(volume_target, volume_target);

static const struct field volume_extent_fields[] = {
    FIELD_U64(volume_extent, start, "@start", .flags = ALWAYS),
    FIELD_U64(volume_extent, end, "@end", .flags = ALWAYS),
};
static ELEMENT(volume_extent, volume_extent);

static bool child_given(const struct parse *parse, const char *name)
{
    for (const xmlNode *child = parse->node->children; child; child = child->next)
        if (child->type == XML_ELEMENT_NODE && strcmp((const char *)child->name, name) == 0)
            return true;
    return false;
}

/* A size of 0 and none at all are different things. */
static int volume_parsed(void *part, struct parse *parse)
{
    struct volume_def *def = part;
    def->capacity_set = child_given(parse, "capacity");
    def->allocation_set = child_given(parse, "allocation");
    return 0;
}

static const struct field volume_fields[] = {
    FIELD_ENUM(volume_def, type, "@type", volume_type),
    FIELD_STR(volume_def, name, "name", .flags = REQUIRED, MISSING(ERR_XML_ERROR)),
    FIELD_STR(volume_def, key, "key"),
    FIELD_STR(volume_def, source_device, "source/device/@path"),
    FIELD_LIST(volume_def, extents, "source/device/extent", volume_extent),
    FIELD_BYTES(volume_def, capacity, "capacity", .flags = ALWAYS),
    FIELD_BYTES(volume_def, allocation, "allocation", .flags = ALWAYS),
    FIELD_BYTES(volume_def, physical, "physical"),
    FIELD_INLINE(volume_def, target, "target", volume_target, .flags = KEEP_EMPTY),
    FIELD_PART(volume_def, backing, "backingStore", volume_target, .flags = DROP_EMPTY),
};
static ELEMENT(volume, volume_def, .parsed = volume_parsed);

struct volume_def *volume_parse(struct arena *arena, const char *xml, unsigned flags, struct error *err)
{
    scoped_document xmlDoc *doc = xml_read(xml, strlen(xml), "volume", err);
    if (!doc)
        return NULL;
    struct volume_def *def = arena_struct(arena, struct volume_def);
    struct parse parse = {.arena = arena, .err = err, .flags = flags & VOLUME_PARSE_VALIDATE ? PARSE_STRICT : 0};
    if (xml_parse(&parse, &volume_element, def, xmlDocGetRootElement(doc)) < 0)
        return NULL;
    if (def->backing && !def->backing->path) /* <backingStore/> says that there is none */
        def->backing = NULL;
    if (!def->capacity_set && !def->backing && !(flags & VOLUME_PARSE_NO_CAPACITY))
        return error_null(err, ERR_XML_ERROR, "volume '%s': <capacity> is missing; say how large it is to be",
                          def->name);
    return def;
}

char *volume_format(const struct volume_def *def)
{
    struct text out = {0};
    xml_format(&out, &volume_element, "volume", def, 0, 0, NULL);
    return text_steal(&out);
}
