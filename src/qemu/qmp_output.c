/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/qmp_output.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"

/* Bytes to write; the descriptor goes with the first of them. */
struct chunk {
    struct list link;
    char *data;
    size_t length, done;
    int fd; /* -1 = none */
};

static struct chunk *first_chunk(const struct qmp_output *output)
{
    return list_empty(&output->chunks) ? NULL : container_of(output->chunks.next, struct chunk, link);
}

static void chunk_free(struct chunk *chunk)
{
    list_remove(&chunk->link);
    if (chunk->fd >= 0)
        close(chunk->fd);
    free(chunk->data);
    free(chunk);
}

void qmp_output_init(struct qmp_output *output, int fd)
{
    output->fd = fd;
    list_init(&output->chunks);
}

void qmp_output_finish(struct qmp_output *output)
{
    for (struct chunk *chunk; (chunk = first_chunk(output));)
        chunk_free(chunk);
}

static struct chunk *chunk_new(struct text *data, int passed)
{
    struct chunk *chunk = xcalloc(1, sizeof *chunk);
    chunk->length = data->length;
    chunk->data = text_steal(data);
    chunk->fd = passed < 0 ? -1 : fcntl(passed, F_DUPFD_CLOEXEC, 3);
    return chunk;
}

bool qmp_output_add(struct qmp_output *output, struct text *data, int passed)
{
    struct chunk *chunk = chunk_new(data, passed);
    list_append(&output->chunks, &chunk->link);
    return first_chunk(output) == chunk;
}

void qmp_output_add_first(struct qmp_output *output, struct text *data)
{
    list_append(output->chunks.next, &chunk_new(data, -1)->link); /* before the first, which may be the head itself */
}

static ssize_t chunk_send(int fd, struct chunk *chunk)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec part = {chunk->data + chunk->done, chunk->length - chunk->done};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (chunk->fd >= 0) {
        message.msg_control = &control;
        message.msg_controllen = sizeof control.bytes;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &chunk->fd, sizeof(int));
    }
    return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

bool qmp_output_flush(struct qmp_output *output)
{
    for (struct chunk *chunk; (chunk = first_chunk(output));) {
        ssize_t sent = chunk_send(output->fd, chunk);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN)
            break;
        if (sent >= 0 && chunk->fd >= 0)
            close(steal_fd(&chunk->fd));
        chunk->done += sent < 0 ? chunk->length - chunk->done : (size_t)sent;
        if (chunk->done == chunk->length)
            chunk_free(chunk);
    }
    return !list_empty(&output->chunks);
}
