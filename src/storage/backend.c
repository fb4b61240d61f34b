/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/backend.h"

#include <string.h>

#include "storage/tool.h"

/* The kinds of pools there are, and those that are served here. */

static const char *const fs_formats[] = {"auto", "ext2", "ext3", "ext4", "ufs", "iso9660", "udf", "gfs", "gfs2",
                                         "vfat", "hfs+", "xfs", "ocfs2", "vmfs", NULL};
static const char *const netfs_formats[] = {"auto", "nfs", "glusterfs", "cifs", NULL};
static const char *const logical_formats[] = {"lvm2", "unknown", NULL};
static const char *const disk_formats[] = {"unknown", "dos", "dvh", "gpt", "mac", "bsd", "pc98", "sun", "lvm2", NULL};
static const char *const partition_formats[] = {"none", "linux", "fat16", "fat32", "linux-swap", "linux-lvm",
                                                "linux-raid", "extended", NULL};

/* In the order in which libvirt tells them. Kinds that are not served stand here for their flags and formats. */
static const struct kind {
    enum pool_type type;
    unsigned list_flag;
    const char *const *formats, *const *volume_formats;
    const struct backend *backend;
} kinds[] = {
    {POOL_TYPE_DIR, CONNECT_LIST_STORAGE_POOLS_DIR, NULL, file_formats, &dir_backend},
    {POOL_TYPE_FS, CONNECT_LIST_STORAGE_POOLS_FS, fs_formats, file_formats, &fs_backend},
    {POOL_TYPE_NETFS, CONNECT_LIST_STORAGE_POOLS_NETFS, netfs_formats, file_formats, &netfs_backend},
    {POOL_TYPE_LOGICAL, CONNECT_LIST_STORAGE_POOLS_LOGICAL, logical_formats, NULL, &logical_backend},
    {POOL_TYPE_DISK, CONNECT_LIST_STORAGE_POOLS_DISK, disk_formats, partition_formats, &disk_backend},
    {POOL_TYPE_ISCSI, CONNECT_LIST_STORAGE_POOLS_ISCSI, NULL, NULL, &iscsi_backend},
    {POOL_TYPE_ISCSI_DIRECT, CONNECT_LIST_STORAGE_POOLS_ISCSI_DIRECT, NULL, NULL, &iscsi_direct_backend},
    {POOL_TYPE_SCSI, CONNECT_LIST_STORAGE_POOLS_SCSI, NULL, NULL, &scsi_backend},
    {POOL_TYPE_MPATH, CONNECT_LIST_STORAGE_POOLS_MPATH, NULL, NULL, &mpath_backend},
    {POOL_TYPE_RBD, CONNECT_LIST_STORAGE_POOLS_RBD, NULL, NULL, NULL},
    {POOL_TYPE_SHEEPDOG, CONNECT_LIST_STORAGE_POOLS_SHEEPDOG, NULL, NULL, NULL},
    {POOL_TYPE_GLUSTER, CONNECT_LIST_STORAGE_POOLS_GLUSTER, NULL, file_formats, NULL},
    {POOL_TYPE_ZFS, CONNECT_LIST_STORAGE_POOLS_ZFS, NULL, NULL, NULL},
    {POOL_TYPE_VSTORAGE, CONNECT_LIST_STORAGE_POOLS_VSTORAGE, NULL, file_formats, NULL},
};

static const struct kind *kind_find(enum pool_type type)
{
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (kinds[i].type == type)
            return &kinds[i];
    return NULL;
}

const struct backend *backend_find(enum pool_type type, struct error *err)
{
    const struct kind *kind = kind_find(type);
    if (kind && kind->backend)
        return kind->backend;
    return error_null(err, ERR_NO_SUPPORT, "missing backend for pool type %d (%s): this daemon does not serve storage "
                      "pools of that type yet; 'pool-capabilities' lists those it does", type - 1,
                      pool_type_name(type) ? pool_type_name(type) : "unknown");
}

const struct backend *backend_usable(enum pool_type type, struct error *err)
{
    const struct backend *backend = backend_find(type, err);
    if (!backend || !backend->program || tool_there(backend->program))
        return backend;
    return error_null(err, ERR_OPERATION_UNSUPPORTED, "storage pools of type '%s' need the program '%s'; install the "
                      "package %s", pool_type_name(type), backend->program, backend->package);
}

unsigned backend_list_flag(enum pool_type type)
{
    const struct kind *kind = kind_find(type);
    return kind ? kind->list_flag : 0;
}

const char *const *backend_formats(enum pool_type type)
{
    const struct kind *kind = kind_find(type);
    return kind ? kind->formats : NULL;
}

const char *const *backend_volume_formats(enum pool_type type)
{
    const struct kind *kind = kind_find(type);
    return kind ? kind->volume_formats : NULL;
}

const char *backend_format(const char *const *words, const char *word, const char *what, struct error *err)
{
    scoped_text struct text allowed = {0};
    for (size_t i = 0; words && words[i]; i++) {
        if (strcmp(words[i], word) == 0)
            return words[i];
        text_printf(&allowed, "%s%s", i ? ", " : "", words[i]);
    }
    return error_null(err, ERR_CONFIG_UNSUPPORTED, "unknown %s format type '%s'; there %s %s", what, word,
                      allowed.length ? "are" : "is", allowed.length ? text_string(&allowed) : "none here");
}

static void tell_formats(struct text *out, const char *element, const char *name, const char *const *formats)
{
    text_printf(out, "    <%s>\n      <defaultFormat type='%s'/>\n      <enum name='%s'>\n", element, formats[0], name);
    for (size_t i = 0; formats[i]; i++)
        text_printf(out, "        <value>%s</value>\n", formats[i]);
    text_printf(out, "      </enum>\n    </%s>\n", element);
}

char *backend_capabilities(void)
{
    struct text out = {0};
    text_append(&out, "<storagepoolCapabilities>\n");
    for (const struct kind *kind = kinds; kind < kinds + COUNT(kinds); kind++) {
        bool usable = kind->backend && (!kind->backend->program || tool_there(kind->backend->program));
        text_printf(&out, "  <pool type='%s' supported='%s'>\n", pool_type_name(kind->type), usable ? "yes" : "no");
        if (kind->formats)
            tell_formats(&out, "poolOptions", "sourceFormatType", kind->formats);
        if (kind->volume_formats)
            tell_formats(&out, "volOptions", "targetFormatType", kind->volume_formats);
        text_append(&out, "  </pool>\n");
    }
    text_append(&out, "</storagepoolCapabilities>\n");
    return text_steal(&out);
}
