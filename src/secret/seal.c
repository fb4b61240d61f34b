/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "secret/seal.h"

#include <errno.h>
#include <nettle/gcm.h>
#include <nettle/memops.h>
#include <string.h>
#include <sys/random.h>

#include "base/arena.h"
#include "base/cleanup.h"

/* magic, nonce, ciphertext, tag */
#define MAGIC      "godwit\0\1"
#define MAGIC_SIZE 8
#define NONCE_SIZE GCM_IV_SIZE
#define TAG_SIZE   GCM_DIGEST_SIZE
#define HEAD_SIZE  (MAGIC_SIZE + NONCE_SIZE)
_Static_assert(HEAD_SIZE + TAG_SIZE == SEAL_OVERHEAD, "the header says how much a seal adds");

/* Nettle and not GnuTLS, which does the same with it: that one would cost every idle daemon 2.4 MiB. */
static void cipher_begin(struct gcm_aes256_ctx *cipher, const uint8_t key[SEAL_KEY_SIZE], const uint8_t *nonce,
                         const void *of, size_t of_size)
{
    gcm_aes256_set_key(cipher, key);
    gcm_aes256_set_iv(cipher, NONCE_SIZE, nonce);
    gcm_aes256_update(cipher, of_size, of);
}

static void cipher_finish(struct gcm_aes256_ctx *cipher)
{
    explicit_bzero(cipher, sizeof *cipher);
}
#define scoped_cipher scope_cleanup(cipher_finish)

uint8_t *seal(const uint8_t key[SEAL_KEY_SIZE], const void *of, size_t of_size, const uint8_t *data, size_t length,
              size_t *sealed_length, struct error *err)
{
    scoped_cipher struct gcm_aes256_ctx cipher;
    scoped_free uint8_t *sealed = xcalloc(1, SEAL_OVERHEAD + length);
    memcpy(sealed, MAGIC, MAGIC_SIZE);
    if (getrandom(sealed + MAGIC_SIZE, NONCE_SIZE, 0) != NONCE_SIZE)
        return error_null_system(err, errno, "cannot get random bytes");
    cipher_begin(&cipher, key, sealed + MAGIC_SIZE, of, of_size);
    gcm_aes256_encrypt(&cipher, length, sealed + HEAD_SIZE, data);
    gcm_aes256_digest(&cipher, TAG_SIZE, sealed + HEAD_SIZE + length);
    *sealed_length = SEAL_OVERHEAD + length;
    return steal(sealed);
}

uint8_t *unseal(const uint8_t key[SEAL_KEY_SIZE], const void *of, size_t of_size, const uint8_t *sealed,
                size_t sealed_length, size_t *length, struct error *err)
{
    if (sealed_length < SEAL_OVERHEAD || memcmp(sealed, MAGIC, MAGIC_SIZE) != 0)
        return error_null(err, ERR_INTERNAL_ERROR, "it is no encrypted value of this version");
    scoped_cipher struct gcm_aes256_ctx cipher;
    uint8_t tag[TAG_SIZE];
    size_t room = sealed_length - SEAL_OVERHEAD;
    uint8_t *data = xcalloc(1, room + 1); /* an empty value has an address, too */
    cipher_begin(&cipher, key, sealed + MAGIC_SIZE, of, of_size);
    gcm_aes256_decrypt(&cipher, room, data, sealed + HEAD_SIZE);
    gcm_aes256_digest(&cipher, TAG_SIZE, tag);
    if (!memeql_sec(tag, sealed + HEAD_SIZE + room, TAG_SIZE)) {
        bytes_free(data, room + 1);
        return error_null(err, ERR_INTERNAL_ERROR, "it is damaged, or was encrypted with another key");
    }
    *length = room;
    return data;
}

void bytes_free(uint8_t *bytes, size_t length)
{
    if (bytes)
        explicit_bzero(bytes, length);
    free(bytes);
}
