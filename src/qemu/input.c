/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/input.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/files.h"

int input_send_keys(struct domain *domain, unsigned codeset, unsigned hold_ms, const uint32_t *codes, size_t count,
                    const char *client, struct error *err)
{
    if (!key_codeset_known(codeset))
        return error_set(err, ERR_OPERATION_UNSUPPORTED,
                         "keys of codeset %u are not known here: linux, xt, atset1, usb and qnum are", codeset);
    json_t *keys = json_array();
    for (size_t i = 0; i < count; i++) {
        unsigned number = key_number(codeset, codes[i]);
        if (!number) {
            json_decref(keys);
            return error_set(err, ERR_INVALID_ARG, "cannot translate keycode %u of codeset %u: it is no key that QEMU "
                             "has", codes[i], codeset);
        }
        json_array_append_new(keys, json_pack("{s:s, s:i}", "type", "number", "data", (int)number));
    }
    json_t *arguments = json_pack("{s:o}", "keys", keys);
    if (hold_ms)
        json_object_set_new(arguments, "hold-time", json_integer(hold_ms));
    scoped_job struct job job = {0};
    if (domain_begin_active_job(domain, &job, JOB_ASK, "send keys", client, err) < 0) {
        json_decref(arguments);
        return -1;
    }
    if (qmp_execute(domain->qmp, "send-key", arguments, monitor_deadline(), err) < 0)
        return error_wrap(err, "cannot send keys to domain '%s'", domain_name(domain));
    return 0;
}

int input_nmi(struct domain *domain, const char *client, struct error *err)
{
    scoped_job struct job job = {0};
    if (domain_begin_active_job(domain, &job, JOB_ASK, "inject NMI", client, err) < 0 ||
        qmp_execute(domain->qmp, "inject-nmi", NULL, monitor_deadline(), err) < 0)
        return error_wrap(err, "cannot inject an NMI into domain '%s'", domain_name(domain));
    return 0;
}

/* -- what QEMU writes into a file for us --------------------------------------------------------------------------- */

/* A fresh file in the guest's directory, opened by us before QEMU writes into it. */
static int fresh_file(const struct domain *domain, struct arena *arena, char **path, struct error *err)
{
    *path = arena_printf(arena, "%s/picture-XXXXXX", domain_lib_path(domain, arena));
    int fd = mkostemp(*path, O_CLOEXEC);
    return fd < 0 ? error_system(err, errno, "cannot make a file like '%s'", *path) : fd;
}

static const struct video *video_of_screen(const struct domain_def *live, unsigned screen, unsigned *head)
{
    for (uint32_t i = 0; i < live->videos.count; i++) {
        const struct video *video = live->videos.item[i];
        unsigned heads = video->heads ? video->heads : 1;
        if (video->model == VIDEO_MODEL_NONE)
            continue;
        if (screen < heads) {
            *head = screen;
            return video;
        }
        screen -= heads;
    }
    return NULL;
}

/* In PNG; QEMU before 7.1 has only PPM. */
static int dump_screen(struct domain *domain, const char *path, const struct video *video, unsigned head,
                       const char **mime, struct error *err)
{
    json_t *arguments = json_pack("{s:s, s:s, s:s, s:i}", "filename", path, "format", "png", "device",
                                  video->info.alias ? video->info.alias : "", "head", (int)head);
    json_t *plain = json_deep_copy(arguments);
    json_object_del(plain, "format");
    struct error first = {0};
    *mime = "image/png";
    if (qmp_execute(domain->qmp, "screendump", arguments, monitor_deadline(), &first) == 0) {
        json_decref(plain);
        return 0;
    }
    *mime = "image/x-portable-pixmap";
    return qmp_execute(domain->qmp, "screendump", plain, monitor_deadline(), err);
}

int screen_shot(struct domain *domain, unsigned screen, const char **mime, const char *client, struct error *err)
{
    scoped_job struct job job = {0};
    if (domain_begin_active_job(domain, &job, JOB_ASK, "take a picture of the screen", client, err) < 0)
        return -1;
    unsigned head = 0;
    const struct video *video = video_of_screen(domain->object.live, screen, &head);
    if (!video)
        return error_set(err, ERR_INVALID_ARG, "domain '%s' has no screen %u", domain_name(domain), screen);
    scoped_arena struct arena *arena = arena_new();
    char *path;
    scoped_fd int fd = fresh_file(domain, arena, &path, err);
    if (fd < 0)
        return -1;
    int rc = dump_screen(domain, path, video, head, mime, err);
    unlink(path);
    return rc < 0 ? error_wrap(err, "cannot take a picture of domain '%s'", domain_name(domain)) : steal_fd(&fd);
}

int memory_peek(struct domain *domain, uint64_t offset, bool virtual, void *buffer, size_t size, const char *client,
                struct error *err)
{
    scoped_job struct job job = {0};
    if (domain_begin_active_job(domain, &job, JOB_ASK, "look into memory", client, err) < 0)
        return -1;
    if (offset > INT64_MAX)
        return error_set(err, ERR_INVALID_ARG, "address %#llx is beyond what QEMU takes", (unsigned long long)offset);
    scoped_arena struct arena *arena = arena_new();
    char *path;
    scoped_fd int fd = fresh_file(domain, arena, &path, err);
    if (fd < 0)
        return -1;
    json_t *arguments = json_pack("{s:I, s:I, s:s}", "val", (json_int_t)offset, "size", (json_int_t)size, "filename",
                                  path);
    int rc = qmp_execute(domain->qmp, virtual ? "memsave" : "pmemsave", arguments, monitor_deadline(), err);
    unlink(path);
    if (rc < 0)
        return error_wrap(err, "cannot look into the memory of domain '%s'", domain_name(domain));
    if (pread(fd, buffer, size, 0) != (ssize_t)size)
        return error_set(err, ERR_OPERATION_FAILED, "QEMU of domain '%s' gave fewer than %zu bytes",
                         domain_name(domain), size);
    return 0;
}

/* -- graphics ------------------------------------------------------------------------------------------------------ */

int graphics_attach(struct domain *domain, unsigned index, int fd, bool skip_auth, const char *client,
                    struct error *err)
{
    scoped_job struct job job = {0};
    if (domain_begin_active_job(domain, &job, JOB_ASK, "open graphics", client, err) < 0)
        return -1;
    const struct domain_def *live = domain->object.live;
    if (index >= live->graphics.count)
        return error_set(err, ERR_INVALID_ARG, "domain '%s' has no graphics %u: it has %u", domain_name(domain), index,
                         live->graphics.count);
    enum graphics_type type = live->graphics.item[index]->type;
    if (type != GRAPHICS_TYPE_VNC && type != GRAPHICS_TYPE_SPICE)
        return error_set(err, ERR_INVALID_ARG, "graphics %u of domain '%s' is of type '%s': only vnc and spice can be "
                         "opened", index, domain_name(domain), graphics_type_name(type));
    json_t *named = json_pack("{s:s}", "fdname", "graphicsfd");
    json_t *reply = qmp_command_fd(domain->qmp, "getfd", named, fd, monitor_deadline(), err);
    json_decref(reply);
    json_t *arguments = json_pack("{s:s, s:s, s:b}", "protocol", type == GRAPHICS_TYPE_VNC ? "vnc" : "spice", "fdname",
                                  "graphicsfd", "skipauth", skip_auth);
    if (!reply) {
        json_decref(arguments);
        return error_wrap(err, "cannot hand a client to domain '%s'", domain_name(domain));
    }
    if (qmp_execute(domain->qmp, "add_client", arguments, monitor_deadline(), err) < 0)
        return error_wrap(err, "cannot hand a client to domain '%s'", domain_name(domain));
    return 0;
}
