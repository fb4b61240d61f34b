/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "secret/seal.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <string.h>
#include <sys/random.h>

#include "base/arena.h"
#include "base/cleanup.h"

/* magic, nonce, ciphertext, tag */
#define MAGIC      "godwit\0\1"
#define MAGIC_SIZE 8
#define NONCE_SIZE 12
#define TAG_SIZE   16
#define HEAD_SIZE  (MAGIC_SIZE + NONCE_SIZE)
_Static_assert(HEAD_SIZE + TAG_SIZE == SEAL_OVERHEAD, "the header says how much a seal adds");

static void cipher_scope(gnutls_aead_cipher_hd_t *cipher)
{
    if (*cipher)
        gnutls_aead_cipher_deinit(*cipher);
}
#define scoped_cipher scope_cleanup(cipher_scope)

static int cipher_open(gnutls_aead_cipher_hd_t *cipher, const uint8_t key[SEAL_KEY_SIZE], struct error *err)
{
    const gnutls_datum_t datum = {(uint8_t *)key, SEAL_KEY_SIZE};
    int rc = gnutls_aead_cipher_init(cipher, GNUTLS_CIPHER_AES_256_GCM, &datum);
    return rc < 0 ? error_set(err, ERR_INTERNAL_ERROR, "GnuTLS cannot encrypt: %s", gnutls_strerror(rc)) : 0;
}

uint8_t *seal(const uint8_t key[SEAL_KEY_SIZE], const void *of, size_t of_size, const uint8_t *data, size_t length,
              size_t *sealed_length, struct error *err)
{
    scoped_cipher gnutls_aead_cipher_hd_t cipher = NULL;
    if (cipher_open(&cipher, key, err) < 0)
        return NULL;
    size_t room = length + TAG_SIZE;
    scoped_free uint8_t *sealed = xcalloc(1, HEAD_SIZE + room);
    memcpy(sealed, MAGIC, MAGIC_SIZE);
    if (getrandom(sealed + MAGIC_SIZE, NONCE_SIZE, 0) != NONCE_SIZE)
        return error_null_system(err, errno, "cannot get random bytes");
    int rc = gnutls_aead_cipher_encrypt(cipher, sealed + MAGIC_SIZE, NONCE_SIZE, of, of_size, TAG_SIZE, data, length,
                                        sealed + HEAD_SIZE, &room);
    if (rc < 0)
        return error_null(err, ERR_INTERNAL_ERROR, "GnuTLS cannot encrypt: %s", gnutls_strerror(rc));
    *sealed_length = HEAD_SIZE + room;
    return steal(sealed);
}

uint8_t *unseal(const uint8_t key[SEAL_KEY_SIZE], const void *of, size_t of_size, const uint8_t *sealed,
                size_t sealed_length, size_t *length, struct error *err)
{
    scoped_cipher gnutls_aead_cipher_hd_t cipher = NULL;
    if (sealed_length < SEAL_OVERHEAD || memcmp(sealed, MAGIC, MAGIC_SIZE) != 0)
        return error_null(err, ERR_INTERNAL_ERROR, "it is no encrypted value of this version");
    if (cipher_open(&cipher, key, err) < 0)
        return NULL;
    size_t room = sealed_length - SEAL_OVERHEAD, capacity = room + 1; /* an empty value has an address, too */
    uint8_t *data = xcalloc(1, capacity);
    int rc = gnutls_aead_cipher_decrypt(cipher, sealed + MAGIC_SIZE, NONCE_SIZE, of, of_size, TAG_SIZE,
                                        sealed + HEAD_SIZE, sealed_length - HEAD_SIZE, data, &room);
    if (rc < 0) {
        bytes_free(data, capacity);
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
