/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* What QEMU or a file said, or the cut, may have left bytes that clients cannot read: they become '?'. */
static void mend_utf8(char *message)
{
    size_t left = strlen(message), length;
    for (; left > 0; message += length, left -= length) {
        for (length = 1; length <= 4 && length <= left && !utf8_valid(message, length); length++)
            ;
        if (length > 4 || length > left) {
            *message = '?';
            length = 1;
        }
    }
}

int (error_set)(struct error *err, int code, const char *format, ...)
{
    if (!err)
        return -1;
    char message[ERROR_MESSAGE_MAX]; /* an argument may be the old message */
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (!utf8_valid(message, strlen(message)))
        mend_utf8(message);
    err->code = code;
    memcpy(err->message, message, sizeof message);
    return -1;
}

int (error_system)(struct error *err, int errnum, const char *format, ...)
{
    char message[ERROR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return error_set(err, ERR_SYSTEM_ERROR, "%s: %s", message, strerror(errnum));
}

int (error_wrap)(struct error *err, const char *format, ...)
{
    if (!err)
        return -1;
    char context[ERROR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(context, sizeof context, format, args);
    va_end(args);
    return error_set(err, err->code, "%s: %s", context, err->message);
}
