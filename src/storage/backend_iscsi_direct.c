/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <string.h>

#include "model/xml.h"
#include "storage/iscsi.h"
#include "storage/libiscsi.h"
#include "storage/pool.h"
#include "storage/task.h"

/* The disks of an iSCSI target that nobody logs in to but QEMU itself: looked at by libiscsi, on worker threads. */

#define ANSWER_S  15                      /* for one answer of the server */
#define LOOK_MS   (2 * 60 * 1000)         /* for all of them */
#define ZERO_MS   (UINT64_C(24) * 60 * 60 * 1000)
#define LUNS_MAX  (64 * 1024)             /* bytes of the list of disks */
#define ZERO_STEP 128                     /* blocks that are zeroed at once */
#define BLOCK_MIN 512                     /* bytes */
#define BLOCK_MAX (64 * 1024)

static void scsi_task_release(struct scsi_task **task)
{
    if (*task)
        libiscsi.scsi_free_scsi_task(*task);
}
#define scoped_scsi_task scope_cleanup(scsi_task_release)

struct session {
    struct task task;
    struct arena *arena;
    const char *initiator, *target, *portal;
    struct iscsi_context *iscsi;
    struct listed *items; /* of a list */
    size_t count;
    struct text found;    /* targets, one a line, of a discovery */
    int lun;              /* to be zeroed */
};

static void session_release(struct task *task)
{
    struct session *session = container_of(task, struct session, task);
    text_finish(&session->found);
    arena_free(session->arena);
    free(session);
}

static struct session *session_new(const struct pool_source *source, void (*run)(struct task *task))
{
    struct session *session = xcalloc(1, sizeof *session);
    session->task = (struct task){.run = run, .release = session_release};
    session->arena = arena_new();
    session->initiator = arena_strdup(session->arena, source->initiator);
    session->target = source->devices.count ? arena_strdup(session->arena, iscsi_target(source)) : NULL;
    session->portal = iscsi_portal(session->arena, source);
    return session;
}

static int check(struct pool_def *def, struct error *err)
{
    if (iscsi_check_source(&def->source, "iscsi-direct", err) < 0)
        return -1;
    if (!def->source.initiator)
        return error_set(err, ERR_XML_ERROR, "missing storage pool initiator iqn: <initiator><iqn name=…/>"
                         "</initiator>");
    if (def->source.auth)
        return error_set(err, ERR_CONFIG_UNSUPPORTED, "<auth>: logging in with a secret is not served for pools of "
                         "type 'iscsi-direct' yet");
    return 0;
}

/* -- talking to the server; on the worker -------------------------------------------------------------------------- */

static int failed(struct session *session, const char *what)
{
    const char *why = libiscsi.iscsi_get_error(session->iscsi);
    return error_set(&session->task.error, ERR_INTERNAL_ERROR, "cannot %s '%s' at %s: %s", what,
                     session->target ? session->target : "the targets", session->portal,
                     why && *why ? why : "no answer");
}

static int session_open(struct session *session, enum iscsi_session_type type)
{
    if (libiscsi_load(&session->task.error) < 0)
        return -1;
    session->iscsi = libiscsi.iscsi_create_context(session->initiator ? session->initiator : "iqn.2008-11.org.godwit");
    if (!session->iscsi)
        return error_set(&session->task.error, ERR_INTERNAL_ERROR, "cannot make an iSCSI context");
    libiscsi.iscsi_set_timeout(session->iscsi, ANSWER_S);
    libiscsi.iscsi_set_noautoreconnect(session->iscsi, 1);
    libiscsi.iscsi_set_tcp_syncnt(session->iscsi, 3);
    if (libiscsi.iscsi_set_session_type(session->iscsi, type) < 0 ||
        (session->target && libiscsi.iscsi_set_targetname(session->iscsi, session->target) < 0) ||
        libiscsi.iscsi_connect_sync(session->iscsi, session->portal) < 0 ||
        libiscsi.iscsi_login_sync(session->iscsi) < 0)
        return failed(session, "log in to");
    return 0;
}

static void session_close(struct session *session)
{
    if (!session->iscsi)
        return;
    if (libiscsi.iscsi_is_logged_in(session->iscsi))
        libiscsi.iscsi_logout_sync(session->iscsi);
    libiscsi.iscsi_destroy_context(session->iscsi);
    session->iscsi = NULL;
}

/* What is allocated depends on it: a server's nonsense is no answer. */
static bool is_block_size(uint32_t size)
{
    return size >= BLOCK_MIN && size <= BLOCK_MAX && (size & (size - 1)) == 0;
}

/* The server's capacity of a disk; a first answer may be that something has changed, which it says once. */
static int read_capacity(struct session *session, int lun, uint64_t *blocks, uint32_t *block_size)
{
    for (int turn = 0; turn < 4; turn++) {
        scoped_scsi_task struct scsi_task *task = libiscsi.iscsi_readcapacity16_sync(session->iscsi, lun);
        if (task && task->status == SCSI_STATUS_CHECK_CONDITION && task->sense.key == SCSI_SENSE_UNIT_ATTENTION)
            continue;
        const struct scsi_readcapacity16 *answer =
            task && task->status == SCSI_STATUS_GOOD ? libiscsi.scsi_datain_unmarshall(task) : NULL;
        if (!answer)
            break;
        uint64_t last = answer->returned_lba;
        uint32_t length = answer->block_length;
        if (!is_block_size(length) || last >= INT64_MAX / length)
            break;
        *blocks = last + 1;
        *block_size = length;
        return 0;
    }
    return -1;
}

static bool is_disk(struct session *session, int lun)
{
    scoped_scsi_task struct scsi_task *task = libiscsi.iscsi_inquiry_sync(session->iscsi, lun, 0, 0, 64);
    const struct scsi_inquiry_standard *answer =
        task && task->status == SCSI_STATUS_GOOD ? libiscsi.scsi_datain_unmarshall(task) : NULL;
    return answer && answer->device_type == SCSI_INQUIRY_PERIPHERAL_DEVICE_TYPE_DIRECT_ACCESS;
}

static void take_lun(struct session *session, int lun)
{
    uint64_t blocks;
    uint32_t block_size;
    struct arena *arena = session->arena;
    if (!is_disk(session, lun) || read_capacity(session, lun, &blocks, &block_size) < 0)
        return; /* one that does not answer must not hide the others */
    struct listed *item = &session->items[session->count++];
    uint64_t size = blocks * block_size;
    item->name = arena_printf(arena, "unit:0:0:%d", lun);
    item->path = item->key =
        arena_printf(arena, "ip-%s%s", session->portal, iscsi_unit_path(arena, session->target, (uint32_t)lun));
    item->facts = (struct volume_facts){
        .type = STORAGE_VOL_NETWORK, .format = "raw", .capacity = size, .allocation = size, .physical = size};
}

static void list_run(struct task *task)
{
    struct session *session = container_of(task, struct session, task);
    if (session_open(session, ISCSI_SESSION_NORMAL) == 0) {
        scoped_scsi_task struct scsi_task *answer = libiscsi.iscsi_reportluns_sync(session->iscsi, 0, LUNS_MAX);
        const struct scsi_reportluns_list *luns =
            answer && answer->status == SCSI_STATUS_GOOD ? libiscsi.scsi_datain_unmarshall(answer) : NULL;
        if (!luns)
            failed(session, "list the disks of");
        session->items = arena_new_array(session->arena, luns ? luns->num : 0, struct listed);
        for (uint32_t i = 0; luns && i < luns->num; i++)
            take_lun(session, luns->luns[i]);
    }
    session_close(session);
}

static void find_run(struct task *task)
{
    struct session *session = container_of(task, struct session, task);
    if (session_open(session, ISCSI_SESSION_DISCOVERY) == 0) {
        struct iscsi_discovery_address *first = libiscsi.iscsi_discovery_sync(session->iscsi);
        if (!first)
            failed(session, "list");
        for (const struct iscsi_discovery_address *one = first; one; one = one->next)
            text_printf(&session->found, "%s\n", one->target_name);
        libiscsi.iscsi_free_discovery_data(session->iscsi, first);
    }
    session_close(session);
}

static void zero_run(struct task *task)
{
    struct session *session = container_of(task, struct session, task);
    uint64_t blocks = 0;
    uint32_t size = 0;
    if (session_open(session, ISCSI_SESSION_NORMAL) == 0 && read_capacity(session, session->lun, &blocks, &size) < 0)
        failed(session, "read the capacity of a disk of");
    scoped_free unsigned char *zeros = xcalloc(ZERO_STEP, size ? size : 1);
    for (uint64_t at = 0; at < blocks && !task->error.code; at += ZERO_STEP) {
        uint32_t count = blocks - at < ZERO_STEP ? (uint32_t)(blocks - at) : ZERO_STEP;
        scoped_scsi_task struct scsi_task *wrote = libiscsi.iscsi_write16_sync(
            session->iscsi, session->lun, at, zeros, count * size, (int)size, 0, 0, 0, 0, 0);
        if (!wrote || wrote->status != SCSI_STATUS_GOOD)
            failed(session, "write to a disk of");
    }
    if (!task->error.code) {
        scoped_scsi_task struct scsi_task *flushed =
            libiscsi.iscsi_synchronizecache16_sync(session->iscsi, session->lun, 0, 0, 0, 0);
        if (!flushed || flushed->status != SCSI_STATUS_GOOD)
            failed(session, "flush a disk of");
    }
    session_close(session);
}

/* -- the pool ------------------------------------------------------------------------------------------------------ */

static int list(struct pool *pool, const struct pool_def *def, struct listing *listing, struct error *err)
{
    struct session *session = session_new(&def->source, list_run);
    scoped_task struct task *task = &session->task;
    if (task_run(&task, deadline_ms(LOOK_MS), err) < 0)
        return -1;
    arena_free(listing->arena);
    *listing = (struct listing){.arena = session->arena, .items = session->items, .count = session->count};
    session->arena = NULL;
    for (size_t i = 0; i < listing->count; i++)
        listing->space.capacity += listing->items[i].facts.capacity;
    listing->space.allocation = listing->space.capacity;
    return 0;
}

static int find(const struct pool_source *spec, struct text *out, struct error *err)
{
    if (iscsi_check_host(spec, "iscsi-direct", err) < 0)
        return -1;
    if (!spec->initiator)
        return error_set(err, ERR_INVALID_ARG, "missing storage pool initiator iqn: discovery needs "
                         "<initiator><iqn name=…/></initiator>");
    struct session *session = session_new(spec, find_run);
    session->target = NULL;
    scoped_task struct task *task = &session->task;
    if (task_run(&task, deadline_ms(LOOK_MS), err) < 0)
        return -1;
    for (char *rest = session->found.data, *line; (line = strsep(&rest, "\n"));)
        if (*line)
            iscsi_tell_target(session->arena, spec, line, out);
    return 0;
}

static int zero(struct volume *volume, struct error *err)
{
    const struct pool_def *def = volume->pool->object.live;
    struct session *session = session_new(&def->source, zero_run);
    session->lun = atoi(strrchr(volume->name, ':') + 1);
    scoped_task struct task *task = &session->task;
    return task_run(&task, deadline_ms(ZERO_MS), err);
}

const struct backend iscsi_direct_backend = {
    .type = POOL_TYPE_ISCSI_DIRECT,
    .check = check,
    .same = iscsi_same,
    .list = list,
    .zero = zero,
    .find = find,
};
