/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <string.h>

#include "cli/domain.h"
#include "cli/pool.h"
#include "cli/xpath.h"

/* Storage volumes made, copied, changed and removed. */

static unsigned create_flags(const struct invocation *in)
{
    return option_given(in, "prealloc-metadata") ? STORAGE_VOL_CREATE_PREALLOC_METADATA : 0;
}

static int create(struct invocation *in, const char *xml, unsigned flags, const char *from, struct error *err)
{
    struct storage_vol_create_xml_args args = {.xml = xml, .flags = flags};
    struct storage_vol_create_xml_ret ret;
    if (pool_get(in, &args.pool, err) < 0)
        return -1;
    if (remote_storage_vol_create_xml(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot create a volume in storage pool '%s'", args.pool.name);
    output_note(in, "Vol %s created%s%s\n", ret.vol.name, from ? " from " : "", from ? from : "");
    return 0;
}

static int run_vol_create(struct invocation *in, struct error *err)
{
    const char *file = option_text(in, "file"), *xml = xml_file_read(in, file, err);
    unsigned flags = create_flags(in) | (option_given(in, "validate") ? STORAGE_VOL_CREATE_VALIDATE : 0);
    return xml ? create(in, xml, flags, file, err) : -1;
}

static int run_vol_create_as(struct invocation *in, struct error *err)
{
    uint64_t capacity = 0, allocation = 0;
    struct wire_storage_vol backing;
    const char *backing_path = NULL;
    scoped_text struct text xml = {0};
    if (option_size(in, "capacity", 1, &capacity, err) < 0)
        return -1;
    int given = option_size(in, "allocation", 1, &allocation, err);
    if (given < 0)
        return -1;
    if (option_given(in, "backing-vol") &&
        (volume_find(in, option_text(in, "backing-vol"), "pool", &backing, err) < 0 ||
         !(backing_path = volume_path(in, &backing, err))))
        return -1;
    text_append(&xml, "<volume>\n");
    xml_line(&xml, 2, "name", NULL, option_text(in, "name"));
    text_printf(&xml, "  <capacity>%" PRIu64 "</capacity>\n", capacity);
    if (given)
        text_printf(&xml, "  <allocation>%" PRIu64 "</allocation>\n", allocation);
    if (option_given(in, "format")) {
        text_append(&xml, "  <target>\n");
        xml_line(&xml, 4, "format", "type", option_text(in, "format"));
        text_append(&xml, "  </target>\n");
    }
    if (backing_path) {
        text_append(&xml, "  <backingStore>\n");
        xml_line(&xml, 4, "path", NULL, backing_path);
        xml_line(&xml, 4, "format", "type", option_text(in, "backing-vol-format"));
        text_append(&xml, "  </backingStore>\n");
    }
    text_append(&xml, "</volume>\n");
    if (!option_given(in, "print-xml"))
        return create(in, text_string(&xml), create_flags(in), NULL, err);
    output_document(in, "xml", text_string(&xml));
    return 0;
}

static int copy(struct invocation *in, struct storage_vol_create_xml_from_args *args, const char **name,
                struct error *err)
{
    struct storage_vol_create_xml_from_ret ret;
    args->flags |= create_flags(in) | (option_given(in, "reflink") ? STORAGE_VOL_CREATE_REFLINK : 0);
    if (remote_storage_vol_create_xml_from(shell_client(in), args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot copy volume '%s' into storage pool '%s'", args->clonevol.name,
                              args->pool.name);
    *name = ret.vol.name;
    return 0;
}

static int run_vol_create_from(struct invocation *in, struct error *err)
{
    const char *input = option_given(in, "inputpool") ? "inputpool" : "pool", *name;
    struct storage_vol_create_xml_from_args args = {
        .flags = option_given(in, "validate") ? STORAGE_VOL_CREATE_VALIDATE : 0,
        .xml = xml_file_read(in, option_text(in, "file"), err)};
    if (!args.xml || pool_get(in, &args.pool, err) < 0 ||
        volume_find(in, option_text(in, "vol"), input, &args.clonevol, err) < 0 || copy(in, &args, &name, err) < 0)
        return -1;
    output_note(in, "Vol %s created from input vol %s\n", name, args.clonevol.name);
    return 0;
}

/* The XML of the volume with another name. */
static const char *renamed_xml(struct invocation *in, const struct wire_storage_vol *volume, const char *name,
                               struct error *err)
{
    struct storage_vol_get_xml_desc_args args = {.vol = *volume};
    struct storage_vol_get_xml_desc_ret ret;
    if (remote_storage_vol_get_xml_desc(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed_null(err, "cannot read the XML of volume '%s'", volume->name);
    scoped_document struct document *document = document_parse(ret.xml, "the volume's XML", err);
    xmlXPathObject *found = document ? document_query(document, "/volume/name") : NULL;
    const char *xml = NULL;
    if (found && found->nodesetval && found->nodesetval->nodeNr == 1) {
        scoped_text struct text escaped = {0};
        text_append_xml(&escaped, name);
        xmlNodeSetContent(found->nodesetval->nodeTab[0], BAD_CAST text_string(&escaped));
        xmlBuffer *buffer = xmlBufferCreate();
        xmlNodeDump(buffer, document->xml, xmlDocGetRootElement(document->xml), 0, 1);
        xml = arena_printf(in->arena, "%s\n", (const char *)xmlBufferContent(buffer));
        xmlBufferFree(buffer);
    } else if (document) {
        error_set(err, ERR_XML_ERROR, "the XML of volume '%s' has no name in it", volume->name);
    }
    xmlXPathFreeObject(found);
    return xml;
}

static int run_vol_clone(struct invocation *in, struct error *err)
{
    struct storage_vol_create_xml_from_args args = {0};
    struct storage_pool_lookup_by_volume_args pool_args;
    struct storage_pool_lookup_by_volume_ret pool_ret;
    const char *name;
    if (volume_get(in, &args.clonevol, err) < 0)
        return -1;
    pool_args.vol = args.clonevol;
    if (remote_storage_pool_lookup_by_volume(shell_client(in), &pool_args, in->arena, &pool_ret, err) < 0)
        return command_failed(err, "cannot look up the storage pool of volume '%s'", args.clonevol.name);
    args.pool = pool_ret.pool;
    args.xml = renamed_xml(in, &args.clonevol, option_text(in, "newname"), err);
    if (!args.xml)
        return -1;
    if (option_given(in, "print-xml")) {
        output_document(in, "xml", args.xml);
        return 0;
    }
    if (copy(in, &args, &name, err) < 0)
        return -1;
    output_note(in, "Vol %s cloned from %s\n", name, args.clonevol.name);
    return 0;
}

static int run_vol_delete(struct invocation *in, struct error *err)
{
    struct storage_vol_delete_args args = {
        .flags = option_given(in, "delete-snapshots") ? STORAGE_VOL_DELETE_WITH_SNAPSHOTS : 0};
    if (volume_get(in, &args.vol, err) < 0)
        return -1;
    if (remote_storage_vol_delete(shell_client(in), &args, err) < 0)
        return command_failed(err, "cannot delete volume '%s'", args.vol.name);
    output_note(in, "Vol %s deleted\n", args.vol.name);
    return 0;
}

static int run_vol_resize(struct invocation *in, struct error *err)
{
    struct storage_vol_resize_args args = {0};
    const char *text = option_text(in, "capacity");
    args.flags = (option_given(in, "allocate") ? STORAGE_VOL_RESIZE_ALLOCATE : 0) |
                 (option_given(in, "delta") ? STORAGE_VOL_RESIZE_DELTA : 0) |
                 (option_given(in, "shrink") ? STORAGE_VOL_RESIZE_SHRINK : 0);
    if (*text == '-' && !(option_given(in, "delta") && option_given(in, "shrink")))
        return error_set(err, ERR_INVALID_ARG, "'%s': a negative size needs --delta and --shrink", text);
    if (option_size(in, "capacity", 1, &args.capacity, err) < 0 || volume_get(in, &args.vol, err) < 0)
        return -1;
    if (remote_storage_vol_resize(shell_client(in), &args, err) < 0)
        return command_failed(err, "cannot resize volume '%s'", args.vol.name);
    output_note(in, option_given(in, "delta") ? "Size of volume '%s' successfully changed by %s\n"
                                              : "Size of volume '%s' successfully changed to %s\n",
                args.vol.name, text);
    return 0;
}

static int run_vol_wipe(struct invocation *in, struct error *err)
{
    static const char *const algorithms[] = {"zero", "nnsa", "dod", "bsi", "gutmann", "schneier", "pfitzner7",
                                             "pfitzner33", "random", "trim", NULL}; /* by STORAGE_VOL_WIPE_ALG_* */
    const char *word = option_text(in, "algorithm");
    int algorithm = word ? word_index("wiping algorithm", word, algorithms, err) : 0;
    struct storage_vol_wipe_pattern_args args = {.algorithm = (uint32_t)algorithm};
    if (algorithm < 0 || volume_get(in, &args.vol, err) < 0)
        return -1;
    if (remote_storage_vol_wipe_pattern(shell_client(in), &args, err) < 0)
        return command_failed(err, "cannot wipe volume '%s'", args.vol.name);
    output_note(in, "Vol %s wiped\n", args.vol.name);
    return 0;
}

#define PREALLOC_OPTION \
    {"prealloc-metadata", OPTION_BOOL, 0, "give all clusters of a qcow2 their places now"}

static const struct command_option create_options[] = {
    POOL_OPTION,
    {"file", OPTION_STRING, OPTION_REQUIRED, "file with the volume's XML, - for standard input"},
    PREALLOC_OPTION,
    {"validate", OPTION_BOOL, 0, "refuse XML that the schema does not know"},
    {0},
};

static const struct command_option create_as_options[] = {
    POOL_OPTION,
    {"name", OPTION_STRING, OPTION_REQUIRED, "name of the volume"},
    {"capacity", OPTION_STRING, OPTION_REQUIRED, "its size in bytes or with a unit"},
    {"allocation", OPTION_STRING, 0, "how much of it is given room now; without it all, of a raw volume"},
    {"format", OPTION_STRING, 0, "raw, qcow2, qed, vmdk, vdi, vpc, ..."},
    {"backing-vol", OPTION_STRING, 0, "the volume below it, by name, key or path"},
    {"backing-vol-format", OPTION_STRING, 0, "the format of that"},
    PREALLOC_OPTION,
    {"print-xml", OPTION_BOOL, 0, "print the XML and do nothing"},
    {0},
};

static const struct command_option create_from_options[] = {
    POOL_OPTION,
    {"file", OPTION_STRING, OPTION_REQUIRED, "file with the new volume's XML, - for standard input"},
    VOLUME_OPTION,
    {"inputpool", OPTION_STRING, 0, "the pool of the copied volume, by name or UUID", complete_pools},
    PREALLOC_OPTION,
    {"reflink", OPTION_BOOL, 0, "share the blocks, or fail"},
    {"validate", OPTION_BOOL, 0, "refuse XML that the schema does not know"},
    {0},
};

static const struct command_option clone_options[] = {
    VOLUME_OPTION,
    {"newname", OPTION_STRING, OPTION_REQUIRED, "name of the copy"},
    VOLUME_POOL_OPTION,
    PREALLOC_OPTION,
    {"reflink", OPTION_BOOL, 0, "share the blocks, or fail"},
    {"print-xml", OPTION_BOOL, 0, "print the XML and do nothing"},
    {0},
};

static const struct command_option delete_options[] = {
    VOLUME_OPTION,
    VOLUME_POOL_OPTION,
    {"delete-snapshots", OPTION_BOOL, 0, "with its snapshots"},
    {0},
};

static const struct command_option resize_options[] = {
    VOLUME_OPTION,
    {"capacity", OPTION_STRING, OPTION_REQUIRED, "its new size in bytes or with a unit"},
    VOLUME_POOL_OPTION,
    {"allocate", OPTION_BOOL, 0, "give what is added room now"},
    {"delta", OPTION_BOOL, 0, "the size is a difference"},
    {"shrink", OPTION_BOOL, 0, "it may become smaller, and lose what was there"},
    {0},
};

static const struct command_option wipe_options[] = {
    VOLUME_OPTION,
    VOLUME_POOL_OPTION,
    {"algorithm", OPTION_STRING, 0, "zero (as without it), nnsa, dod, bsi, gutmann, schneier, pfitzner7, pfitzner33, "
     "random"},
    {0},
};

const struct command volume_change_commands[] = {
    {"vol-clone", "volume", "copy a volume inside its storage pool", NULL, clone_options, run_vol_clone},
    {"vol-create", "volume", "create a volume from an XML file", NULL, create_options, run_vol_create},
    {"vol-create-as", "volume", "create a volume from options", NULL, create_as_options, run_vol_create_as},
    {"vol-create-from", "volume", "create a volume as a copy of another one", NULL, create_from_options,
     run_vol_create_from},
    {"vol-delete", "volume", "delete a volume", "A volume that a running domain uses is not deleted.", delete_options,
     run_vol_delete},
    {"vol-resize", "volume", "change the size of a volume", "Of a running domain's disk use blockresize.",
     resize_options, run_vol_resize},
    {"vol-wipe", "volume", "write over all that is in a volume", NULL, wipe_options, run_vol_wipe},
    {0},
};
