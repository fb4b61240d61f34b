/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/libiscsi.h"

#include <dlfcn.h>
#include <pthread.h>

#define LIBRARY "libiscsi.so.7"

struct libiscsi libiscsi;

static int find_functions(void *handle, struct error *err)
{
#define FIND(name)                                                                            \
    if (!(libiscsi.name = (__typeof__(libiscsi.name))dlsym(handle, #name)))                   \
        return error_set(err, ERR_NO_SUPPORT, LIBRARY " has no '%s': is it Debian's?", #name);
    LIBISCSI_FUNCTIONS(FIND)
#undef FIND
    return 0;
}

static int load(struct error *err)
{
    void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return error_set(err, ERR_NO_SUPPORT, "pools of type 'iscsi-direct' need " LIBRARY ", which cannot be loaded "
                         "(%s); install Debian's package libiscsi7", dlerror());
    if (find_functions(handle, err) == 0)
        return 0;
    dlclose(handle);
    return -1;
}

int libiscsi_load(struct error *err)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static bool loaded;
    pthread_mutex_lock(&lock);
    bool there = loaded = loaded || load(err) == 0;
    pthread_mutex_unlock(&lock);
    return there ? 0 : -1;
}
