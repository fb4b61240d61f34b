/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/base64.h"
#include "secret/secret.h"

/* Values handed to other programs. */

int secret_pass(struct secret *secret, struct error *err)
{
    scoped_secret_value struct secret_value value = {0};
    if (secret_value(secret, &value, err) < 0)
        return -1;
    scoped_arena struct arena *arena = arena_new();
    char *text = base64_encode(arena, value.data, value.length);
    size_t length = strlen(text);
    scoped_fd int fd = memfd_create("secret", MFD_CLOEXEC);
    bool written = fd >= 0 && write(fd, text, length) == (ssize_t)length;
    int errnum = errno;
    explicit_bzero(text, length);
    if (!written)
        return error_system(err, errnum, "cannot hand over the value of secret '%s'", secret->object.name);
    return steal_fd(&fd);
}

char *secret_pass_object(struct arena *arena, const char *id, int fd)
{
    return arena_printf(arena, "secret,id=%s,format=base64,file=/proc/self/fd/%d", id, fd);
}
