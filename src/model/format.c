/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <libxml/chvalid.h>
#include <libxml/xmlstring.h>
#include <string.h>

#include "model/values.h"
#include "model/xml.h"

/* What has been written of an element: "<name" (attributes may follow), ">" and children, or ">" and text. */
enum tag_state { TAG_OPEN, TAG_CHILDREN, TAG_TEXT };

#define GROUP_DEPTH_MAX 6

struct tag {
    const char *name;
    size_t length;
    size_t end; /* length of the path that leads to it */
    enum tag_state state;
    bool extras_done; /* its unknown attributes are written */
};

/* One element being written, with the children into which its fields are flattened: tag[0] is the element itself,
 * tag[1..depth] the open path below it. */
struct writer {
    struct text *out;
    unsigned flags;
    unsigned level; /* of tag[0] */
    struct tag tag[GROUP_DEPTH_MAX];
    unsigned depth;
    const char *group; /* the open path */
    const struct element *element;
    const struct extra *extras;
    const char *attributes; /* for tag[0], behind the others */
};

void xml_escape(struct text *out, const char *value)
{
    const char *start = value;
    for (;; value++) {
        unsigned char c = (unsigned char)*value;
        const char *entity = c == '\r' ? "&#13;" : xml_entity((char)c);
        if (c == '\n' || c == '\t' || (c >= ' ' && !entity))
            continue;
        text_append_bytes(out, start, (size_t)(value - start));
        if (c == '\0')
            return;
        text_append(out, entity ? entity : "");
        start = value + 1;
    }
}

int xml_check_text(const char *what, const char *value, struct error *err)
{
    for (const char *at = value ? value : ""; *at;) {
        int length = (int)strnlen(at, 4);
        int c = xmlGetUTF8Char((const unsigned char *)at, &length);
        if (c < 0)
            return error_set(err, ERR_XML_ERROR, "%s: byte %zu is not UTF-8", what, (size_t)(at - value) + 1);
        if (!xmlIsCharQ(c))
            return error_set(err, ERR_XML_ERROR, "%s: the character U+%04X at byte %zu cannot stand in XML; leave it "
                             "out", what, (unsigned)c, (size_t)(at - value) + 1);
        at += length;
    }
    return 0;
}

static void indent(struct text *out, unsigned level)
{
    size_t length = level * 2;
    memset(text_reserve(out, length), ' ', length);
    out->length += length;
}

/* Before the start tag ends: the attributes that nobody knows. */
static void attributes_finish(struct writer *writer)
{
    struct tag *tag = &writer->tag[writer->depth];
    if (tag->extras_done)
        return;
    tag->extras_done = true;
    if (writer->depth == 0 && writer->attributes)
        text_append(writer->out, writer->attributes);
    for (const struct extra *extra = writer->extras; extra; extra = extra->next) {
        if (!extra->attribute || extra->element != writer->element || extra->group_length != tag->end ||
            memcmp(extra->group, writer->group, tag->end) != 0)
            continue;
        text_append_char(writer->out, ' ');
        text_append(writer->out, extra->name);
        text_append_bytes(writer->out, "='", 2);
        xml_escape(writer->out, extra->text);
        text_append_char(writer->out, '\'');
    }
}

/* The innermost open element gets a child element or text. */
static void content_begin(struct writer *writer, enum tag_state state)
{
    struct tag *tag = &writer->tag[writer->depth];
    if (tag->state != TAG_OPEN)
        return;
    attributes_finish(writer);
    text_append(writer->out, state == TAG_TEXT ? ">" : ">\n");
    tag->state = state;
}

static void tag_begin(struct writer *writer)
{
    const struct tag *tag = &writer->tag[writer->depth];
    indent(writer->out, writer->level + writer->depth);
    text_append_char(writer->out, '<');
    text_append_bytes(writer->out, tag->name, tag->length);
}

static void tag_end(struct writer *writer)
{
    const struct tag *tag = &writer->tag[writer->depth];
    if (tag->state == TAG_OPEN) {
        attributes_finish(writer);
        text_append_bytes(writer->out, "/>\n", 3);
        return;
    }
    if (tag->state == TAG_CHILDREN)
        indent(writer->out, writer->level + writer->depth);
    text_append_bytes(writer->out, "</", 2);
    text_append_bytes(writer->out, tag->name, tag->length);
    text_append_bytes(writer->out, ">\n", 2);
}

/* How many of the open children also lead to path. */
static unsigned tags_shared(const struct writer *writer, const char *path, size_t length)
{
    unsigned shared = 0;
    while (shared < writer->depth) {
        size_t end = writer->tag[shared + 1].end;
        if (end > length || memcmp(path, writer->group, end) != 0 || (end < length && path[end] != '/'))
            break;
        shared++;
    }
    return shared;
}

/* Closes and opens children until the open path is the first length bytes of path. */
static void group_enter(struct writer *writer, const char *path, size_t length)
{
    for (unsigned shared = tags_shared(writer, path, length); writer->depth > shared; writer->depth--)
        tag_end(writer);
    writer->group = path;
    for (size_t end = writer->tag[writer->depth].end; end < length;) {
        size_t start = end ? end + 1 : 0;
        const char *slash = memchr(path + start, '/', length - start);
        end = slash ? (size_t)(slash - path) : length;
        content_begin(writer, TAG_CHILDREN);
        writer->tag[++writer->depth] = (struct tag){.name = path + start, .length = end - start, .end = end};
        tag_begin(writer);
    }
}

static void extras_format(struct writer *writer, const struct field *after)
{
    for (const struct extra *extra = writer->extras; extra; extra = extra->next) {
        if (extra->element != writer->element)
            continue;
        if (extra->attribute && after && after->path == extra->group) {
            group_enter(writer, extra->group, extra->group_length);
        } else if (!extra->attribute && extra->after == after) {
            group_enter(writer, extra->group, extra->group_length);
            content_begin(writer, TAG_CHILDREN);
            indent(writer->out, writer->level + writer->depth + 1);
            text_append(writer->out, extra->text);
            text_append_char(writer->out, '\n');
        }
    }
}

static void unit_format(struct writer *writer, const struct field *field, const void *part)
{
    const char *unit = value_unit(field, part);
    if (!unit)
        return;
    text_append(writer->out, " unit='");
    text_append(writer->out, unit);
    text_append_char(writer->out, '\'');
}

static void leaf_format(struct writer *writer, const struct field *field, const void *part)
{
    if (!value_present(field, part))
        return;
    const char *attribute = strchr(field->path, '@');
    if (attribute) {
        group_enter(writer, field->path, attribute > field->path ? (size_t)(attribute - field->path) - 1 : 0);
        text_append_char(writer->out, ' ');
        text_append(writer->out, attribute + 1);
        text_append_bytes(writer->out, "='", 2);
        value_format(writer->out, field, part);
        text_append_char(writer->out, '\'');
        unit_format(writer, field, part);
        return;
    }
    group_enter(writer, field->path, field->path[0] == '.' ? 0 : strlen(field->path));
    if (field->kind == FIELD_KIND_FLAG)
        return;
    unit_format(writer, field, part);
    content_begin(writer, TAG_TEXT);
    value_format(writer->out, field, part);
}

static void element_format(struct text *out, const struct element *element, const char *name, const void *part,
                           unsigned flags, unsigned level, const char *attributes, bool keep_empty);

/* A child with a struct of its own, or with none: verbatim. */
static void part_format(struct writer *writer, const struct field *field, const void *part)
{
    const char *slash = strrchr(field->path, '/');
    struct tag before = writer->tag[writer->depth];
    bool keep = field->kind == FIELD_KIND_INLINE ? field->flags & KEEP_EMPTY : !(field->flags & DROP_EMPTY);
    size_t length = writer->out->length;

    group_enter(writer, field->path, slash ? (size_t)(slash - field->path) : 0);
    bool same = before.name == writer->tag[writer->depth].name;
    content_begin(writer, TAG_CHILDREN);
    size_t start = writer->out->length;
    if (field->kind == FIELD_KIND_VERBATIM) {
        indent(writer->out, writer->level + writer->depth + 1);
        text_append(writer->out, part);
        text_append_char(writer->out, '\n');
    } else {
        element_format(writer->out, field->element, slash ? slash + 1 : field->path, part, writer->flags,
                       writer->level + writer->depth + 1, NULL, keep);
    }
    if (writer->out->length == start && same && length < start) { /* nothing came: the start tag stays open */
        writer->out->length = length;
        writer->out->data[length] = '\0';
        writer->tag[writer->depth] = before;
    }
}

/* The flags that keep a field out of some documents. */
static bool field_written(const struct writer *writer, const struct field *field, const void *part)
{
    const char *member = (const char *)part + field->offset;
    bool inactive = writer->flags & FORMAT_INACTIVE;
    if (field->flags & SECURE && !(writer->flags & FORMAT_SECURE))
        return false;
    if (field->flags & (READ_ONLY | (inactive ? LIVE : REST)))
        return false;
    if (field->flags & USER_ALIAS && inactive)
        return *(char *const *)member && string_starts(*(char *const *)member, "ua-");
    if (field->flags & UNLESS_SAME)
        return *(const uint32_t *)member != *(const uint32_t *)((const char *)part + field->when_offset);
    return true;
}

static void fields_format(struct writer *writer, const struct element *element, const void *part)
{
    for (const struct field *field = element->fields; field < element->fields + element->count; field++) {
        const void *member = (const char *)part + field->offset;
        if (field->flags & (LIVE | SECURE | REST | USER_ALIAS | UNLESS_SAME | READ_ONLY) &&
            !field_written(writer, field, part))
            continue;
        if (field->when && !(field->when & BIT(((const uint8_t *)part)[field->when_offset])))
            continue;
        const struct {
            void **item;
            uint32_t count;
        } *list = member;
        switch ((enum field_kind)field->kind) {
        case FIELD_KIND_HIDDEN:
        case FIELD_KIND_KEPT:
            break;
        case FIELD_KIND_MERGE:
            fields_format(writer, field->element, member);
            break;
        case FIELD_KIND_INLINE:
            part_format(writer, field, member);
            break;
        case FIELD_KIND_PART:
        case FIELD_KIND_VERBATIM:
            if (*(void *const *)member)
                part_format(writer, field, *(void *const *)member);
            break;
        case FIELD_KIND_LIST:
            for (uint32_t i = 0; i < list->count; i++)
                part_format(writer, field, list->item[i]);
            break;
        default:
            leaf_format(writer, field, part);
        }
        if (writer->extras)
            extras_format(writer, field);
    }
}

static void element_format(struct text *out, const struct element *element, const char *name, const void *part,
                           unsigned flags, unsigned level, const char *attributes, bool keep_empty)
{
    struct writer writer = {.out = out, .flags = flags, .level = level, .element = element, .group = "",
                            .attributes = attributes,
                            .extras = *(struct extra *const *)((const char *)part + element->extra_offset)};
    size_t before = out->length;
    writer.tag[0] = (struct tag){.name = name, .length = strlen(name)};
    tag_begin(&writer);
    size_t start = out->length;
    if (writer.extras)
        extras_format(&writer, NULL);
    fields_format(&writer, element, part);
    group_enter(&writer, "", 0);
    attributes_finish(&writer);
    if (out->length == start && !keep_empty) {
        out->length = before;
        out->data[before] = '\0';
        return;
    }
    tag_end(&writer);
}

void xml_format(struct text *out, const struct element *element, const char *name, const void *part, unsigned flags,
                unsigned level, const char *attributes)
{
    element_format(out, element, name, part, flags, level, attributes, true);
}
