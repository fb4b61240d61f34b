/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/migrate_map.h"

#include <string.h>

#include "base/text.h"

/* Where each kind of name stands in a definition. */
static const struct kind {
    const char *option, *what;
    const char *paths; /* XPath: the attributes */
} kinds[] = {
    {"map-network", "network", "/domain/devices/interface[@type='network']/source/@network"},
    {"map-bridge", "bridge", "/domain/devices/interface[@type='bridge']/source/@bridge|"
                             "/domain/devices/interface[@type='direct']/source/@dev"},
    {"map-pool", "storage pool", "/domain/devices/disk//source/@pool"},
};

struct name {
    const struct kind *kind;
    const char *from, *to;
    bool used;
};

struct map {
    struct invocation *in;
    struct name *names;
    size_t count;
};

/* -- the options --------------------------------------------------------------------------------------------------- */

static int add_name(struct map *map, const struct kind *kind, char *word, struct error *err)
{
    char *colon = strchr(word, ':');
    if (!colon || colon == word || !colon[1] || strchr(colon + 1, ':'))
        return error_set(err, ERR_INVALID_ARG, "--%s '%s' is not OLD:NEW; give the option once for each %s",
                         kind->option, word, kind->what);
    *colon = '\0';
    for (size_t i = 0; i < map->count; i++)
        if (map->names[i].kind == kind && strcmp(map->names[i].from, word) == 0)
            return error_set(err, ERR_INVALID_ARG, "--%s names '%s' twice", kind->option, word);
    map->names[map->count++] = (struct name){.kind = kind, .from = word, .to = colon + 1};
    return 0;
}

static int read_options(struct map *map, struct error *err)
{
    struct invocation *in = map->in;
    size_t most = 0;
    for (size_t i = 0; i < COUNT(kinds); i++)
        for (const char *at = option_text(in, kinds[i].option); at; at = strchr(at + 1, '\n'))
            most++;
    map->names = arena_new_array(in->arena, most + 1, struct name);
    for (size_t i = 0; i < COUNT(kinds); i++) {
        char *rest = arena_strdup(in->arena, option_text(in, kinds[i].option));
        for (char *word; (word = strsep(&rest, "\n"));)
            if (add_name(map, &kinds[i], word, err) < 0)
                return -1;
    }
    return 0;
}

/* -- the XML ------------------------------------------------------------------------------------------------------- */

/* All at once, so that two names can be exchanged. */
static void map_kind(struct map *map, struct document *document, const struct kind *kind)
{
    xmlXPathObject *found = document_query(document, kind->paths);
    for (int i = 0; found && found->nodesetval && i < found->nodesetval->nodeNr; i++) {
        xmlNode *attribute = found->nodesetval->nodeTab[i];
        xmlChar *value = xmlNodeGetContent(attribute);
        for (size_t j = 0; j < map->count; j++) {
            struct name *name = &map->names[j];
            if (name->kind != kind || strcmp((const char *)value, name->from) != 0)
                continue;
            name->used = true;
            xmlSetProp(attribute->parent, attribute->name, (const xmlChar *)name->to);
            break;
        }
        xmlFree(value);
    }
    xmlXPathFreeObject(found);
}

static const char *map_xml(struct map *map, const char *xml, const char *what, struct error *err)
{
    scoped_document struct document *document = document_parse(xml, what, err);
    if (!document)
        return NULL;
    for (size_t i = 0; i < COUNT(kinds); i++)
        map_kind(map, document, &kinds[i]);
    xmlBuffer *buffer = xmlBufferCreate();
    xmlNodeDump(buffer, document->xml, xmlDocGetRootElement(document->xml), 0, 1);
    const char *text = arena_strdup(map->in->arena, (const char *)xmlBufferContent(buffer));
    xmlBufferFree(buffer);
    return text;
}

/* Given by the user as that parameter, or else the source's with those flags. */
static int map_param(struct map *map, struct migration *migration, const char *param, unsigned flags,
                     const char *what, struct error *err)
{
    const char *xml = migration_param(migration, param);
    if (!xml)
        xml = domain_xml(map->in, &migration->dom, flags, err);
    xml = xml ? map_xml(map, xml, what, err) : NULL;
    if (!xml)
        return -1;
    migration_replace_param(migration, param, xml);
    return 0;
}

/* -- what the guest has instead ------------------------------------------------------------------------------------ */

static int refuse_unused(struct map *map, struct migration *migration, const struct name *name, struct error *err)
{
    const char *xml = migration_param(migration, MIGRATE_PARAM_DEST_XML);
    scoped_document struct document *document = document_parse(xml, "the XML for the destination", err);
    if (!document)
        return -1;
    size_t count;
    scoped_text struct text list = {0};
    char **used = document_strings(map->in->arena, document, name->kind->paths, &count);
    for (size_t i = 0; i < count; i++)
        text_printf(&list, "%s'%s'", i ? ", " : " (it uses ", used[i]);
    return error_set(err, ERR_INVALID_ARG, "--%s: domain '%s' uses no %s '%s'%s%s", name->kind->option,
                     migration->dom.name, name->kind->what, name->from, text_string(&list), count ? ")" : "");
}

/* A transient domain has no stored definition, and is stored as it runs. */
static int is_persistent(const struct migration *migration, bool *persistent, struct error *err)
{
    struct domain_is_persistent_args args = {.dom = migration->dom};
    struct domain_is_persistent_ret ret;
    if (remote_domain_is_persistent(migration->source->client, &args, migration->arena, &ret, err) < 0)
        return -1;
    *persistent = ret.persistent;
    return 0;
}

int migrate_map(struct invocation *in, struct migration *migration, struct error *err)
{
    struct map map = {.in = in};
    bool offline = migration->flags & MIGRATE_OFFLINE, persistent = false;
    unsigned inactive = DOMAIN_XML_SECURE | DOMAIN_XML_MIGRATABLE | DOMAIN_XML_INACTIVE;
    unsigned active = DOMAIN_XML_SECURE | DOMAIN_XML_MIGRATABLE;
    if (read_options(&map, err) < 0)
        return -1;
    if (!map.count)
        return 0;
    if (is_persistent(migration, &persistent, err) < 0 ||
        map_param(&map, migration, MIGRATE_PARAM_DEST_XML, offline ? inactive : active, "the XML for the destination",
                  err) < 0)
        return -1;
    const char *given = migration_param(migration, MIGRATE_PARAM_PERSIST_XML);
    if ((given || (persistent && !offline && migration->flags & MIGRATE_PERSIST_DEST)) &&
        map_param(&map, migration, MIGRATE_PARAM_PERSIST_XML, inactive, "the XML of the destination's definition",
                  err) < 0)
        return -1;
    for (size_t i = 0; i < map.count; i++)
        if (!map.names[i].used)
            return refuse_unused(&map, migration, &map.names[i], err);
    return 0;
}
