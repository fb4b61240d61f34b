/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/identity.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/files.h"
#include "base/log.h"
#include "host/sysfs.h"

char *host_hostname(void)
{
    char name[HOST_NAME_MAX + 1];
    if (gethostname(name, sizeof(name)) < 0)
        return xstrdup("localhost");
    name[sizeof(name) - 1] = '\0';
    return xstrdup(name);
}

static bool uuid_is_filler(const unsigned char uuid[UUID_SIZE])
{
    for (int i = 0; i < UUID_SIZE; i++)
        if (uuid[i] != uuid[0] || uuid[i] >> 4 != (uuid[i] & 15))
            return false;
    return true;
}

bool host_uuid_read(const char *root, unsigned char uuid[UUID_SIZE])
{
    char text[64];
    return sysfs_read(text, sizeof(text), root, "/sys/class/dmi/id/product_uuid") > 0 && uuid_parse(text, uuid) == 0 &&
           !uuid_is_filler(uuid);
}

int host_uuid_get(const char *directory, unsigned char uuid[UUID_SIZE], struct error *err)
{
    char text[64];
    if (sysfs_read(text, sizeof(text), directory, "/host-uuid") > 0) {
        if (uuid_parse(text, uuid) == 0)
            return 0;
        log_warning("'%s/host-uuid' holds no UUID; making a new one", directory);
    }
    if (host_uuid_read("", uuid))
        return 0;
    scoped_free char *path = xprintf("%s/host-uuid", directory);
    char string[UUID_STRING_SIZE + 1];
    uuid_random(uuid);
    uuid_format(uuid, string);
    strcat(string, "\n");
    return file_write_durable(path, string, strlen(string), 0644, err);
}
