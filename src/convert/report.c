/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "convert/report.h"

#include <string.h>

#include "base/text.h"

static struct remark *remark_add(struct report *report, struct remarks *remarks, const char *rule, const char *subject)
{
    struct remark *remark = arena_grow(report->arena, remarks->item, remarks->count, remarks->capacity, 16);
    remarks->count++;
    remark->rule = rule;
    remark->subject = arena_strdup(report->arena, subject ? subject : "");
    return remark;
}

void report_change(struct report *report, const char *rule, const char *subject, const char *from, const char *to,
                   const char *why)
{
    struct remark *remark = remark_add(report, &report->changes, rule, subject);
    remark->from = arena_strdup(report->arena, from);
    remark->to = arena_strdup(report->arena, to);
    remark->text = why;
}

void report_left(struct report *report, const char *rule, const char *subject, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    remark_add(report, &report->left, rule, subject)->text = arena_vprintf(report->arena, format, args);
    va_end(args);
}

const char *remark_line(struct arena *arena, const struct remark *remark)
{
    const char *slash = strrchr(remark->rule, '/');
    const char *what = slash ? slash + 1 : remark->rule;
    const char *colon = *remark->subject ? ": " : "";
    if (!remark->from && !remark->to)
        return arena_printf(arena, "%s%s%s", remark->subject, colon, remark->text);
    if (!remark->from)
        return arena_printf(arena, "%s%s%s added: %s", remark->subject, colon, what, remark->to);
    if (!remark->to)
        return arena_printf(arena, "%s%s%s removed: %s", remark->subject, colon, what, remark->from);
    return arena_printf(arena, "%s%s%s %s -> %s", remark->subject, colon, what, remark->from, remark->to);
}
