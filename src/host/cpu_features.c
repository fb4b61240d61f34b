/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/cpu_features.h"

#include "base/text.h"

enum word_source { WORD_CPUID, WORD_MSR };
enum word_register { EAX, EBX, ECX, EDX };

/* One row per 32-bit register: where it is found (CPUID leaf and subleaf, or MSR number) and the names of its bits.
 * Sources: Intel SDM volume 2A "CPUID" and volume 4, AMD APM volume 3 appendix E. */
static const struct word {
    enum word_source source;
    uint32_t leaf, subleaf;
    enum word_register reg;
    const char *names[32];
} words[CPU_FEATURE_WORDS] = {
    {WORD_CPUID, 0x1, 0, EDX,
     {"fpu", "vme", "de", "pse", "tsc", "msr", "pae", "mce", "cx8", "apic", [11] = "sep", "mtrr", "pge", "mca",
      "cmov", "pat", "pse36", "pn", "clflush", [21] = "ds", "acpi", "mmx", "fxsr", "sse", "sse2", "ss", "ht", "tm",
      "ia64", "pbe"}},
    {WORD_CPUID, 0x1, 0, ECX,
     {"pni", "pclmuldq", "dtes64", "monitor", "ds_cpl", "vmx", "smx", "est", "tm2", "ssse3", "cid", [12] = "fma",
      "cx16", "xtpr", "pdcm", [17] = "pcid", "dca", "sse4.1", "sse4.2", "x2apic", "movbe", "popcnt", "tsc-deadline",
      "aes", "xsave", "osxsave", "avx", "f16c", "rdrand", "hypervisor"}},
    {WORD_CPUID, 0x6, 0, EAX,
     {[2] = "arat"}},
    {WORD_CPUID, 0x7, 0, EBX,
     {"fsgsbase", "tsc_adjust", "sgx", "bmi1", "hle", "avx2", [7] = "smep", "bmi2", "erms", "invpcid", "rtm", "cmt",
      [14] = "mpx", [16] = "avx512f", "avx512dq", "rdseed", "adx", "smap", "avx512ifma", "pcommit", "clflushopt",
      "clwb", "intel-pt", "avx512pf", "avx512er", "avx512cd", "sha-ni", "avx512bw", "avx512vl"}},
    {WORD_CPUID, 0x7, 0, ECX,
     {[1] = "avx512vbmi", "umip", "pku", "ospke", "waitpkg", "avx512vbmi2", [8] = "gfni", "vaes", "vpclmulqdq",
      "avx512vnni", "avx512bitalg", [14] = "avx512-vpopcntdq", [16] = "la57", [22] = "rdpid",
      [24] = "bus-lock-detect", "cldemote", [27] = "movdiri", "movdir64b", [30] = "sgxlc", "pks"}},
    {WORD_CPUID, 0x7, 0, EDX,
     {[2] = "avx512-4vnniw", "avx512-4fmaps", "fsrm", [8] = "avx512-vp2intersect", [10] = "md-clear",
      [14] = "serialize", [16] = "tsx-ldtrk", [18] = "pconfig", "arch-lbr", [22] = "amx-bf16", "avx512-fp16",
      "amx-tile", "amx-int8", "spec-ctrl", "stibp", [29] = "arch-capabilities", "core-capability", "ssbd"}},
    {WORD_CPUID, 0x7, 1, EDX,
     {[4] = "avx-vnni-int8", "avx-ne-convert", [8] = "amx-complex", [10] = "avx-vnni-int16", [14] = "prefetchiti",
      [19] = "avx10"}},
    {WORD_CPUID, 0x7, 1, EAX,
     {[4] = "avx-vnni", "avx512-bf16", [10] = "fzrm", "fsrs", "fsrc", [17] = "fred", "lkgs", "wrmsrns",
      [21] = "amx-fp16", [23] = "avx-ifma", [26] = "lam"}},
    {WORD_CPUID, 0x7, 2, EDX,
     {"intel-psfd", "ipred-ctrl", "rrsba-ctrl", "ddpd-u", "bhi-ctrl", "mcdt-no"}},
    {WORD_CPUID, 0xd, 1, EAX,
     {"xsaveopt", "xsavec", "xgetbv1", "xsaves", "xfd"}},
    {WORD_CPUID, 0xf, 1, EDX,
     {[1] = "mbm_total", "mbm_local"}},
    {WORD_CPUID, 0x12, 0, EAX,
     {"sgx1", "sgx2"}},
    {WORD_CPUID, 0x12, 0, EBX,
     {"sgx-exinfo"}},
    {WORD_CPUID, 0x12, 1, EAX,
     {[1] = "sgx-debug", "sgx-mode64", [4] = "sgx-provisionkey", "sgx-tokenkey", [7] = "sgx-kss"}},
    {WORD_CPUID, 0x14, 0, ECX,
     {[31] = "intel-pt-lip"}},
    {WORD_CPUID, 0x80000001, 0, EDX,
     {[11] = "syscall", [20] = "nx", [22] = "mmxext", [25] = "fxsr_opt", "pdpe1gb", "rdtscp", [29] = "lm", "3dnowext",
      "3dnow"}},
    {WORD_CPUID, 0x80000001, 0, ECX,
     {"lahf_lm", "cmp_legacy", "svm", "extapic", "cr8legacy", "abm", "sse4a", "misalignsse", "3dnowprefetch", "osvw",
      "ibs", "xop", "skinit", "wdt", [15] = "lwp", "fma4", "tce", "cvt16", "nodeid_msr", [21] = "tbm", "topoext",
      "perfctr_core", "perfctr_nb"}},
    {WORD_CPUID, 0x80000007, 0, EDX,
     {[8] = "invtsc"}},
    {WORD_CPUID, 0x80000008, 0, EBX,
     {"clzero", [2] = "xsaveerptr", [9] = "wbnoinvd", [12] = "ibpb", [14] = "ibrs", "amd-stibp", [24] = "amd-ssbd",
      "virt-ssbd", "amd-no-ssb", [28] = "amd-psfd"}},
    {WORD_CPUID, 0x8000000a, 0, EDX,
     {"npt", "lbrv", "svm-lock", "nrip-save", "tsc-scale", "vmcb-clean", "flushbyasid", "decodeassists",
      [10] = "pause-filter", [12] = "pfthreshold", "avic", [15] = "v-vmsave-vmload", "vgif", [28] = "svme-addr-chk"}},
    {WORD_CPUID, 0x80000021, 0, EAX,
     {"no-nested-data-bp", [2] = "lfence-always-serializing", [6] = "null-sel-clr-base", [8] = "auto-ibrs"}},
    {WORD_MSR, 0x10a, 0, EAX,
     {"rdctl-no", "ibrs-all", "rsba", "skip-l1dfl-vmentry", "ssb-no", "mds-no", "pschange-mc-no", "tsx-ctrl",
      "taa-no", [13] = "sbdr-ssdp-no", "fbsdp-no", "psdp-no", [17] = "fb-clear", [24] = "pbrsb-no", [26] = "gds-no",
      "rfds-no", "rfds-clear"}},
    {WORD_MSR, 0xcf, 0, EAX,
     {[5] = "split-lock-detect"}},
};

const char *cpu_feature_name(unsigned feature)
{
    return feature < CPU_FEATURE_COUNT ? words[feature / 32].names[feature % 32] : NULL;
}

int cpu_feature_find(const char *name)
{
    for (unsigned feature = 0; feature < CPU_FEATURE_COUNT; feature++)
        if (cpu_feature_name(feature) && string_equal(cpu_feature_name(feature), name))
            return feature;
    return -1;
}

/* QEMU has '-' wherever the public name has '_'. */
static bool same_but_dashes(const char *name, const char *qemu_name)
{
    for (; *name && (*name == *qemu_name || (*name == '_' && *qemu_name == '-')); name++, qemu_name++)
        ;
    return *name == *qemu_name;
}

int cpu_feature_from_qemu(const char *qemu_name)
{
    if (string_equal(qemu_name, "pclmulqdq")) /* the only one that differs by more */
        qemu_name = "pclmuldq";
    for (unsigned feature = 0; feature < CPU_FEATURE_COUNT; feature++)
        if (cpu_feature_name(feature) && same_but_dashes(cpu_feature_name(feature), qemu_name))
            return feature;
    return -1;
}

bool cpu_feature_is_migratable(unsigned feature)
{
    return !string_equal(cpu_feature_name(feature), "invtsc");
}

void cpu_features_read(struct cpu_features *features, const struct cpu_source *source)
{
    uint64_t msr;
    uint32_t registers[4];
    *features = (struct cpu_features){0};
    for (unsigned i = 0; i < CPU_FEATURE_WORDS; i++) {
        uint32_t value = 0, named = 0;
        if (words[i].source == WORD_MSR)
            value = source->msr(words[i].leaf, &msr) ? (uint32_t)msr : 0;
        else if (source->cpuid(words[i].leaf, words[i].subleaf, registers))
            value = registers[words[i].reg];
        for (unsigned bit = 0; bit < 32; bit++)
            named |= words[i].names[bit] ? UINT32_C(1) << bit : 0;
        features->words[i] = value & named;
    }
}

struct cpu_features cpu_features_minus(const struct cpu_features *a, const struct cpu_features *b)
{
    struct cpu_features result;
    for (unsigned i = 0; i < CPU_FEATURE_WORDS; i++)
        result.words[i] = a->words[i] & ~b->words[i];
    return result;
}

struct cpu_features cpu_features_common(const struct cpu_features *a, const struct cpu_features *b)
{
    struct cpu_features result;
    for (unsigned i = 0; i < CPU_FEATURE_WORDS; i++)
        result.words[i] = a->words[i] & b->words[i];
    return result;
}

unsigned cpu_features_count(const struct cpu_features *set)
{
    unsigned count = 0;
    for (unsigned i = 0; i < CPU_FEATURE_WORDS; i++)
        count += __builtin_popcount(set->words[i]);
    return count;
}
