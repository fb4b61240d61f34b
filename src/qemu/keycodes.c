/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/cleanup.h"
#include "qemu/input.h"

/* Codes of keys. Linux's codes (linux/input-event-codes.h) were made from XT's: up to F10 and the keypad they are the
 * same, and the table says where they are not. USB's (HID usage tables, page 7) go by way of Linux's. */

#define LINUX_SAME_MAX 83 /* KEY_KPDOT */

static const uint8_t linux_numbers[256] = {
    [85] = 0x76,  [86] = 0x56,  [87] = 0x57,  [88] = 0x58,  [89] = 0x73,  [90] = 0x78,  [91] = 0x77,  [92] = 0x79,
    [93] = 0x70,  [94] = 0x7b,  [95] = 0x5c,  [96] = 0x9c,  [97] = 0x9d,  [98] = 0xb5,  [99] = 0x54,  [100] = 0xb8,
    [101] = 0x5b, [102] = 0xc7, [103] = 0xc8, [104] = 0xc9, [105] = 0xcb, [106] = 0xcd, [107] = 0xcf, [108] = 0xd0,
    [109] = 0xd1, [110] = 0xd2, [111] = 0xd3, [113] = 0xa0, [114] = 0xae, [115] = 0xb0, [116] = 0xde, [117] = 0x59,
    [119] = 0xc6, [121] = 0x7e, [122] = 0x72, [123] = 0x71, [124] = 0x7d, [125] = 0xdb, [126] = 0xdc, [127] = 0xdd,
    [128] = 0xe8, [140] = 0xa1, [142] = 0xdf, [143] = 0xe3, [155] = 0xec, [156] = 0xe6, [157] = 0xeb, [158] = 0xea,
    [159] = 0xe9, [163] = 0x99, [164] = 0xa2, [165] = 0x90, [166] = 0xa4, [172] = 0xb2, [173] = 0xe7, [183] = 0x5d,
    [184] = 0x5e, [185] = 0x5f, [186] = 0x55, [187] = 0x83, [188] = 0xf7, [189] = 0x84, [190] = 0x5a, [191] = 0x74,
    [192] = 0xf9, [193] = 0x6d, [194] = 0x6f, [217] = 0xe5,
};

static const uint8_t usb_linux[256] = {
    [0x04] = 30,  48,  46,  32,  18,  33,  34,  35,  23,  36,  37,  38,                       /* a .. l */
    [0x10] = 50,  49,  24,  25,  16,  19,  31,  20,  22,  47,  17,  45,  21,  44,             /* m .. z */
    [0x1e] = 2,   3,   4,   5,   6,   7,   8,   9,   10,  11,                                 /* 1 .. 0 */
    [0x28] = 28,  1,   14,  15,  57,  12,  13,  26,  27,  43,  43,  39,  40,  41,  51,  52,   /* enter .. . */
    [0x38] = 53,  58,  59,  60,  61,  62,  63,  64,  65,  66,  67,  68,  87,  88,             /* / caps F1 .. F12 */
    [0x46] = 99,  70,  119, 110, 102, 104, 111, 107, 109, 106, 105, 108, 103,                 /* print .. up */
    [0x53] = 69,  98,  55,  74,  78,  96,  79,  80,  81,  75,  76,  77,  71,  72,  73,  82,  83, /* keypad */
    [0x64] = 86,  127, 116, 117, 183, 184, 185, 186, 187, 188, 189, 190, 191, 192, 193, 194,  /* 102nd .. F24 */
    [0x78] = 128,
    [0x7f] = 113, 115, 114,
    [0x85] = 121, 0,   89,  93,  124, 92,  94,  95,
    [0xe0] = 29,  42,  56,  125, 97,  54,  100, 126,                                          /* modifiers */
};

static unsigned from_linux(uint32_t code)
{
    return code <= LINUX_SAME_MAX ? code : code < COUNT(linux_numbers) ? linux_numbers[code] : 0;
}

static unsigned from_usb(uint32_t code)
{
    return code < COUNT(usb_linux) ? from_linux(usb_linux[code]) : 0;
}

static unsigned from_at1(uint32_t code)
{
    if (code >> 8 == 0xe0)
        return (code & 0x7f) | 0x80;
    return code < 0x80 ? code : 0;
}

static unsigned from_number(uint32_t code)
{
    return code < 0x100 ? code : 0;
}

static const struct {
    unsigned codeset;
    unsigned (*number)(uint32_t code);
} sets[] = {
    {KEYCODE_SET_LINUX, from_linux}, {KEYCODE_SET_XT, from_at1},      {KEYCODE_SET_ATSET1, from_at1},
    {KEYCODE_SET_USB, from_usb},     {KEYCODE_SET_QNUM, from_number},
};

bool key_codeset_known(unsigned codeset)
{
    for (size_t i = 0; i < COUNT(sets); i++)
        if (sets[i].codeset == codeset)
            return true;
    return false;
}

unsigned key_number(unsigned codeset, uint32_t code)
{
    for (size_t i = 0; i < COUNT(sets); i++)
        if (sets[i].codeset == codeset)
            return sets[i].number(code);
    return 0;
}
