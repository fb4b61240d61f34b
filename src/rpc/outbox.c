/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpc/outbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "base/arena.h"

struct chunk {
    struct list link;
    size_t length, sent;
    int fd; /* -1 = plain bytes */
    uint8_t data[];
};

static struct chunk *first_chunk(struct outbox *outbox)
{
    return container_of(outbox->chunks.next, struct chunk, link);
}

static void chunk_free(struct outbox *outbox, struct chunk *chunk)
{
    list_remove(&chunk->link);
    outbox->bytes -= sizeof *chunk + chunk->length;
    if (chunk->fd >= 0)
        close(chunk->fd);
    free(chunk);
}

void outbox_init(struct outbox *outbox, int fd)
{
    outbox->fd = fd;
    outbox->bytes = 0;
    list_init(&outbox->chunks);
}

void outbox_finish(struct outbox *outbox)
{
    while (!list_empty(&outbox->chunks))
        chunk_free(outbox, first_chunk(outbox));
}

/* One byte that carries a descriptor, or plain parts. Returns what sendmsg() does. */
static ssize_t send_now(int fd, const struct iovec *parts, size_t count, int passed)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr header = {.msg_iov = (struct iovec *)parts, .msg_iovlen = count};
    if (passed >= 0) {
        memset(&control, 0, sizeof control);
        header.msg_control = &control;
        header.msg_controllen = sizeof control.space;
        struct cmsghdr *item = CMSG_FIRSTHDR(&header);
        item->cmsg_level = SOL_SOCKET;
        item->cmsg_type = SCM_RIGHTS;
        item->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(item), &passed, sizeof passed);
    }
    ssize_t sent;
    do
        sent = sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent;
}

static struct chunk *chunk_append(struct outbox *outbox, size_t length, int fd)
{
    struct chunk *chunk = xrealloc(NULL, sizeof *chunk + length);
    chunk->length = length;
    chunk->sent = 0;
    chunk->fd = fd;
    list_append(&outbox->chunks, &chunk->link);
    outbox->bytes += sizeof *chunk + length;
    return chunk;
}

/* Queues the parts but for the first `skip` bytes. */
static void queue_parts(struct outbox *outbox, const struct iovec *parts, int count, size_t skip)
{
    size_t total = 0;
    for (int i = 0; i < count; i++)
        total += parts[i].iov_len;
    if (total == skip)
        return;
    uint8_t *to = chunk_append(outbox, total - skip, -1)->data;
    for (int i = 0; i < count; i++) {
        size_t passed_over = skip < parts[i].iov_len ? skip : parts[i].iov_len;
        to = mempcpy(to, (const char *)parts[i].iov_base + passed_over, parts[i].iov_len - passed_over);
        skip -= passed_over;
    }
}

/* Returns 0 or an errno. */
static int send_fd(struct outbox *outbox, int fd)
{
    static const uint8_t nothing = 0;
    struct iovec part = {(void *)&nothing, 1};
    if (list_empty(&outbox->chunks)) {
        if (send_now(outbox->fd, &part, 1, fd) == 1)
            return 0;
        if (errno != EAGAIN)
            return errno;
    }
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        return errno;
    chunk_append(outbox, 1, copy)->data[0] = 0;
    return 0;
}

int outbox_send(struct outbox *outbox, const struct iovec *parts, int count, const int *fds, size_t fd_count)
{
    ssize_t sent = 0;
    if (list_empty(&outbox->chunks)) {
        sent = send_now(outbox->fd, parts, (size_t)count, -1);
        if (sent < 0 && errno != EAGAIN)
            return errno;
    }
    queue_parts(outbox, parts, count, sent > 0 ? (size_t)sent : 0);
    int errnum = 0;
    for (size_t i = 0; i < fd_count && !errnum; i++)
        errnum = send_fd(outbox, fds[i]);
    return errnum;
}

/* Takes what was sent from the queue. */
static void queue_advance(struct outbox *outbox, size_t sent)
{
    while (sent) {
        struct chunk *chunk = first_chunk(outbox);
        size_t rest = chunk->length - chunk->sent;
        if (sent < rest) {
            chunk->sent += sent;
            return;
        }
        sent -= rest;
        chunk_free(outbox, chunk);
    }
}

/* Plain chunks go together, a descriptor alone. */
int outbox_flush(struct outbox *outbox)
{
    struct iovec parts[32];
    size_t count = 0;
    int passed = -1;
    for (struct list *link = outbox->chunks.next; link != &outbox->chunks && count < COUNT(parts);
         link = link->next) {
        struct chunk *chunk = container_of(link, struct chunk, link);
        if (chunk->fd >= 0 && count)
            break;
        parts[count++] = (struct iovec){chunk->data + chunk->sent, chunk->length - chunk->sent};
        passed = chunk->fd;
        if (passed >= 0)
            break;
    }
    ssize_t sent = count ? send_now(outbox->fd, parts, count, passed) : 0;
    if (sent < 0)
        return errno == EAGAIN ? 0 : errno;
    queue_advance(outbox, (size_t)sent);
    return 0;
}
