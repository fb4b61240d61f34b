/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What can be done with disk images, in one table for both sides: `godwit image VERB` makes its options of it, the
 * daemon what qemu-img gets. An option is O(name, kind, qemu-img's word for it, help); kinds are FLAG and TEXT. What is
 * not here does not reach qemu-img. */

#define IMAGE_FORMAT_OPTION(O) O("format", TEXT, "-f", "format of the image; without it what its header says")

#define IMAGE_CHECK_OPTIONS(O) \
    IMAGE_FORMAT_OPTION(O)     \
    O("repair", TEXT, "-r", "mend what is found: 'leaks' alone, or 'all'")

#define IMAGE_COMMIT_OPTIONS(O)                                           \
    IMAGE_FORMAT_OPTION(O)                                                \
    O("base", TEXT, "-b", "image below that gets it; without it the next") \
    O("keep", FLAG, "-d", "do not empty the image afterwards")

#define IMAGE_COMPARE_OPTIONS(O)                                                            \
    IMAGE_FORMAT_OPTION(O)                                                                  \
    O("second-format", TEXT, "-F", "format of the other one; without it what its header says") \
    O("strict", FLAG, "-s", "different sizes and holes are differences, too")

#define IMAGE_CONVERT_OPTIONS(O)                                                   \
    IMAGE_FORMAT_OPTION(O)                                                         \
    O("to", TEXT, "-O", "format of the new image")                                 \
    O("options", TEXT, "-o", "options of the new format: compat=1.1,cluster_size=64k,...") \
    O("compress", FLAG, "-c", "compress what is written (qcow2)")                  \
    O("backing", TEXT, "-B", "what the new image has below it")                    \
    O("backing-format", TEXT, "-F", "format of that")                              \
    O("snapshot", TEXT, "-l", "copy this internal snapshot, not the present content")

#define IMAGE_CREATE_OPTIONS(O)                                                            \
    O("to", TEXT, "-f", "format of the new image")                                         \
    O("options", TEXT, "-o", "options of the format: compat=1.1,cluster_size=64k,data_file=...") \
    O("backing", TEXT, "-b", "what the new image has below it")                            \
    O("backing-format", TEXT, "-F", "format of that")

#define IMAGE_INFO_OPTIONS(O) \
    IMAGE_FORMAT_OPTION(O)    \
    O("backing-chain", FLAG, "--backing-chain", "all images below it, too")

#define IMAGE_MAP_OPTIONS(O) IMAGE_FORMAT_OPTION(O)

#define IMAGE_REBASE_OPTIONS(O)                                                          \
    IMAGE_FORMAT_OPTION(O)                                                               \
    O("backing", TEXT, "-b", "the image that is to be below it; '' for none")            \
    O("backing-format", TEXT, "-F", "format of that")                                    \
    O("unsafe", FLAG, "-u", "write the name alone: the new one holds what the old one did")

#define IMAGE_RESIZE_OPTIONS(O)                                       \
    IMAGE_FORMAT_OPTION(O)                                            \
    O("shrink", FLAG, "--shrink", "smaller is meant: the end is lost") \
    O("preallocation", TEXT, "--preallocation", "of what is added: off, metadata, falloc or full")

#define IMAGE_SNAPSHOT_OPTIONS(O)                                                      \
    IMAGE_FORMAT_OPTION(O)                                                             \
    O("create", TEXT, "-c", "make an internal snapshot of this name")                  \
    O("apply", TEXT, "-a", "put the image back to it: what was written since is lost") \
    O("delete", TEXT, "-d", "remove it")

/* What a verb is like. */
enum {
    IMAGE_PROGRESS = 1, /* it says how far it is */
    IMAGE_JSON = 2,     /* its output exists as JSON */
    IMAGE_SHARED = 4,   /* works on what a running domain uses; what it says may be of a moment ago */
    IMAGE_LOOKS = 8,    /* copies nothing from the files that an image names, and changes none of them */
};

/* V(verb, its macro's word, what its operands are, what it is like, help). An "image" is there, a "new" one is not. */
#define IMAGE_VERBS(V)                                                                                            \
    V("check", CHECK, image, none, IMAGE_JSON | IMAGE_LOOKS, "look for damage in an image, or mend it")           \
    V("commit", COMMIT, image, none, IMAGE_PROGRESS, "write what an image holds into the one below it")           \
    V("compare", COMPARE, image, image, IMAGE_PROGRESS, "say whether two images hold the same")                   \
    V("convert", CONVERT, image, new, IMAGE_PROGRESS, "copy an image, perhaps to another format")                 \
    V("create", CREATE, new, size, 0, "make an empty image")                                                      \
    V("info", INFO, image, none, IMAGE_JSON | IMAGE_SHARED | IMAGE_LOOKS, "say what an image is")                 \
    V("map", MAP, image, none, IMAGE_JSON | IMAGE_SHARED | IMAGE_LOOKS, "list which parts of an image hold data") \
    V("rebase", REBASE, image, none, IMAGE_PROGRESS, "change what an image has below it")                         \
    V("resize", RESIZE, image, size, 0, "change the size of an image's disk")                                     \
    V("snapshot", SNAPSHOT, image, none, IMAGE_LOOKS, "list, make, apply or remove snapshots inside of an image")

/* image-run's flags */
enum {
    IMAGE_RUN_PLAN = 1, /* say what would be done, and do nothing */
    IMAGE_RUN_JSON = 2, /* the output is to be JSON, where qemu-img has it */
};
