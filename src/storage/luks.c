/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/luks.h"

#include <jansson.h>
#include <string.h>

void luks_finish(struct luks *luks)
{
    if (luks->secret)
        secret_unref(luks->secret);
    if (luks->fd >= 0)
        close(luks->fd);
    *luks = (struct luks)LUKS_NONE;
}

static struct secret *find(struct secrets *secrets, const struct encryption *encryption, const char *path,
                           struct error *err)
{
    const struct encryption_secret *named =
        encryption && encryption->secrets.count ? encryption->secrets.item[0] : NULL;
    if (named && (named->uuid || named->usage))
        return secret_find(secrets, named->uuid, SECRET_USAGE_TYPE_VOLUME, named->usage, err);
    struct secret *secret = secret_find_usage(secrets, SECRET_USAGE_TYPE_VOLUME, path, NULL);
    if (secret)
        return secret;
    return error_null(err, ERR_NO_SECRET, "no secret is known for the encrypted volume '%s': name one in <encryption>, "
                      "or define one whose usage is that volume (secret-define)", path);
}

struct secret *luks_find(struct secrets *secrets, const char *xml, const char *path, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    const struct encryption *encryption = xml ? encryption_parse(arena, xml, err) : NULL;
    return xml && !encryption ? NULL : find(secrets, encryption, path, err);
}

bool luks_names_secret(const char *xml)
{
    scoped_arena struct arena *arena = arena_new();
    const struct encryption *encryption = encryption_parse(arena, xml, NULL);
    return !encryption || encryption->secrets.count;
}

int luks_open(struct luks *luks, struct arena *arena, struct secrets *secrets, const char *xml, const char *path,
              const char *id, struct error *err)
{
    static const struct encryption plain = {.format = "luks"};
    const struct encryption *encryption = xml ? encryption_parse(arena, xml, err) : &plain;
    struct secret *secret = encryption ? find(secrets, encryption, path, err) : NULL;
    if (!secret)
        return -1;
    *luks = (struct luks){encryption, secret_of(object_ref(&secret->object)), secret_pass(secret, err), id};
    return luks->fd < 0 ? -1 : 0;
}

void luks_add_object(struct argv *argv, const struct luks *luks)
{
    if (!luks->encryption)
        return;
    argv_add(argv, "--object");
    argv_add(argv, secret_pass_object(argv->arena, luks->id, luks->fd));
}

void luks_add_options(struct text *options, const struct luks *luks, const char *format)
{
    const struct encryption *encryption = luks->encryption;
    if (!encryption)
        return;
    bool inside = strcmp(format, "luks") != 0; /* of qcow2 */
    const char *prefix = inside ? "encrypt." : "";
    if (inside)
        text_append(options, ",encrypt.format=luks");
    text_printf(options, ",%skey-secret=%s", prefix, luks->id);
    if (encryption->cipher && encryption->cipher_size)
        text_printf(options, ",%scipher-alg=%s-%u", prefix, encryption->cipher, encryption->cipher_size);
    else if (encryption->cipher)
        text_printf(options, ",%scipher-alg=%s", prefix, encryption->cipher);
    const struct {
        const char *option, *value;
    } words[] = {{"cipher-mode", encryption->cipher_mode}, {"hash-alg", encryption->cipher_hash},
                 {"ivgen-alg", encryption->ivgen}, {"ivgen-hash-alg", encryption->ivgen_hash}};
    for (size_t i = 0; i < COUNT(words); i++)
        if (words[i].value)
            text_printf(options, ",%s%s=%s", prefix, words[i].option, words[i].value);
}

void luks_add_image(struct argv *argv, const struct luks *luks, const char *format, const char *path)
{
    if (!luks->encryption) {
        argv_add(argv, "-f");
        argv_add(argv, format);
        argv_add(argv, path);
        return;
    }
    bool inside = strcmp(format, "raw") != 0 && strcmp(format, "luks") != 0;
    json_t *image = inside ? json_pack("{s:s, s:{s:s, s:s}}", "driver", format, "encrypt", "format", "luks",
                                       "key-secret", luks->id)
                           : json_pack("{s:s, s:s}", "driver", "luks", "key-secret", luks->id);
    json_object_set_new(image, "file", json_pack("{s:s, s:s}", "driver", "file", "filename", path));
    scoped_free char *text = json_dumps(image, JSON_COMPACT);
    argv_addf(argv, "json:%s", text);
    json_decref(image);
}
