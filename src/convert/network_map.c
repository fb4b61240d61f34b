/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "convert/network_map.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "model/xml.h"

static const char *const kind_words[] = {[NETWORK_KIND_BRIDGE] = "bridge", [NETWORK_KIND_NETWORK] = "network"};

static int kind_of(const char *word, enum network_kind *kind)
{
    for (size_t i = 0; i < COUNT(kind_words); i++)
        if (string_equal(word, kind_words[i])) {
            *kind = (enum network_kind)i;
            return 0;
        }
    return -1;
}

static void row_add(struct network_map *map, const struct network_row *row)
{
    *arena_grow(map->arena, map->row, map->count, map->capacity, 8) = *row;
    map->count++;
}

int network_map_add(struct network_map *map, enum network_kind kind, const char *text, struct error *err)
{
    const char *colon = strchr(text, ':');
    struct network_row row = {.any = !colon, .from = kind, .to = kind};
    row.from_name = colon ? arena_strndup(map->arena, text, (size_t)(colon - text)) : NULL;
    row.to_name = arena_strdup(map->arena, colon ? colon + 1 : text);
    if (!*row.to_name || (colon && !*row.from_name))
        return error_set(err, ERR_INVALID_ARG, "'%s' does not map a %s; it is OUT for all interfaces or IN:OUT", text,
                         kind_words[kind]);
    row_add(map, &row);
    return 0;
}

int network_map_add_mac(struct network_map *map, const char *text, struct error *err)
{
    struct network_row row = {.mac.set = true};
    unsigned byte[MAC_SIZE];
    int used = 0;
    const char *rest = NULL, *colon = NULL;
    if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x:%n", &byte[0], &byte[1], &byte[2], &byte[3], &byte[4], &byte[5],
               &used) == MAC_SIZE && used)
        rest = text + used;
    colon = rest ? strchr(rest, ':') : NULL;
    char *word = colon ? arena_strndup(map->arena, rest, (size_t)(colon - rest)) : NULL;
    if (!colon || !colon[1] || kind_of(word, &row.to) < 0)
        return error_set(err, ERR_INVALID_ARG, "'%s' does not map an interface; it is MAC:network:OUT or "
                         "MAC:bridge:OUT", text);
    for (size_t i = 0; i < MAC_SIZE; i++)
        row.mac.byte[i] = (unsigned char)byte[i];
    row.to_name = arena_strdup(map->arena, colon + 1);
    row_add(map, &row);
    return 0;
}

static const char *attribute_of(xmlNode *node, const char *name)
{
    for (xmlAttr *attr = node->properties; attr; attr = attr->next)
        if (strcmp((const char *)attr->name, name) == 0)
            return xml_attribute_value(attr);
    return NULL;
}

static bool is_network(const xmlNode *node)
{
    return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, "network") == 0;
}

static int row_read(struct network_map *map, xmlNode *from, struct error *err)
{
    struct network_row row = {0};
    xmlNode *to = from->children;
    while (to && !is_network(to))
        to = to->next;
    row.from_name = arena_strdup(map->arena, attribute_of(from, "name"));
    row.to_name = to ? arena_strdup(map->arena, attribute_of(to, "name")) : NULL;
    if (!row.from_name || !row.to_name || kind_of(attribute_of(from, "type"), &row.from) < 0 ||
        kind_of(attribute_of(to, "type"), &row.to) < 0)
        return error_set(err, ERR_XML_ERROR, "line %ld: a <network> maps one by type='bridge|network' and name= to "
                         "another <network> inside of it", xmlGetLineNo(from));
    row_add(map, &row);
    return 0;
}

int network_map_read(struct network_map *map, const char *xml, size_t length, struct error *err)
{
    xmlDoc *doc = xml_read(xml, length, "virt-v2v", err);
    if (!doc)
        return -1;
    int result = 0;
    for (xmlNode *node = xmlDocGetRootElement(doc)->children; node && result == 0; node = node->next)
        if (is_network(node))
            result = row_read(map, node, err);
    xmlFreeDoc(doc);
    return result;
}

static bool row_is_for(const struct network_row *row, const struct interface *interface)
{
    if (row->any || row->mac.set)
        return false;
    return string_equal(row->from_name, row->from == NETWORK_KIND_BRIDGE ? interface->bridge : interface->network);
}

const struct network_row *network_map_find(const struct network_map *map, const struct interface *interface)
{
    const struct network_row *found = NULL;
    for (size_t i = 0; i < map->count; i++) {
        const struct network_row *row = &map->row[i];
        if (row->mac.set && interface->mac.set && memcmp(row->mac.byte, interface->mac.byte, MAC_SIZE) == 0)
            return row;
        if (row_is_for(row, interface) && (!found || found->any))
            found = row;
        else if (row->any && !found)
            found = row;
    }
    return found;
}
