/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <libxml/tree.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"
#include "model/field.h"

/* The walker: everything that is done to a document by its tables (field.h). */

/* Limits on what is read; a definition beyond them is refused, not cut. */
#define XML_SIZE_MAX  (4u << 20)
#define XML_DEPTH_MAX 64
#define XML_ELEMENTS_MAX   65536
#define XML_ATTRIBUTES_MAX 1024 /* of one element; libxml2's time grows with their square */
#define XML_LIST_MAX 4096       /* elements of one kind beside each other */
#define XML_EXTRAS_MAX 1000     /* parts of a document that no table knows */

enum parse_flags {
    PARSE_INACTIVE = 1, /* LIVE fields are dropped */
    PARSE_STRICT = 2,   /* what no table knows is an error */
};

/* One run over one document. */
struct parse {
    struct arena *arena; /* takes all that is parsed */
    unsigned flags;
    struct error *err;
    xmlNode *node;       /* the element whose hook runs */
    unsigned extras;     /* found so far */
};

/* An attribute or child element that no table knows. It is written again behind the field that stood before it. */
struct extra {
    struct extra *next;
    const struct element *element; /* the table that did not know it */
    const struct field *after;     /* children: NULL = first */
    const char *group;             /* path of the child of element that holds it, "" = element itself */
    uint32_t group_length;
    bool attribute;
    bool known;                    /* a FIELD_KEPT: no reason for a warning */
    const char *name;              /* of an attribute */
    const char *text;              /* value, or the element as text */
    const char *path;              /* in the document, for messages */
};

/* Parses text into a document whose root is <root>: no network, no DTD, no entities, bounded. root also says in
 * messages what it is; NULL: a piece of metadata, whose root is its owner's affair. NULL with err (ERR_XML_DETAIL,
 * ERR_XML_ERROR). Free with xmlFreeDoc(). */
xmlDoc *xml_read(const char *xml, size_t length, const char *root, struct error *err);

static inline const char *xml_attribute_value(const xmlAttr *attr)
{
    return attr->children && attr->children->content ? (const char *)attr->children->content : "";
}

/* An element with all that it holds as text (arena), indented for the place where it stands and with the namespaces it
 * needs declared in it. foreign: always as libxml2 writes it, else in our layout where that can hold it. */
char *xml_node_text(struct arena *arena, xmlNode *node, bool foreign);
/* The same as libxml2 writes it, for a place so many levels deep. */
char *xml_foreign_text(struct arena *arena, xmlNode *node, unsigned level);

/* Fills part (zeroed, element->size bytes) from node. */
int xml_parse(struct parse *parse, const struct element *element, void *part, xmlNode *node);

/* Fills err with ERR_XML_ERROR: the path of the parse's current element, "/suffix" when it is not NULL, ": " and the
 * message. Returns -1. */
int xml_error(struct parse *parse, const char *suffix, const char *format, ...) __attribute__((format(printf, 3, 4)));

enum format_flags {
    FORMAT_INACTIVE = 1, /* without LIVE fields */
    FORMAT_SECURE = 2,   /* with SECURE fields */
};

/* Appends the element as <name> with 2 blanks a level; attributes is put at the end of the start tag as it is (NULL:
 * nothing). */
void xml_format(struct text *out, const struct element *element, const char *name, const void *part, unsigned flags,
                unsigned level, const char *attributes);

/* Appends value with <, >, &, ', " and carriage returns escaped; control characters that XML cannot hold are left
 * out. */
void xml_escape(struct text *out, const char *value);
/* Fails with ERR_XML_ERROR, "WHAT: ...", when value has a character that XML cannot hold in any form: most control
 * characters, U+FFFE, U+FFFF; or is no UTF-8. NULL is fine. For what comes from elsewhere than an XML parser. */
int xml_check_text(const char *what, const char *value, struct error *err);

/* Compares the GUEST_ABI fields; on the first difference fills err (ERR_CONFIG_UNSUPPORTED, path begins with name) and
 * returns -1. */
int xml_compare(const struct element *element, const char *name, const void *source, const void *target,
                struct error *err);

/* A deep copy of the part in one block of the arena. */
void *xml_clone(struct arena *arena, const struct element *element, const void *part);

/* Appends the paths of all extras below part, one a line. */
void xml_unknown(const struct element *element, const void *part, struct text *paths);

struct chardev_source;
/* For the hooks of elements that contain a chardev_source: its defaults and what its type needs. */
int chardev_source_complete(struct chardev_source *source, struct parse *parse);

/* Grows a LIST_OF by one and returns the slot; list is the address of the LIST_OF. */
void **list_grow(struct arena *arena, void *list);
#define list_add(arena, list, part) (*list_grow((arena), (list)) = (part))
