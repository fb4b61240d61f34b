/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/identity.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "host/sysfs.h"

int hostname_read(char name[HOSTNAME_SIZE], struct error *err)
{
    if (gethostname(name, HOSTNAME_SIZE) < 0)
        return error_system(err, errno, "cannot ask the kernel for the host's name");
    name[HOSTNAME_SIZE - 1] = '\0';
    return 0;
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
