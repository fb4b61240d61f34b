/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/convert.h"

#include <stdio.h>

#include "cli/output.h"
#include "cli/shell.h"

void convert_report_print(struct invocation *in, const struct report *report)
{
    if (in->shell->quiet)
        return;
    for (size_t i = 0; i < report->changes.count; i++)
        fprintf(stderr, "%s\n", remark_line(in->arena, &report->changes.item[i]));
    for (size_t i = 0; i < report->left.count; i++)
        fprintf(stderr, "left to do: %s\n", remark_line(in->arena, &report->left.item[i]));
}

static json_t *optional_string(const char *text)
{
    return text ? json_string(text) : json_null();
}

static json_t *remarks_json(const struct remarks *remarks, bool changes)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < remarks->count; i++) {
        const struct remark *remark = &remarks->item[i];
        json_t *row = json_object();
        json_object_set_new(row, "rule", json_string(remark->rule));
        json_object_set_new(row, "subject", json_string(remark->subject));
        if (changes) {
            json_object_set_new(row, "from", optional_string(remark->from));
            json_object_set_new(row, "to", optional_string(remark->to));
        }
        json_object_set_new(row, changes ? "why" : "text", optional_string(remark->text));
        json_array_append_new(rows, row);
    }
    return rows;
}

static json_t *disks_json(const struct job *job)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < job->disk_count; i++) {
        const struct job_disk *disk = &job->disk[i];
        json_array_append_new(rows, json_pack("{s:s, s:s, s:s, s:s}", "target", disk->target, "source", disk->source,
                                              "path", disk->path, "format", disk->format));
    }
    return rows;
}

void convert_report_json(const char *name, const char *xml, const struct report *report, const struct job *job)
{
    json_t *object = json_object();
    json_object_set_new(object, "name", json_string(name));
    json_object_set_new(object, "xml", json_string(xml));
    json_object_set_new(object, "changes", remarks_json(&report->changes, true));
    json_object_set_new(object, "left", remarks_json(&report->left, false));
    if (job)
        json_object_set_new(object, "disks", disks_json(job));
    output_json(object);
}
