/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/domain.h"

#include <string.h>

#include "model/complete.h"
#include "model/validate.h"
#include "model/xml.h"

#define QEMU_NAMESPACE_ATTRIBUTE " xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'"

static void doc_scope(xmlDoc **doc)
{
    if (*doc)
        xmlFreeDoc(*doc);
}

static int def_fill(struct domain_def *def, xmlNode *root, unsigned flags, const struct domain_defaults *defaults,
                    struct error *err)
{
    struct parse parse = {.arena = def->arena, .err = err,
                          .flags = (flags & DOMAIN_PARSE_INACTIVE ? PARSE_INACTIVE : 0) |
                                   (flags & DOMAIN_PARSE_VALIDATE ? PARSE_STRICT : 0)};
    if (xml_parse(&parse, &domain_element, def, root) < 0)
        return -1;
    if (flags & DOMAIN_PARSE_BARE)
        return 0;
    if (domain_complete(def, defaults, err) < 0 || domain_validate(def, err) < 0 ||
        domain_assign_addresses(def, err) < 0)
        return -1;
    return domain_validate_addresses(def, err);
}

struct domain_def *domain_parse(const char *xml, long length, unsigned flags, const struct domain_defaults *defaults,
                                struct error *err)
{
    scope_cleanup(doc_scope) xmlDoc *doc = xml_read(xml, length < 0 ? strlen(xml) : (size_t)length, "domain", err);
    if (!doc)
        return NULL;
    scoped_arena struct arena *scratch = arena_new();
    struct domain_def *def = arena_struct(scratch, struct domain_def);
    def->arena = scratch;
    return def_fill(def, xmlDocGetRootElement(doc), flags, defaults, err) < 0 ? NULL : domain_edit(def);
}

struct domain_def *domain_def_ref(struct domain_def *def)
{
    if (def)
        def->references++;
    return def;
}

void domain_def_free(struct domain_def *def)
{
    if (def && --def->references == 0)
        arena_free(def->arena);
}

/* What was made for this run of the guest and would be in the way of the next one. */
static void generated_remove(struct domain_def *def)
{
    for (uint32_t i = 0; i < def->interfaces.count; i++)
        interface_rest(def->interfaces.item[i]);
    for (uint32_t i = 0; i < def->channels.count; i++)
        chardev_rest(def->channels.item[i]);
    for (uint32_t i = 0; i < def->graphics.count; i++) {
        struct graphics *graphics = def->graphics.item[i];
        for (uint32_t at = 0; at < graphics->listens.count; at++)
            if (path_is_generated(graphics->listens.item[at]->socket))
                graphics->listens.item[at]->socket = NULL;
        if (path_is_generated(graphics->socket))
            graphics->socket = NULL;
    }
}

char *domain_format(const struct domain_def *def, unsigned flags)
{
    struct text out = {0};
    unsigned format = 0;
    scoped_domain_def struct domain_def *reduced = NULL;
    bool rest = flags & DOMAIN_XML_INACTIVE && def->id.set, migratable = flags & DOMAIN_XML_MIGRATABLE;
    if ((rest || migratable) && !(flags & DOMAIN_FORMAT_STATUS)) {
        def = reduced = domain_edit(def);
        if (rest)
            generated_remove(reduced);
        if (migratable)
            implied_remove(reduced);
        flags |= migratable ? DOMAIN_XML_SECURE : 0;
    }
    if (!(flags & DOMAIN_FORMAT_STATUS) && (flags & DOMAIN_XML_INACTIVE || !def->id.set))
        format |= FORMAT_INACTIVE;
    if (flags & (DOMAIN_XML_SECURE | DOMAIN_FORMAT_STATUS))
        format |= FORMAT_SECURE;
    text_reserve(&out, 8192);
    xml_format(&out, &domain_element, "domain", def, format, 0,
               def->qemu_commandline ? QEMU_NAMESPACE_ATTRIBUTE : NULL);
    return text_steal(&out);
}

struct domain_def *domain_edit(const struct domain_def *def)
{
    struct arena *arena = arena_new();
    struct domain_def *copy = xml_clone(arena, &domain_element, def);
    copy->arena = arena;
    copy->references = 1;
    return copy;
}

static int controllers_order(const void *a, const void *b)
{
    const struct controller *first = *(struct controller *const *)a, *second = *(struct controller *const *)b;
    if (first->type != second->type)
        return first->type < second->type ? -1 : 1;
    if (first->index != second->index)
        return first->index < second->index ? -1 : 1;
    return (int)first->model - (int)second->model;
}

static void abi_sort(struct domain_def *def)
{
    if (def->controllers.count)
        qsort(def->controllers.item, def->controllers.count, sizeof(*def->controllers.item), controllers_order);
}

int domain_abi_check(const struct domain_def *src, const struct domain_def *dst, struct error *err)
{
    /* controllers that were added later stand elsewhere than when they are read again */
    scoped_domain_def struct domain_def *source = domain_edit(src), *target = domain_edit(dst);
    abi_sort(source);
    abi_sort(target);
    return xml_compare(&domain_element, "domain", source, target, err);
}

void domain_unknown(const struct domain_def *def, struct text *paths)
{
    xml_unknown(&domain_element, def, paths);
}

/* Takes the text of "\n  <name>...</name>" at *cursor, which moves behind it. */
static int peek_text(const char **cursor, const char *end, const char *tag, char *value, size_t size)
{
    char open[16], close[16];
    size_t open_length = (size_t)snprintf(open, sizeof(open), "\n  <%s>", tag), length = 0;
    size_t close_length = (size_t)snprintf(close, sizeof(close), "</%s>", tag);
    const char *at = *cursor;
    if ((size_t)(end - at) < open_length || memcmp(at, open, open_length) != 0)
        return -1;
    for (at += open_length; at < end && *at != '<'; at++) {
        char c = *at;
        for (const char *special = "&<>'\""; *at == '&' && *special; special++) {
            size_t skip = strlen(xml_entity(*special));
            if ((size_t)(end - at) >= skip && memcmp(at, xml_entity(*special), skip) == 0) {
                c = *special;
                at += skip - 1;
                break;
            }
        }
        if (length + 1 >= size)
            return -1;
        value[length++] = c;
    }
    value[length] = '\0';
    if ((size_t)(end - at) < close_length || memcmp(at, close, close_length) != 0)
        return -1;
    *cursor = at + close_length;
    return 0;
}

int domain_peek(const char *xml, size_t length, char *name, size_t name_size, unsigned char uuid[UUID_SIZE])
{
    const char *end = xml + length;
    const char *cursor = memmem(xml, length, "<domain ", 8);
    char uuid_text[UUID_STRING_SIZE];
    if (!cursor || !(cursor = memchr(cursor, '\n', (size_t)(end - cursor))) ||
        peek_text(&cursor, end, "name", name, name_size) < 0 ||
        peek_text(&cursor, end, "uuid", uuid_text, sizeof(uuid_text)) < 0)
        return -1;
    return uuid_parse(uuid_text, uuid);
}
