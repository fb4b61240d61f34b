/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "convert/job.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "base/json.h"
#include "base/text.h"

enum { VERSION = 1, SIZE_MAX_BYTES = 8 << 20, DISKS_MAX = 1024 };

static const char *const phases[] = {[JOB_COPYING] = "copying", [JOB_PLACING] = "placing",
                                     [JOB_PUBLISHING] = "publishing"};

static char *journal_path(struct arena *arena, const char *directory, const char *name)
{
    return arena_printf(arena, "%s/.%s.convert", directory, name);
}

static char *lock_path(struct arena *arena, const char *directory, const char *name)
{
    return arena_printf(arena, "%s/.%s.convert.lock", directory, name);
}

bool job_journal_exists(const char *directory, const char *name)
{
    scoped_arena struct arena *arena = arena_new();
    return access(journal_path(arena, directory, name), F_OK) == 0;
}

static json_t *disk_json(const struct job_disk *disk)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:s*}", "target", disk->target, "source", disk->source,
                     "source-format", disk->source_format, "path", disk->path, "part", disk->part, "format",
                     disk->format, "done", disk->done, "mark", disk->mark);
}

int job_journal_write(const struct job *job, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    char uuid[UUID_STRING_SIZE];
    uuid_format(job->uuid, uuid);
    json_t *disks = json_array();
    for (size_t i = 0; i < job->disk_count; i++)
        json_array_append_new(disks, disk_json(&job->disk[i]));
    scoped_json json_t *json =
        json_pack("{s:i, s:s, s:s, s:s, s:s, s:s*, s:s*, s:b, s:s, s:o}", "version", VERSION, "name", job->name, "uuid",
                  uuid, "phase", phases[job->phase], "output", job->output, "uri", job->uri, "pool", job->pool,
                  "preallocated", job->preallocated, "xml", job->xml, "disks", disks);
    scoped_free char *text = json ? json_dumps(json, JSON_INDENT(1)) : NULL;
    if (!text)
        return error_set(err, ERR_INTERNAL_ERROR, "the conversion to '%s' cannot be noted: a path is not UTF-8",
                         job->name);
    return file_write_durable(journal_path(arena, job->directory, job->name), text, strlen(text), 0600, err);
}

int job_journal_remove(const struct job *job, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    return file_remove_durable(journal_path(arena, job->directory, job->name), err);
}

static int disk_read(struct job_disk *disk, const json_t *json, struct arena *arena)
{
    int done;
    const char *target, *source, *source_format, *path, *part, *format, *mark = NULL;
    if (json_unpack((json_t *)json, "{s:s, s:s, s:s, s:s, s:s, s:s, s:b, s?s}", "target", &target, "source", &source,
                    "source-format", &source_format, "path", &path, "part", &part, "format", &format, "done",
                    &done, "mark", &mark) < 0)
        return -1;
    *disk = (struct job_disk){.target = arena_strdup(arena, target), .source = arena_strdup(arena, source),
                              .source_format = arena_strdup(arena, source_format), .path = arena_strdup(arena, path),
                              .part = arena_strdup(arena, part), .format = arena_strdup(arena, format), .done = done,
                              .mark = arena_strdup(arena, mark)};
    return 0;
}

static int phase_of(const char *word, enum job_phase *phase)
{
    for (size_t i = 0; i < COUNT(phases); i++)
        if (strcmp(word, phases[i]) == 0) {
            *phase = (enum job_phase)i;
            return 0;
        }
    return -1;
}

static int job_read(struct job *job, json_t *json)
{
    int version, preallocated;
    const char *name, *uuid, *phase, *output, *uri = NULL, *pool = NULL, *xml;
    json_t *disks;
    if (json_unpack(json, "{s:i, s:s, s:s, s:s, s:s, s?s, s?s, s:b, s:s, s:o}", "version", &version, "name", &name,
                    "uuid", &uuid, "phase", &phase, "output", &output, "uri", &uri, "pool", &pool, "preallocated",
                    &preallocated, "xml", &xml, "disks", &disks) < 0)
        return -1;
    if (version != VERSION || uuid_parse(uuid, job->uuid) < 0 || phase_of(phase, &job->phase) < 0 ||
        json_array_size(disks) > DISKS_MAX)
        return -1;
    job->name = arena_strdup(job->arena, name);
    job->output = arena_strdup(job->arena, output);
    job->uri = arena_strdup(job->arena, uri);
    job->pool = arena_strdup(job->arena, pool);
    job->xml = arena_strdup(job->arena, xml);
    job->preallocated = preallocated;
    job->disk_count = json_array_size(disks);
    job->disk = arena_new_array(job->arena, job->disk_count + 1, struct job_disk);
    for (size_t i = 0; i < job->disk_count; i++)
        if (disk_read(&job->disk[i], json_array_get(disks, i), job->arena) < 0)
            return -1;
    return 0;
}

int job_journal_read(struct job *job, const char *directory, const char *name, struct error *err)
{
    const char *path = journal_path(job->arena, directory, name);
    if (!job_journal_exists(directory, name))
        return error_set(err, ERR_OPERATION_INVALID, "there is no unfinished conversion to '%s' in '%s'", name,
                         directory);
    size_t length;
    char *text = file_read(job->arena, path, SIZE_MAX_BYTES, &length, err);
    if (!text)
        return -1;
    scoped_json json_t *json = json_read(text, length, NULL);
    if (!json || job_read(job, json) < 0 || !string_equal(job->name, name))
        return error_set(err, ERR_INTERNAL_ERROR, "the journal '%s' is damaged or of another version, so that nobody "
                         "can go on by it; remove it and what was copied ('%s/.%s-sd*.part', and '%s/%s-sd*' when no "
                         "domain uses it), then convert anew", path, directory, name, directory, name);
    job->directory = arena_strdup(job->arena, directory);
    return 0;
}

int job_lock(struct job *job, const char *directory, const char *name, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    const char *path = lock_path(arena, directory, name);
    struct stat held, there;
    for (;;) {
        scoped_fd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0)
            return error_system(err, errno, "cannot work in the directory '%s'", directory);
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
            return error_set(err, ERR_OPERATION_INVALID, "another godwit converts to '%s' in '%s' at this moment", name,
                             directory);
        if (fstat(fd, &held) == 0 && stat(path, &there) == 0 && held.st_ino == there.st_ino) {
            job->name = arena_strdup(job->arena, name);
            job->directory = arena_strdup(job->arena, directory);
            job->lock = steal_fd(&fd);
            return 0;
        }
    } /* its last holder removed it meanwhile */
}

void job_unlock(struct job *job)
{
    scoped_arena struct arena *arena = arena_new();
    if (job->lock < 0)
        return;
    unlink(lock_path(arena, job->directory, job->name));
    close(steal_fd(&job->lock));
}
