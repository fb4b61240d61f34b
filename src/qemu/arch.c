/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/arch.h"

#include <stddef.h>

#include "base/text.h"

/* libvirt's names, QEMU's where they differ, and the size of a word. */
static const struct {
    const char *name, *qemu_name;
    unsigned word_size;
} archs[] = {
    {"i686", "i386", 32},       {"x86_64", NULL, 64},      {"aarch64", NULL, 64},     {"armv6l", NULL, 32},
    {"armv7l", "arm", 32},      {"alpha", NULL, 64},       {"cris", NULL, 32},        {"lm32", NULL, 32},
    {"loongarch64", NULL, 64},  {"m68k", NULL, 32},        {"microblaze", NULL, 32},  {"microblazeel", NULL, 32},
    {"mips", NULL, 32},         {"mipsel", NULL, 32},      {"mips64", NULL, 64},      {"mips64el", NULL, 64},
    {"or32", "or1k", 32},       {"parisc", "hppa", 32},    {"ppc", NULL, 32},         {"ppc64", NULL, 64},
    {"ppc64le", NULL, 64},      {"ppcemb", NULL, 32},      {"riscv32", NULL, 32},     {"riscv64", NULL, 64},
    {"s390", NULL, 32},         {"s390x", NULL, 64},       {"sh4", NULL, 32},         {"sh4eb", NULL, 64},
    {"sparc", NULL, 32},        {"sparc64", NULL, 64},     {"xtensa", NULL, 32},      {"xtensaeb", NULL, 32},
    {"armv7b", NULL, 32},       {"ia64", NULL, 64},        {"itanium", NULL, 64},     {"unicore32", NULL, 32},
};

unsigned arch_word_size(const char *arch)
{
    for (size_t i = 0; i < COUNT(archs); i++)
        if (string_equal(archs[i].name, arch))
            return archs[i].word_size;
    return 0;
}

const char *arch_from_qemu(const char *qemu_arch)
{
    for (size_t i = 0; i < COUNT(archs); i++)
        if (string_equal(archs[i].qemu_name, qemu_arch))
            return archs[i].name;
    return qemu_arch;
}

const char *arch_of_host(void)
{
#if defined(__x86_64__)
    return "x86_64";
#elif defined(__i386__)
    return "i686";
#elif defined(__aarch64__)
    return "aarch64";
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
    return "ppc64le";
#elif defined(__s390x__)
    return "s390x";
#elif defined(__riscv) && __riscv_xlen == 64
    return "riscv64";
#else
#error "name this architecture"
#endif
}

bool arch_is_x86(const char *arch)
{
    return string_equal(arch, "x86_64") || string_equal(arch, "i686");
}
