/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <string.h>

#include "base/log.h"
#include "rpc/stream.h"
#include "storage/files.h"
#include "storage/pool.h"

/* Volumes as streams. The file is read and written on worker threads in pieces of some packets, so that a slow disk
 * holds nobody else up. */

#define BUFFER_SIZE (UINT64_C(4) << 20)
#define IDLE_MS     (10 * 60 * 1000) /* a peer that lets the stream stand still for so long is gone */

struct transfer {
    struct task task;
    struct volume_use use;
    struct stream *stream;
    int fd;
    bool holes;
    uint64_t position, left; /* in the file; left UINT64_MAX: as much as comes */
    char *buffer;
    size_t filled;
    int64_t hole;            /* length of a hole at position */
    bool ended;              /* the file, when it is read */
    const char *path;
};

static void transfer_release(struct task *task)
{
    struct transfer *transfer = container_of(task, struct transfer, task);
    if (transfer->fd >= 0)
        close(transfer->fd);
    volume_end(&transfer->use);
    stream_free(transfer->stream);
    free(transfer->buffer);
    free(transfer);
}

static struct transfer *transfer_new(struct volume_use *use, struct stream *stream, uint64_t offset, uint64_t length)
{
    struct transfer *transfer = xcalloc(1, sizeof *transfer);
    transfer->task.release = transfer_release;
    transfer->use = *use;
    use->volume = NULL;
    transfer->stream = stream;
    transfer->fd = -1;
    transfer->position = offset;
    transfer->left = length ? length : UINT64_MAX;
    transfer->buffer = xrealloc(NULL, BUFFER_SIZE);
    transfer->path = transfer->use.volume->path;
    return transfer;
}

static int step(struct transfer **transfer, void (*run)(struct task *task), struct error *err)
{
    struct task *task = &(*transfer)->task;
    task->run = run;
    int rc = task_run(&task, deadline_ms(STEP_MS), err);
    if (!task)
        *transfer = NULL;
    return rc;
}

static void open_run(struct task *task)
{
    struct transfer *transfer = container_of(task, struct transfer, task);
    transfer->fd = open(transfer->path, (transfer->use.change ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (transfer->fd < 0)
        error_system(&task->error, errno, "cannot open volume '%s'", transfer->path);
}

/* -- download ------------------------------------------------------------------------------------------------------ */

/* How many of the next bytes are data; a hole before them is noted. */
static size_t next_data(struct transfer *transfer, size_t most)
{
    off_t data = lseek(transfer->fd, (off_t)transfer->position, SEEK_DATA);
    off_t end = data < 0 && errno == ENXIO ? lseek(transfer->fd, 0, SEEK_END) : data;
    if (end < 0)
        return most; /* it cannot tell holes */
    if ((uint64_t)end > transfer->position) {
        uint64_t length = (uint64_t)end - transfer->position;
        transfer->hole = (int64_t)(length < transfer->left ? length : transfer->left);
        return 0;
    }
    off_t hole = lseek(transfer->fd, (off_t)transfer->position, SEEK_HOLE);
    uint64_t length = hole > (off_t)transfer->position ? (uint64_t)hole - transfer->position : most;
    return length < most ? (size_t)length : most;
}

static void read_run(struct task *task)
{
    struct transfer *transfer = container_of(task, struct transfer, task);
    size_t most = transfer->left < BUFFER_SIZE ? (size_t)transfer->left : BUFFER_SIZE;
    transfer->hole = 0;
    transfer->filled = 0;
    if (transfer->holes && most)
        most = next_data(transfer, most);
    while (transfer->filled < most) {
        ssize_t got = pread(transfer->fd, transfer->buffer + transfer->filled, most - transfer->filled,
                            (off_t)(transfer->position + transfer->filled));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            error_system(&task->error, errno, "cannot read volume '%s'", transfer->path);
        if (got <= 0)
            break;
        transfer->filled += (size_t)got;
    }
    transfer->ended = transfer->filled == 0 && transfer->hole == 0;
}

static int download(struct transfer **transfer, struct error *err)
{
    if (step(transfer, open_run, err) < 0)
        return -1;
    while ((*transfer)->left) {
        if (step(transfer, read_run, err) < 0)
            return -1;
        struct transfer *now = *transfer;
        if (now->ended)
            break;
        if (now->hole && stream_send_hole(now->stream, now->hole, deadline_ms(IDLE_MS), err) < 0)
            return -1;
        if (now->filled && stream_send(now->stream, now->buffer, now->filled, deadline_ms(IDLE_MS), err) < 0)
            return -1;
        uint64_t moved = now->filled + (uint64_t)now->hole;
        now->position += moved;
        if (now->left != UINT64_MAX)
            now->left -= moved;
    }
    volume_end(&(*transfer)->use);
    return stream_finish((*transfer)->stream, deadline_ms(IDLE_MS), err);
}

/* -- upload -------------------------------------------------------------------------------------------------------- */

static void write_run(struct task *task)
{
    struct transfer *transfer = container_of(task, struct transfer, task);
    for (size_t done = 0; done < transfer->filled;) {
        ssize_t wrote = pwrite(transfer->fd, transfer->buffer + done, transfer->filled - done,
                               (off_t)(transfer->position + done));
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0) {
            error_system(&task->error, wrote < 0 ? errno : ENOSPC, "cannot write volume '%s'", transfer->path);
            return;
        }
        done += (size_t)wrote;
    }
    /* begun now, it is done when the end asks for it; where this does not work nothing is lost */
    sync_file_range(transfer->fd, (off64_t)transfer->position, (off64_t)transfer->filled, SYNC_FILE_RANGE_WRITE);
}

/* What was there before must not shine through, and behind the end the file grows. */
static void hole_run(struct task *task)
{
    struct transfer *transfer = container_of(task, struct transfer, task);
    off_t end = lseek(transfer->fd, 0, SEEK_END), stop = (off_t)transfer->position + transfer->hole;
    if (fallocate(transfer->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)transfer->position,
                  transfer->hole) < 0 ||
        (stop > end && ftruncate(transfer->fd, stop) < 0))
        error_system(&task->error, errno, "cannot make a hole in volume '%s'", transfer->path);
}

static void sync_run(struct task *task)
{
    struct transfer *transfer = container_of(task, struct transfer, task);
    if (fsync(transfer->fd) < 0)
        error_system(&task->error, errno, "cannot write volume '%s' to disk", transfer->path);
}

static int take_piece(struct transfer *transfer, bool *ended, struct error *err)
{
    transfer->filled = 0;
    transfer->hole = 0;
    while (BUFFER_SIZE - transfer->filled >= STREAM_PACKET_MAX && !transfer->hole) {
        ssize_t got = stream_receive(transfer->stream, transfer->buffer + transfer->filled,
                                     BUFFER_SIZE - transfer->filled, &transfer->hole, deadline_ms(IDLE_MS), err);
        if (got < 0)
            return -1;
        *ended = got == 0 && !transfer->hole;
        if (got == 0)
            break;
        transfer->filled += (size_t)got;
    }
    if (transfer->hole >= 0 && transfer->filled <= transfer->left &&
        (uint64_t)transfer->hole <= transfer->left - transfer->filled)
        return 0;
    return error_set(err, ERR_INVALID_ARG, "more came for volume '%s' than the %" PRIu64 " bytes that were announced",
                     transfer->path, transfer->left);
}

/* Before the client is told that it is done, so that it finds the volume free and as it is now. */
static void look_again(struct transfer *transfer)
{
    scoped_volume struct volume *volume = volume_ref(transfer->use.volume);
    volume_reread(volume);
    volume_end(&transfer->use);
    pool_notify_refresh(volume->pool);
}

static int upload(struct transfer **transfer, struct error *err)
{
    if (step(transfer, open_run, err) < 0)
        return -1;
    for (bool ended = false; !ended;) {
        if (take_piece(*transfer, &ended, err) < 0 || ((*transfer)->filled && step(transfer, write_run, err) < 0))
            return -1;
        (*transfer)->position += (*transfer)->filled;
        if ((*transfer)->hole && step(transfer, hole_run, err) < 0)
            return -1;
        (*transfer)->position += (uint64_t)(*transfer)->hole;
        if ((*transfer)->left != UINT64_MAX)
            (*transfer)->left -= (*transfer)->filled + (uint64_t)(*transfer)->hole;
    }
    if (step(transfer, sync_run, err) < 0)
        return -1;
    look_again(*transfer);
    return stream_finish((*transfer)->stream, deadline_ms(IDLE_MS), err);
}

/* -- both ---------------------------------------------------------------------------------------------------------- */

static void run(void *argument)
{
    struct transfer *transfer = argument;
    struct error err = {0};
    if ((transfer->use.change ? upload(&transfer, &err) : download(&transfer, &err)) < 0 && transfer) {
        if (transfer->use.volume && transfer->use.change)
            look_again(transfer);
        stream_fail(transfer->stream, &err);
    }
    if (transfer)
        transfer_release(&transfer->task);
}

int volume_check_range(const struct volume *volume, uint64_t offset, uint64_t length, bool is_upload,
                       struct error *err)
{
    const struct volume_facts *facts = &volume->facts;
    if (facts->type == STORAGE_VOL_DIR)
        return error_set(err, ERR_NO_SUPPORT, "volume '%s' is a directory; it has no content that could be a stream",
                         volume->name);
    if (facts->type == STORAGE_VOL_NETWORK)
        return error_set(err, ERR_NO_SUPPORT, "volume '%s' lies on a server that this host reads and writes for no one "
                         "but its guests", volume->name);
    if (offset > INT64_MAX || length > INT64_MAX - offset)
        return error_set(err, ERR_INVALID_ARG, "offset %" PRIu64 " and length %" PRIu64 " reach beyond any file",
                         offset, length);
    if (!is_upload && offset > facts->physical)
        return error_set(err, ERR_INVALID_ARG, "offset %" PRIu64 " lies behind the end of volume '%s' (%" PRIu64
                         " bytes)", offset, volume->name, facts->physical);
    return 0;
}

void volume_upload(struct volume_use *use, struct stream *stream, uint64_t offset, uint64_t length)
{
    fiber_start("upload", run, transfer_new(use, stream, offset, length));
}

void volume_download(struct volume_use *use, struct stream *stream, uint64_t offset, uint64_t length, bool holes)
{
    struct transfer *transfer = transfer_new(use, stream, offset, length);
    transfer->holes = holes;
    fiber_start("download", run, transfer);
}
