/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/values.h"
#include "model/xml.h"

struct list_view {
    void **item;
    uint32_t count;
};

static bool compared(const struct field *field, const void *part)
{
    return field->flags & GUEST_ABI &&
           (field->when == 0 || field->when & BIT(((const uint8_t *)part)[field->when_offset]));
}

static const char *value_shown(struct text *text, const struct field *field, const void *part)
{
    if (!value_present(field, part))
        return "nothing";
    if (field->kind == FIELD_KIND_FLAG)
        return "present";
    text_append_char(text, '\'');
    value_format(text, field, part);
    text_append_char(text, '\'');
    return text_string(text);
}

static int differ(const struct field *field, const char *name, const void *source, const void *target,
                  struct error *err)
{
    scoped_text struct text from = {0}, to = {0};
    return error_set(err, ERR_CONFIG_UNSUPPORTED, "the guest would see another machine: %s/%s is %s in the source and "
                     "%s in the target; make them equal", name, field->path, value_shown(&from, field, source),
                     value_shown(&to, field, target));
}

static int part_compare(const struct field *field, const char *name, const void *source, const void *target,
                        struct error *err)
{
    scoped_free char *path = xprintf("%s/%s", name, field->path);
    if (!source != !target)
        return error_set(err, ERR_CONFIG_UNSUPPORTED, "the guest would see another machine: %s is only in the %s; "
                         "make them equal", path, source ? "source" : "target");
    return source ? xml_compare(field->element, path, source, target, err) : 0;
}

static int list_compare(const struct field *field, const char *name, const struct list_view *source,
                        const struct list_view *target, struct error *err)
{
    if (source->count != target->count)
        return error_set(err, ERR_CONFIG_UNSUPPORTED, "the guest would see another machine: %s/%s is there %u times in "
                         "the source and %u times in the target; make them equal", name, field->path, source->count,
                         target->count);
    for (uint32_t i = 0; i < source->count; i++) {
        scoped_free char *path = xprintf("%s/%s[%u]", name, field->path, i + 1);
        if (xml_compare(field->element, path, source->item[i], target->item[i], err) < 0)
            return -1;
    }
    return 0;
}

int xml_compare(const struct element *element, const char *name, const void *source, const void *target,
                struct error *err)
{
    for (const struct field *field = element->fields; field < element->fields + element->count; field++) {
        const void *from = (const char *)source + field->offset, *to = (const char *)target + field->offset;
        int result = 0;
        if (field->kind == FIELD_KIND_MERGE)
            result = xml_compare(field->element, name, from, to, err);
        else if (!compared(field, source) && !compared(field, target))
            continue;
        else if (field->kind == FIELD_KIND_INLINE)
            result = part_compare(field, name, from, to, err);
        else if (field->kind == FIELD_KIND_PART)
            result = part_compare(field, name, *(void *const *)from, *(void *const *)to, err);
        else if (field->kind == FIELD_KIND_LIST)
            result = list_compare(field, name, from, to, err);
        else if (!value_equal(field, source, target))
            result = differ(field, name, source, target, err);
        if (result < 0)
            return -1;
    }
    return 0;
}

void xml_unknown(const struct element *element, const void *part, struct text *paths)
{
    if (element->extra_offset != NO_EXTRA)
        for (const struct extra *extra = *(struct extra *const *)((const char *)part + element->extra_offset); extra;
             extra = extra->next)
            if (extra->element == element && !extra->known) {
                text_append(paths, extra->path);
                text_append_char(paths, '\n');
            }
    for (const struct field *field = element->fields; field < element->fields + element->count; field++) {
        const void *member = (const char *)part + field->offset;
        const struct list_view *list = member;
        if (field->kind == FIELD_KIND_INLINE || field->kind == FIELD_KIND_MERGE)
            xml_unknown(field->element, member, paths);
        else if (field->kind == FIELD_KIND_PART && *(void *const *)member)
            xml_unknown(field->element, *(void *const *)member, paths);
        else if (field->kind == FIELD_KIND_LIST)
            for (uint32_t i = 0; i < list->count; i++)
                xml_unknown(field->element, list->item[i], paths);
    }
}
