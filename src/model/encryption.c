/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/encryption.h"

#include <string.h>

#include "model/storage_part.h"

static const struct field encryption_secret_fields[] = {
    FIELD_STR(encryption_secret, type, "@type"),
    FIELD_STR(encryption_secret, uuid, "@uuid"),
    FIELD_STR(encryption_secret, usage, "@usage"),
};
static ELEMENT(encryption_secret, encryption_secret);

static const struct field encryption_fields[] = {
    FIELD_STR(encryption, format, "@format", .flags = REQUIRED),
    FIELD_STR(encryption, engine, "@engine"),
    FIELD_LIST(encryption, secrets, "secret", encryption_secret),
    FIELD_STR(encryption, cipher, "cipher/@name"),
    FIELD_U32(encryption, cipher_size, "cipher/@size", MAX(1024)),
    FIELD_STR(encryption, cipher_mode, "cipher/@mode"),
    FIELD_STR(encryption, cipher_hash, "cipher/@hash"),
    FIELD_STR(encryption, ivgen, "ivgen/@name"),
    FIELD_STR(encryption, ivgen_hash, "ivgen/@hash"),
};
static ELEMENT(encryption, encryption);

/* They go into options between commas. */
static int check_word(const char *what, const char *word, struct error *err)
{
    if (!word || (*word && strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(word)))
        return 0;
    return error_set(err, ERR_XML_ERROR, "<encryption>: '%.40s' cannot be the name of a %s", word, what);
}

struct encryption *encryption_parse(struct arena *arena, const char *xml, struct error *err)
{
    scoped_document xmlDoc *doc = xml_read(xml, strlen(xml), "encryption", err);
    if (!doc)
        return NULL;
    struct encryption *encryption = arena_struct(arena, struct encryption);
    struct parse parse = {.arena = arena, .err = err};
    if (xml_parse(&parse, &encryption_element, encryption, xmlDocGetRootElement(doc)) < 0)
        return NULL;
    if (strcmp(encryption->format, "luks") != 0)
        return error_null(err, ERR_CONFIG_UNSUPPORTED, "<encryption format='%.20s'> is not supported: luks is",
                          encryption->format);
    if (encryption->engine && strcmp(encryption->engine, "qemu") != 0)
        return error_null(err, ERR_CONFIG_UNSUPPORTED, "<encryption engine='%.20s'> is not supported: qemu is",
                          encryption->engine);
    if (encryption->secrets.count > 1)
        return error_null(err, ERR_CONFIG_UNSUPPORTED, "<encryption> with %u secrets: one passphrase unlocks LUKS",
                          encryption->secrets.count);
    if (check_word("cipher", encryption->cipher, err) < 0 || check_word("mode", encryption->cipher_mode, err) < 0 ||
        check_word("hash", encryption->cipher_hash, err) < 0 || check_word("generator", encryption->ivgen, err) < 0 ||
        check_word("hash", encryption->ivgen_hash, err) < 0)
        return NULL;
    return encryption;
}
