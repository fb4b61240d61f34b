/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "model/encryption.h"
#include "qemu/command_parts.h"
#include "secret/secret.h"

/* Keys of encrypted images and passwords of storage servers. QEMU gets each as a secret object that reads an unnamed
 * file of memory, whose descriptor it inherits: nothing stands in its arguments or on a disk. */

const char *disk_encryption(const struct disk *disk, const struct disk_source *source)
{
    return source->encryption || source != &disk->source ? source->encryption : disk->encryption;
}

const struct source_auth *disk_auth(const struct disk *disk, const struct disk_source *source)
{
    return source->auth || source != &disk->source ? source->auth : disk->auth;
}

char *secret_of_format(struct arena *arena, const struct disk_source *source)
{
    return arena_printf(arena, "%s-encryption-secret0", qemu_node_format(arena, source));
}

char *secret_of_storage(struct arena *arena, const struct disk_source *source)
{
    return arena_printf(arena, "%s-auth-secret0", qemu_node_storage(arena, source));
}

static int add_secret(struct build *build, const char *id, const char *uuid, int usage, const char *name,
                      struct error *err)
{
    int fd = -1;
    if (!build->options->dry) {
        if (!build->options->secrets)
            return unsupported(err, "there are no secrets here");
        struct secret *secret = secret_find(build->options->secrets, uuid, usage, name, err);
        if (!secret || (fd = secret_pass(secret, err)) < 0)
            return -1;
    }
    const char *file = arena_printf(build->arena, "/proc/self/fd/%s", pass_fd(build, fd));
    add_json(build, "-object",
             json_pack("{s:s,s:s,s:s,s:s}", "qom-type", "secret", "id", id, "format", "base64", "file", file));
    return 0;
}

static int add_key(struct build *build, const struct disk *disk, const struct disk_source *source, struct error *err)
{
    const char *xml = disk_encryption(disk, source);
    const struct encryption *encryption = xml ? encryption_parse(build->arena, xml, err) : NULL;
    if (!encryption)
        return xml ? -1 : 0;
    const struct encryption_secret *secret = encryption->secrets.count ? encryption->secrets.item[0] : NULL;
    if (!secret)
        return error_set(err, ERR_XML_ERROR, "<encryption> needs a <secret>, which holds the passphrase");
    return add_secret(build, secret_of_format(build->arena, source), secret->uuid, SECRET_USAGE_TYPE_VOLUME,
                      secret->usage, err);
}

static int add_password(struct build *build, const struct disk *disk, const struct disk_source *source,
                        struct error *err)
{
    const struct source_auth *auth = disk_auth(disk, source);
    if (!auth)
        return 0;
    int usage = (int)words_value(&secret_usage_words, auth->secret_type ?: "") - SECRET_USAGE_NONE;
    const char *id = secret_of_storage(build->arena, source);
    return add_secret(build, id, auth->secret_uuid, usage, auth->secret_usage, err);
}

int build_disk_secrets(struct build *build, const struct disk *disk, struct error *err)
{
    for (const struct disk_source *source = &disk->source; source; source = source->backing)
        if (add_key(build, disk, source, err) < 0 || add_password(build, disk, source, err) < 0)
            return error_wrap(err, "disk '%s'", disk->target);
    return 0;
}

size_t disk_secrets_max(const struct domain_def *def)
{
    size_t count = 0;
    for (uint32_t i = 0; i < def->disks.count; i++)
        for (const struct disk_source *source = &def->disks.item[i]->source; source; source = source->backing)
            count += 2;
    return count;
}
