/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "secret/value.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/files.h"
#include "secret/seal.h"

#define VALUE_FILE_MAX (1 << 20)
#define SUFFIX         ".value"

enum { PRIVATE_MODE = 0600, KEY_WAIT_MS = 30000 };

void secret_value_finish(struct secret_value *value)
{
    bytes_free(value->data, value->length);
    *value = (struct secret_value){0};
}

static char *value_path(const struct secrets *secrets, const unsigned char uuid[UUID_SIZE])
{
    char string[UUID_STRING_SIZE];
    uuid_format(uuid, string);
    return xprintf("%s/%s" SUFFIX, secrets->definitions_dir, string);
}

static int key_read(const struct secrets *secrets, uint8_t key[SEAL_KEY_SIZE], struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    size_t length;
    char *bytes = file_read(arena, secrets->key_path, SEAL_KEY_SIZE, &length, err);
    if (!bytes)
        return -1;
    if (length == SEAL_KEY_SIZE)
        memcpy(key, bytes, SEAL_KEY_SIZE);
    explicit_bzero(bytes, length);
    return length == SEAL_KEY_SIZE ? 0
                                   : error_set(err, ERR_INTERNAL_ERROR, "'%s' is no key: it has %zu bytes, not %d",
                                               secrets->key_path, length, SEAL_KEY_SIZE);
}

static int refuse_value(void *owner, const char *name, struct error *err)
{
    const struct secrets *secrets = owner;
    if (!string_ends(name, SUFFIX))
        return 0;
    return error_set(err, ERR_OPERATION_INVALID, "the key '%s' is gone, but '%s/%s' was encrypted with it; put the key "
                     "back, or remove the files *" SUFFIX " there and set those values anew", secrets->key_path,
                     secrets->definitions_dir, name);
}

/* A new key would make the values of the old one unreadable for good, should that be found again. */
static int key_make(struct secrets *secrets, uint8_t key[SEAL_KEY_SIZE], struct error *err)
{
    if (directory_list(secrets->definitions_dir, refuse_value, secrets, err) < 0)
        return -1;
    if (getrandom(key, SEAL_KEY_SIZE, 0) != SEAL_KEY_SIZE)
        return error_system(err, errno, "cannot get random bytes");
    return file_write_durable(secrets->key_path, key, SEAL_KEY_SIZE, PRIVATE_MODE, err);
}

static int key_get(struct secrets *secrets, uint8_t key[SEAL_KEY_SIZE], struct error *err)
{
    while (secrets->making_key)
        if (condition_wait(&secrets->key_made, deadline_ms(KEY_WAIT_MS), err) < 0)
            return -1;
    if (access(secrets->key_path, F_OK) == 0)
        return key_read(secrets, key, err);
    secrets->making_key = true; /* two at once would each make one */
    int rc = key_make(secrets, key, err);
    secrets->making_key = false;
    condition_wake(&secrets->key_made);
    return rc;
}

int value_store(struct secrets *secrets, const unsigned char uuid[UUID_SIZE], const uint8_t *data, size_t length,
                struct error *err)
{
    uint8_t key[SEAL_KEY_SIZE];
    size_t sealed_length;
    if (key_get(secrets, key, err) < 0)
        return -1;
    scoped_free uint8_t *sealed = seal(key, uuid, UUID_SIZE, data, length, &sealed_length, err);
    scoped_free char *path = value_path(secrets, uuid);
    explicit_bzero(key, sizeof key);
    return sealed ? file_write_durable(path, sealed, sealed_length, PRIVATE_MODE, err) : -1;
}

int value_load(const struct secrets *secrets, const unsigned char uuid[UUID_SIZE], struct secret_value *value,
               struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    scoped_free char *path = value_path(secrets, uuid);
    uint8_t key[SEAL_KEY_SIZE];
    size_t length;
    if (access(path, F_OK) < 0 && errno == ENOENT)
        return 1;
    char *sealed = file_read(arena, path, VALUE_FILE_MAX, &length, err);
    if (!sealed || key_read(secrets, key, err) < 0)
        return error_wrap(err, "the value in '%s' cannot be read", path);
    value->data = unseal(key, uuid, UUID_SIZE, (const uint8_t *)sealed, length, &value->length, err);
    explicit_bzero(key, sizeof key);
    return value->data ? 0 : error_wrap(err, "the value in '%s' cannot be decrypted with the key '%s'; set it anew",
                                        path, secrets->key_path);
}

int value_remove(const struct secrets *secrets, const unsigned char uuid[UUID_SIZE], struct error *err)
{
    scoped_free char *path = value_path(secrets, uuid);
    return file_remove_durable(path, err);
}
