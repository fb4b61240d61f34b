/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/mounts.h"

#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/files.h"
#include "storage/tool.h"

#define MOUNTS_MAX (16 << 20)

/* "\040" in the kernel's tables is a blank. */
static void unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from; to++) {
        unsigned value;
        if (*from == '\\' && sscanf(from, "\\%3o", &value) == 1 && value) {
            *to = (char)value;
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

/* One line of proc(5)'s mountinfo: "36 35 98:0 /root /point rw,noatime shared:1 - ext3 /dev/sda rw". */
static bool read_line(char *line, char **point, struct mounted *mounted)
{
    unsigned major, minor;
    int at = 0;
    char *words = strstr(line, " - "), *rest = NULL;
    if (!words || sscanf(line, "%*d %*d %u:%u %*s %n", &major, &minor, &at) != 2 || !at || line + at > words)
        return false;
    char *type = strtok_r(words + 3, " ", &rest), *source = strtok_r(NULL, " ", &rest);
    *point = line + at;
    (*point)[strcspn(*point, " ")] = '\0';
    if (!type || !source)
        return false;
    unescape(*point);
    unescape(source);
    *mounted = (struct mounted){.device = major ? makedev(major, minor) : 0, .type = type, .source = source};
    return true;
}

struct mounted *mounted_at(struct arena *arena, const char *path)
{
    char *table = file_read(arena, "/proc/self/mountinfo", MOUNTS_MAX, NULL, NULL), *rest = NULL, *point;
    struct mounted *found = NULL, now; /* the last one covers those before it */
    for (char *line = table ? strtok_r(table, "\n", &rest) : NULL; line; line = strtok_r(NULL, "\n", &rest))
        if (read_line(line, &point, &now) && strcmp(point, path) == 0)
            found = arena_memdup(arena, &now, sizeof now);
    return found;
}

int mount_check_free(const char *path, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    const struct mounted *mounted = mounted_at(arena, path);
    if (!mounted)
        return 0;
    return error_set(err, ERR_OPERATION_INVALID, "something else is mounted at '%s': '%s' (%s); unmount it, or choose "
                     "another target", path, mounted->source, mounted->type);
}

/* --no-canonicalize: else it looks at the path first, and would hang on a server that is gone. */
int mount_remove(const char *path, struct error *err)
{
    return tool_run(NULL, err, "umount", "--no-canonicalize", "--", path, NULL);
}
