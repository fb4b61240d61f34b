/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/secret.h"

#include <string.h>

#include "model/storage_part.h"

/* Which element below <usage> names the user of a secret. */
static const struct {
    const char *element;
    size_t offset;
} users[] = {
    [SECRET_USAGE_VOLUME] = {"volume", offsetof(struct secret_def, volume)},
    [SECRET_USAGE_CEPH] = {"name", offsetof(struct secret_def, name)},
    [SECRET_USAGE_ISCSI] = {"target", offsetof(struct secret_def, target)},
    [SECRET_USAGE_TLS] = {"name", offsetof(struct secret_def, name)},
    [SECRET_USAGE_VTPM] = {"name", offsetof(struct secret_def, name)},
};

static const char *user_of(const struct secret_def *def)
{
    const char *const *user = (const void *)((const char *)def + users[def->usage].offset);
    return users[def->usage].element ? *user : NULL;
}

static int secret_parsed(void *part, struct parse *parse)
{
    struct secret_def *def = part;
    if (def->usage == SECRET_USAGE_NONE)
        def->usage = SECRET_USAGE_ABSENT;
    if (def->usage && !user_of(def))
        return xml_error(parse, "usage", "a secret of type '%s' needs a <%s> in it", secret_usage_name(def->usage),
                         users[def->usage].element);
    return 0;
}

static const struct field secret_fields[] = {
    FIELD_ENUM(secret_def, ephemeral, "@ephemeral", yesno, .flags = HAS_DEFAULT, DEFAULT(YESNO_NO)),
    FIELD_ENUM(secret_def, private, "@private", yesno, .flags = HAS_DEFAULT, DEFAULT(YESNO_NO)),
    FIELD_UUID(secret_def, uuid, "uuid"),
    FIELD_STR(secret_def, description, "description"),
    FIELD_ENUM(secret_def, usage, "usage/@type", secret_usage),
    FIELD_STR(secret_def, volume, "usage/volume", .flags = NOT_EMPTY),
    FIELD_STR(secret_def, name, "usage/name", .flags = NOT_EMPTY),
    FIELD_STR(secret_def, target, "usage/target", .flags = NOT_EMPTY),
};
static ELEMENT(secret, secret_def, .parsed = secret_parsed);

struct secret_def *secret_parse(const char *xml, unsigned flags, struct error *err)
{
    scoped_document xmlDoc *doc = xml_read(xml, strlen(xml), "secret", err);
    if (!doc)
        return NULL;
    scoped_arena struct arena *scratch = arena_new();
    struct secret_def *def = arena_struct(scratch, struct secret_def);
    struct parse parse = {.arena = scratch, .err = err, .flags = flags & SECRET_PARSE_VALIDATE ? PARSE_STRICT : 0};
    if (xml_parse(&parse, &secret_element, def, xmlDocGetRootElement(doc)) < 0)
        return NULL;
    if (!def->uuid_set)
        uuid_random(def->uuid);
    def->uuid_set = true;
    struct arena *arena = arena_new();
    struct secret_def *copy = xml_clone(arena, &secret_element, def);
    copy->arena = arena;
    copy->references = 1;
    return copy;
}

char *secret_format(const struct secret_def *def)
{
    struct text out = {0};
    xml_format(&out, &secret_element, "secret", def, 0, 0, NULL);
    return text_steal(&out);
}

const char *secret_usage_id(const struct secret_def *def)
{
    return user_of(def) ?: "";
}

int secret_usage_type(const struct secret_def *def)
{
    return def->usage ? (int)def->usage - SECRET_USAGE_NONE : 0;
}

struct secret_def *secret_def_ref(struct secret_def *def)
{
    if (def)
        def->references++;
    return def;
}

void secret_def_free(struct secret_def *def)
{
    if (def && --def->references == 0)
        arena_free(def->arena);
}

void secret_unknown(const struct secret_def *def, struct text *paths)
{
    xml_unknown(&secret_element, def, paths);
}
