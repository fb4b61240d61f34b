/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/xml.h"

#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <string.h>

#include "model/values.h"

#define QEMU_NAMESPACE "http://libvirt.org/schemas/domain/qemu/1.0"

/* Where the walker stands: a struct, its table and, while it is inside a flattened child ("driver/..."), the beginning
 * of the paths that lie there. */
struct place {
    const struct element *element; /* whose extra list collects; not a merged one */
    void *part;
    const char *group;
    size_t group_length;
    bool text_seen; /* the node was looked through for text among its children: there is none */
};

struct any_list {
    void **item;
    uint32_t count, capacity;
};

void **list_grow(struct arena *arena, void *list)
{
    struct any_list *any = list;
    void **next = arena_grow(arena, any->item, any->count, any->capacity, 4);
    any->count++;
    return next;
}

/* Why our own handlers stopped the parser. */
enum stop { STOP_NOT, STOP_DEPTH, STOP_ELEMENTS, STOP_DOCTYPE };

struct watch {
    enum stop why;
    unsigned elements;
};

static void stop(xmlParserCtxt *parser, enum stop why)
{
    ((struct watch *)parser->_private)->why = why;
    xmlStopParser(parser);
}

/* A DTD could define entities that expand without end: its first line ends the parser. */
static void internal_subset(void *context, const xmlChar *name, const xmlChar *public_id, const xmlChar *system_id)
{
    stop(context, STOP_DOCTYPE);
}

/* Keeps the default handler and stops the parser when elements are too many or nested too deeply. */
static void start_element(void *context, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri,
                          int namespace_count, const xmlChar **namespaces, int attribute_count, int defaulted_count,
                          const xmlChar **attributes)
{
    xmlSAX2StartElementNs(context, name, prefix, uri, namespace_count, namespaces, attribute_count, defaulted_count,
                          attributes);
    xmlParserCtxt *parser = context;
    if (++((struct watch *)parser->_private)->elements > XML_ELEMENTS_MAX)
        stop(parser, STOP_ELEMENTS);
    else if (parser->nameNr > XML_DEPTH_MAX)
        stop(parser, STOP_DEPTH);
}

static void parser_scope(xmlParserCtxt **parser)
{
    if (*parser)
        xmlFreeParserCtxt(*parser);
}

/* The most attributes that stand in one tag, roughly: =" between two brackets. */
static unsigned attributes_count(const char *xml, size_t length)
{
    unsigned most = 0, here = 0;
    for (size_t i = 1; i < length; i++) {
        if (xml[i] == '<' || xml[i] == '>')
            here = 0;
        else if ((xml[i] == '"' || xml[i] == '\'') && xml[i - 1] == '=' && ++here > most)
            most = here;
    }
    return most;
}

xmlDoc *xml_read(const char *xml, size_t length, const char *root, struct error *err)
{
    const char *what = root ? root : "metadata";
    if (length > XML_SIZE_MAX)
        return error_null(err, ERR_XML_ERROR, "the XML of the %s is %zu bytes long; the limit is %u", what, length,
                          XML_SIZE_MAX);
    if (attributes_count(xml, length) > XML_ATTRIBUTES_MAX)
        return error_null(err, ERR_XML_ERROR, "the XML of the %s has an element with more than %d attributes", what,
                          XML_ATTRIBUTES_MAX);
    scope_cleanup(parser_scope) xmlParserCtxt *parser = xmlNewParserCtxt();
    if (!parser)
        return error_null(err, ERR_NO_MEMORY, "cannot make an XML parser");
    struct watch watch = {STOP_NOT, 0};
    parser->_private = &watch;
    parser->sax->startElementNs = start_element;
    parser->sax->internalSubset = internal_subset;
    xmlDoc *doc = xmlCtxtReadMemory(parser, xml, (int)length, NULL, NULL,
                                    XML_PARSE_NONET | XML_PARSE_NOBLANKS | XML_PARSE_NOCDATA | XML_PARSE_NOERROR |
                                    XML_PARSE_NOWARNING | XML_PARSE_COMPACT | XML_PARSE_NOENT);
    if (!doc || parser->disableSAX) {
        if (doc)
            xmlFreeDoc(doc);
        const xmlError *found = xmlCtxtGetLastError(parser);
        if (watch.why == STOP_DOCTYPE)
            return error_null(err, ERR_XML_ERROR, "the XML of the %s has a DOCTYPE; remove it", what);
        if (watch.why == STOP_ELEMENTS)
            return error_null(err, ERR_XML_ERROR, "the XML of the %s has more than %d elements", what,
                              XML_ELEMENTS_MAX);
        if (watch.why == STOP_DEPTH || !found)
            return error_null(err, ERR_XML_DETAIL, "the XML of the %s nests elements deeper than %d levels", what,
                              XML_DEPTH_MAX);
        int cut = found->message ? (int)strcspn(found->message, "\n") : 0;
        return error_null(err, ERR_XML_DETAIL, "the XML of the %s is not well-formed: line %d: %.*s", what, found->line,
                          cut, cut ? found->message : "");
    }
    xmlNode *top = xmlDocGetRootElement(doc);
    if (!top || (root && strcmp((const char *)top->name, root) != 0)) {
        error_set(err, ERR_XML_ERROR, "unexpected root element <%s>, expecting <%s>",
                  top ? (const char *)top->name : "", what);
        xmlFreeDoc(doc);
        return NULL;
    }
    return doc;
}

/* The path of a node as people write it: /domain/devices/disk[2]. */
static char *node_path(struct arena *arena, xmlNode *node)
{
    xmlChar *path = xmlGetNodePath(node);
    char *copy = arena_strdup(arena, path ? (const char *)path : "?");
    xmlFree(path);
    return copy;
}

int xml_error(struct parse *parse, const char *suffix, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *message = arena_vprintf(parse->arena, format, args);
    va_end(args);
    return error_set(parse->err, ERR_XML_ERROR, "%s%s%s: %s", node_path(parse->arena, parse->node), suffix ? "/" : "",
                     suffix ? suffix : "", message);
}

static bool field_holds(const struct field *field, const void *part)
{
    return field->when == 0 || field->when & BIT(((const uint8_t *)part)[field->when_offset]);
}

/* Behind "group/" in path, or NULL when the path is not in that group. */
static const char *path_after(const char *path, const struct place *place)
{
    if (place->group_length == 0)
        return path;
    if (*path != *place->group || strncmp(path, place->group, place->group_length) != 0 ||
        path[place->group_length] != '/')
        return NULL;
    return path + place->group_length + 1;
}

/* The rest of path behind the node's name: "" or "/...". NULL when path begins with another name. */
static const char *node_match(const xmlNode *node, const char *path)
{
    const char *own = (const char *)node->name;
    if (node->ns) {
        if (!node->ns->href || strcmp((const char *)node->ns->href, QEMU_NAMESPACE) != 0 ||
            strncmp(path, "qemu:", 5) != 0)
            return NULL;
        path += 5;
    }
    while (*own && *own == *path)
        own++, path++;
    return *own == '\0' && (*path == '\0' || *path == '/') ? path : NULL;
}

static const char *attribute_get(const xmlNode *node, const char *name)
{
    for (const xmlAttr *attr = node->properties; attr; attr = attr->next)
        if (!attr->ns && *attr->name == (unsigned char)*name && strcmp((const char *)attr->name, name) == 0)
            return xml_attribute_value(attr);
    return NULL;
}

/* The text in an element, without that in its children; pieces are put together in the arena. */
static const char *node_text(struct parse *parse, const xmlNode *node)
{
    if (!node->children)
        return "";
    if (!node->children->next && node->children->type == XML_TEXT_NODE)
        return (const char *)node->children->content;
    scoped_text struct text text = {0};
    for (const xmlNode *child = node->children; child; child = child->next)
        if (child->type == XML_TEXT_NODE || child->type == XML_CDATA_SECTION_NODE)
            text_append(&text, (const char *)child->content);
    return arena_strdup(parse->arena, text_string(&text));
}

/* Text that means something stands beside the children: nobody could write both again in their places. */
static bool node_is_mixed(const xmlNode *node)
{
    for (const xmlNode *child = node->children; child; child = child->next)
        if (child->type == XML_TEXT_NODE && child->content[strspn((const char *)child->content, " \t\r\n")] != '\0')
            return true;
    return false;
}

static int extra_add(struct parse *parse, const struct place *place, const struct field *after, bool known,
                     xmlNode *node, const xmlAttr *attr)
{
    if (++parse->extras > XML_EXTRAS_MAX)
        return error_set(parse->err, ERR_XML_ERROR, "the document has more than %d parts that are not known",
                         XML_EXTRAS_MAX);
    char *path = node_path(parse->arena, node);
    if (attr)
        path = arena_printf(parse->arena, "%s/@%s", path, (const char *)attr->name);
    if (parse->flags & PARSE_STRICT && !known)
        return error_set(parse->err, ERR_XML_INVALID_SCHEMA, "%s is not known here; remove it, or define without "
                         "validation to have it kept", path);

    struct extra *extra = arena_struct(parse->arena, struct extra);
    *extra = (struct extra){.element = place->element, .after = after, .group = place->group_length ? place->group : "",
                            .group_length = (uint32_t)place->group_length, .attribute = attr != NULL, .known = known,
                            .path = path};
    if (attr) {
        const char *prefix = attr->ns ? (const char *)attr->ns->prefix : NULL;
        extra->name = prefix ? arena_printf(parse->arena, "%s:%s", prefix, (const char *)attr->name)
                             : arena_strdup(parse->arena, (const char *)attr->name);
        extra->text = arena_strdup(parse->arena, xml_attribute_value(attr));
    } else {
        extra->text = xml_node_text(parse->arena, node, false);
    }
    struct extra **end = (struct extra **)((char *)place->part + place->element->extra_offset);
    while (*end)
        end = &(*end)->next;
    *end = extra;
    return 0;
}

static int leaf_parse(struct parse *parse, const struct field *field, void *part, xmlNode *node, const char *attribute,
                      const char *value)
{
    if (field->flags & REST || (parse->flags & PARSE_INACTIVE && (field->flags & LIVE ||
        (field->flags & USER_ALIAS && !string_starts(value, "ua-")))))
        return 0;
    const char *unit = NULL;
    if (field->kind == FIELD_KIND_MEMORY || field->kind == FIELD_KIND_BYTES || field->kind == FIELD_KIND_MEBIBYTES)
        unit = attribute_get(node, "unit");
    const char *wrong = value_parse(parse->arena, field, part, value, unit);
    if (!wrong)
        return 0;
    return error_set(parse->err, ERR_XML_ERROR, "%s%s%s: %s", node_path(parse->arena, node), attribute ? "/@" : "",
                     attribute ? attribute : "", wrong);
}

/* Reads the attributes that the table's fields name at this place, in the table's order: what a WHEN looks at is in
 * before it is asked. */
static int attributes_parse(struct parse *parse, const struct element *element, void *part, const struct place *place,
                            xmlNode *node)
{
    for (const struct field *field = element->fields; field < element->fields + element->count; field++) {
        if (field->kind == FIELD_KIND_MERGE) {
            if (field_holds(field, part) && attributes_parse(parse, field->element, (char *)part + field->offset,
                                                             place, node) < 0)
                return -1;
            continue;
        }
        const char *rest = path_after(field->path, place);
        if (!rest || *rest != '@')
            continue;
        if (field->kind == FIELD_KIND_KEPT)
            continue;
        const char *value = attribute_get(node, rest + 1);
        if (!value && field->flags & HAS_DEFAULT && !value_present(field, part))
            value_default(field, part); /* a later WHEN may look at it */
        if (value && field_holds(field, part) && leaf_parse(parse, field, part, node, rest + 1, value) < 0)
            return -1;
    }
    return 0;
}

/* The row of an attribute; NULL when there is none. */
static const struct field *attribute_find(const struct element *element, const void *part, const struct place *place,
                                          const char *name)
{
    for (const struct field *field = element->fields; field < element->fields + element->count; field++) {
        if (field->kind == FIELD_KIND_MERGE) {
            const struct field *found = !field_holds(field, part) ? NULL
                : attribute_find(field->element, (const char *)part + field->offset, place, name);
            if (found)
                return found;
            continue;
        }
        const char *rest = path_after(field->path, place);
        if (rest && *rest == '@' && strcmp(rest + 1, name) == 0)
            return field;
    }
    return NULL;
}

/* What the table says about a child: the field that is it, and whether fields lie in it. */
struct child_match {
    const struct field *field; /* NULL: no field is the child itself */
    void *part;                /* the struct of field, or of the first field inside */
    const char *group;         /* path up to the child, NULL: none lies in it */
    size_t group_length;
    const struct field *last;  /* the last field that belongs to the child */
};

static void child_find(const struct element *element, void *part, const struct place *place, const xmlNode *child,
                       struct child_match *match)
{
    for (const struct field *field = element->fields; field < element->fields + element->count; field++) {
        if (field->kind == FIELD_KIND_MERGE) {
            if (field_holds(field, part))
                child_find(field->element, (char *)part + field->offset, place, child, match);
            continue;
        }
        const char *rest = path_after(field->path, place);
        if (!rest || *rest == '@' || *rest == '.')
            continue;
        const char *behind = node_match(child, rest);
        if (!behind)
            continue;
        match->last = field;
        if (*behind == '/') {
            match->group = field->path;
            match->group_length = (size_t)(behind - field->path);
        } else if (!match->field && field_holds(field, part)) {
            match->field = field;
            match->part = part;
        }
    }
}

static uint32_t siblings_count(const xmlNode *node)
{
    uint32_t count = 0;
    for (const xmlNode *next = node; next; next = next->next)
        count += next->type == XML_ELEMENT_NODE && strcmp((const char *)next->name, (const char *)node->name) == 0;
    return count;
}

/* A child that has a struct of its own. */
static int part_parse(struct parse *parse, const struct field *field, void *part, xmlNode *child)
{
    void *member = (char *)part + field->offset;
    if (field->kind == FIELD_KIND_INLINE)
        return xml_parse(parse, field->element, member, child);
    if (field->kind == FIELD_KIND_VERBATIM) {
        *(char **)member = xml_node_text(parse->arena, child, field->flags & FOREIGN);
        return 0;
    }
    void *own = arena_alloc(parse->arena, field->element->size);
    if (field->kind == FIELD_KIND_PART) {
        *(void **)member = own;
    } else {
        struct any_list *list = member;
        if (list->count == 0 && list->capacity == 0) {
            list->capacity = siblings_count(child);
            if (list->capacity > XML_LIST_MAX)
                return error_set(parse->err, ERR_XML_ERROR, "%s: stands there %u times; the limit is %d",
                                 node_path(parse->arena, child), list->capacity, XML_LIST_MAX);
            list->item = arena_new_array(parse->arena, list->capacity, void *);
        }
        *list_grow(parse->arena, list) = own;
    }
    return xml_parse(parse, field->element, own, child);
}

/* The field behind which an unknown first child is written: the last one of the attributes beside it or, when there are
 * none, the one before the first field of its group. previous is the last field of all, in merged tables too. */
static void first_after(const struct element *element, const struct place *place, const struct field **previous,
                        const struct field **after, bool *inside)
{
    for (const struct field *field = element->fields; field < element->fields + element->count; field++) {
        if (field->kind == FIELD_KIND_MERGE) {
            first_after(field->element, place, previous, after, inside);
            continue;
        }
        const char *rest = path_after(field->path, place);
        if (rest && !*inside) {
            *inside = true;
            *after = *previous;
        }
        if (rest && (*rest == '@' || *rest == '.'))
            *after = field;
        *previous = field;
    }
}

static int node_parse(struct parse *parse, struct place *place, xmlNode *node);

/* A second element of a kind that has one place only would overwrite the first. */
static bool child_repeats(const struct child_match *match, const xmlNode *child)
{
    if (match->field ? match->field->kind == FIELD_KIND_LIST || match->field->kind == FIELD_KIND_FLAG : !match->group)
        return false;
    for (const xmlNode *before = child->prev; before; before = before->prev)
        if (before->type == XML_ELEMENT_NODE && before->ns == child->ns &&
            strcmp((const char *)before->name, (const char *)child->name) == 0)
            return true;
    return false;
}

static int child_parse(struct parse *parse, struct place *place, xmlNode *child, const struct field **after)
{
    struct child_match match = {0};
    child_find(place->element, place->part, place, child, &match);
    if (!match.last) {
        const struct field *previous = NULL;
        bool inside = false;
        if (!place->text_seen && node_is_mixed(child->parent))
            return error_set(parse->err, ERR_XML_ERROR, "%s: may not stand among text", node_path(parse->arena, child));
        place->text_seen = true;
        if (!*after)
            first_after(place->element, place, &previous, after, &inside);
        return extra_add(parse, place, *after, false, child, NULL);
    }
    *after = match.last;
    if (match.field && match.field->kind == FIELD_KIND_KEPT)
        return extra_add(parse, place, match.last, true, child, NULL);
    if (child_repeats(&match, child))
        return error_set(parse->err, ERR_XML_ERROR, "%s: may stand there only once", node_path(parse->arena, child));
    if (match.field && match.field->flags & LIVE && parse->flags & PARSE_INACTIVE)
        return 0;
    if (match.field && match.field->kind >= FIELD_KIND_VERBATIM)
        return part_parse(parse, match.field, match.part, child);
    if (match.field && leaf_parse(parse, match.field, match.part, child, NULL, node_text(parse, child)) < 0)
        return -1;
    if (!match.field && !match.group)
        return 0; /* known, but it says nothing here: <source> of a device type that has none */

    struct place inside = *place;
    inside.group = match.group ? match.group : match.last->path;
    inside.group_length = match.group ? match.group_length : strlen(match.last->path);
    inside.text_seen = false;
    return node_parse(parse, &inside, child);
}

static int node_parse(struct parse *parse, struct place *place, xmlNode *node)
{
    if (attributes_parse(parse, place->element, place->part, place, node) < 0)
        return -1;
    for (const xmlAttr *attr = node->properties; attr; attr = attr->next) {
        const struct field *field = attr->ns ? NULL : attribute_find(place->element, place->part, place,
                                                                     (const char *)attr->name);
        bool known = field && field->kind == FIELD_KIND_KEPT;
        if (field && !known)
            continue;
        if (!attr->ns && strcmp((const char *)attr->name, "unit") == 0)
            continue; /* read with the number */
        if (extra_add(parse, place, NULL, known, node, attr) < 0)
            return -1;
    }
    const struct field *after = NULL;
    for (xmlNode *child = node->children; child; child = child->next)
        if (child->type == XML_ELEMENT_NODE && child_parse(parse, place, child, &after) < 0)
            return -1;
    return 0;
}

/* Fields that the document left out: a default, or an error. */
static int fields_complete(struct parse *parse, const struct element *element, void *part)
{
    for (const struct field *field = element->fields; field < element->fields + element->count; field++) {
        if (field->kind == FIELD_KIND_MERGE) {
            if (field_holds(field, part) &&
                fields_complete(parse, field->element, (char *)part + field->offset) < 0)
                return -1;
            continue;
        }
        if (!(field->flags & (REQUIRED | HAS_DEFAULT)) || !field_holds(field, part))
            continue;
        bool missing = field->kind == FIELD_KIND_PART     ? *(void **)((char *)part + field->offset) == NULL
                       : field->kind < FIELD_KIND_VERBATIM ? !value_present(field, part)
                                                           : false;
        if (missing && field->flags & HAS_DEFAULT)
            value_default(field, part);
        else if (missing)
            return error_set(parse->err, field->fallback ? (int)field->fallback : ERR_XML_ERROR, "%s/%s: is missing",
                             node_path(parse->arena, parse->node), field->path);
    }
    return 0;
}

int xml_parse(struct parse *parse, const struct element *element, void *part, xmlNode *node)
{
    struct place place = {.element = element, .part = part};
    if (node_parse(parse, &place, node) < 0)
        return -1;
    for (const struct field *field = element->fields; field < element->fields + element->count; field++)
        if (field->path && field->path[0] == '.' && field_holds(field, part) &&
            leaf_parse(parse, field, part, node, NULL, node_text(parse, node)) < 0)
            return -1;
    parse->node = node;
    if (fields_complete(parse, element, part) < 0)
        return -1;
    return element->parsed ? element->parsed(part, parse) : 0;
}
