/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/pool.h"
#include "rpc/stream.h"

/* Volumes from and to files of this host. */

#define BUFFER_SIZE (1u << 20)

static int write_all(int fd, const char *data, size_t length, const char *path, struct error *err)
{
    while (length) {
        ssize_t wrote = write(fd, data, length);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return error_system(err, errno, "cannot write to '%s'", path);
        data += wrote;
        length -= (size_t)wrote;
    }
    return 0;
}

static int receive_file(struct stream *stream, int fd, const char *path, bool sparse, struct error *err)
{
    scoped_free char *buffer = xrealloc(NULL, BUFFER_SIZE);
    for (;;) {
        int64_t hole = 0;
        ssize_t got = stream_receive(stream, buffer, BUFFER_SIZE, sparse ? &hole : NULL, DEADLINE_NONE, err);
        if (got < 0 || (got > 0 && write_all(fd, buffer, (size_t)got, path, err) < 0))
            return -1;
        if (hole && lseek(fd, hole, SEEK_CUR) < 0)
            return error_system(err, errno, "cannot leave a hole in '%s'", path);
        if (got == 0 && hole == 0)
            break;
    }
    off_t end = sparse ? lseek(fd, 0, SEEK_CUR) : 0; /* a hole at the end makes no file larger by itself */
    if (sparse && (end < 0 || ftruncate(fd, end) < 0))
        return error_system(err, errno, "cannot write to '%s'", path);
    return stream_finish(stream, DEADLINE_NONE, err);
}

static int run_vol_download(struct invocation *in, struct error *err)
{
    const char *path = option_text(in, "file");
    bool sparse = option_given(in, "sparse");
    struct storage_vol_download_args args = {.flags = sparse ? STORAGE_VOL_DOWNLOAD_SPARSE_STREAM : 0};
    if (option_u64(in, "offset", INT64_MAX, &args.offset, err) < 0 ||
        option_u64(in, "length", INT64_MAX, &args.length, err) < 0 || volume_get(in, &args.vol, err) < 0)
        return -1;
    scoped_fd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    bool made = fd >= 0;
    if (!made && errno == EEXIST)
        fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    if (fd < 0)
        return error_system(err, errno, "cannot create '%s'", path);
    struct stream *stream = NULL;
    int rc = remote_storage_vol_download(shell_client(in), &args, &stream, err);
    if (rc == 0)
        rc = receive_file(stream, fd, path, sparse, err);
    stream_free(stream);
    if (rc == 0)
        return 0;
    if (made)
        unlink(path);
    return command_failed(err, "cannot download volume '%s'", args.vol.name);
}

/* How many of the bytes at `at` are data; 0: a hole of *hole bytes is there. */
static uint64_t data_at(int fd, off_t at, off_t end, int64_t *hole)
{
    off_t data = lseek(fd, at, SEEK_DATA);
    if (data < 0)
        data = errno == ENXIO ? end : at; /* a hole up to the end, or it cannot tell holes */
    *hole = data - at;
    if (*hole > 0)
        return 0;
    off_t next = lseek(fd, at, SEEK_HOLE);
    return (uint64_t)((next > at && next < end ? next : end) - at);
}

/* Sends up to `left` bytes from the file's position. */
static int send_file(struct stream *stream, int fd, const char *path, bool sparse, uint64_t left, struct error *err)
{
    scoped_free char *buffer = xrealloc(NULL, BUFFER_SIZE);
    struct stat status;
    if (sparse && (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)))
        return error_set(err, ERR_INVALID_ARG, "--sparse needs a file, which '%s' is not", path);
    for (off_t at = 0; left;) {
        int64_t hole = 0;
        uint64_t most = left < BUFFER_SIZE ? left : BUFFER_SIZE;
        if (sparse && at >= status.st_size)
            break;
        uint64_t data = sparse ? data_at(fd, at, status.st_size, &hole) : most;
        if (hole > 0) {
            hole = (uint64_t)hole < left ? hole : (int64_t)left;
            if (stream_send_hole(stream, hole, DEADLINE_NONE, err) < 0 || lseek(fd, at + hole, SEEK_SET) < 0)
                return -1;
            at += hole;
            left -= (uint64_t)hole;
            continue;
        }
        if (sparse && lseek(fd, at, SEEK_SET) < 0)
            return error_system(err, errno, "cannot read '%s'", path);
        ssize_t got = read(fd, buffer, data < most ? (size_t)data : (size_t)most);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_system(err, errno, "cannot read '%s'", path);
        if (got == 0)
            break;
        if (stream_send(stream, buffer, (size_t)got, DEADLINE_NONE, err) < 0)
            return -1;
        at += got;
        left -= (uint64_t)got;
    }
    return stream_finish(stream, DEADLINE_NONE, err);
}

static int run_vol_upload(struct invocation *in, struct error *err)
{
    const char *path = option_text(in, "file");
    bool sparse = option_given(in, "sparse");
    struct storage_vol_upload_args args = {.flags = sparse ? STORAGE_VOL_UPLOAD_SPARSE_STREAM : 0};
    if (option_u64(in, "offset", INT64_MAX, &args.offset, err) < 0 ||
        option_u64(in, "length", INT64_MAX, &args.length, err) < 0)
        return -1;
    scoped_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_system(err, errno, "cannot open '%s'", path);
    if (volume_get(in, &args.vol, err) < 0)
        return -1;
    struct stream *stream = NULL;
    int rc = remote_storage_vol_upload(shell_client(in), &args, &stream, err);
    if (rc == 0)
        rc = send_file(stream, fd, path, sparse, args.length ? args.length : UINT64_MAX, err);
    stream_free(stream);
    return rc < 0 ? command_failed(err, "cannot upload to volume '%s'", args.vol.name) : 0;
}

#define STREAM_OPTIONS(what)                                                                              \
    VOLUME_OPTION, {"file", OPTION_STRING, OPTION_REQUIRED, "file of this host"}, VOLUME_POOL_OPTION,     \
    {"offset", OPTION_NUMBER, 0, "where in the volume to begin, in bytes"},                               \
    {"length", OPTION_NUMBER, 0, what},                                                                   \
    {"sparse", OPTION_BOOL, 0, "keep holes"}

static const struct command_option download_options[] = {STREAM_OPTIONS("how many bytes to read"), {0}};
static const struct command_option upload_options[] = {STREAM_OPTIONS("how many bytes to write"), {0}};

const struct command volume_stream_commands[] = {
    {"vol-download", "volume", "write the content of a volume to a file", NULL, download_options, run_vol_download},
    {"vol-upload", "volume", "write the content of a file to a volume", NULL, upload_options, run_vol_upload},
    {0},
};
