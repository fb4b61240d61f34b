/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one program of the test guest. It talks on the serial line in lines, so that a test can tell what it lived
 * through:
 *
 *   READY                      everything is set up
 *   HB <n> <ms>                heartbeat and the guest's monotonic clock (kernel argument hb=<interval ms>, 0 = none)
 *   MEM <pages> ok | MEMBAD    pages rewritten so far; a page did not hold what was last written
 *                              (dirty=<MiB/s> area=<MiB>)
 *   DISK <n> ok | DISKBAD      block <n> is on /dev/vda and all earlier ones read back right (disk=<blocks/s>)
 *   ECHO <line>                answer to any line that is not a command (stat, poweroff, reboot, crash, sh ...)
 *   POWERDOWN                  the ACPI power button was pressed
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/input.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, DISK_BLOCKS = 256, MAX_INPUTS = 8 };

/* A block on disk; the host's helpers/guest.py reads the same layout. */
struct block {
    char magic[8];
    uint64_t number;    /* counts from 1; lies at block (number - 1) % DISK_BLOCKS */
    uint64_t checksum;  /* FNV-1a over number and fill */
    uint64_t fill[(PAGE - 24) / 8];
};

static int console = 1;
static int heartbeat_ms = 100, dirty_mib, area_mib = 16, disk_rate;
static volatile uint64_t beats, pages_written, pages_bad, blocks_written, blocks_bad;

/* The disk writer holds it for each round; whoever ends the guest takes it for good, so that no write is cut in
 * half. */
static pthread_mutex_t disk_lock = PTHREAD_MUTEX_INITIALIZER;

/* One write for one line: lines of several threads do not mix. */
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    char line[512];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(line, sizeof(line) - 3, format, args);
    va_end(args);
    if (length > (int)sizeof(line) - 4)
        length = sizeof(line) - 4;
    memcpy(line + length, "\r\n", 2);
    pthread_mutex_lock(&lock);
    for (ssize_t done = 0, n; done < length + 2; done += n)
        if ((n = write(console, line + done, length + 2 - done)) < 0)
            break;
    pthread_mutex_unlock(&lock);
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static void sleep_until(uint64_t when_ns)
{
    struct timespec when = {.tv_sec = when_ns / 1000000000, .tv_nsec = when_ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) == EINTR)
        ;
}

static uint64_t mixed(uint64_t value)
{
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ull;
    return value ^ (value >> 27);
}

static void *heartbeat(void *unused)
{
    /* The dirtier must not delay it, or a busy guest would look like a paused one. */
    sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 10});
    for (uint64_t next = now_ns();; next += heartbeat_ms * 1000000ull) {
        if (now_ns() > next + 1000000000ull)
            next = now_ns();
        sleep_until(next);
        beats++;
        say("HB %llu %llu", (unsigned long long)beats, (unsigned long long)(now_ns() / 1000000));
    }
    return unused;
}

/* Rewrites an area page after page, round after round, and checks before each write that the page still holds the round
 * before: a page that a migration left stale or lost is found within one round. */
static void *dirtier(void *unused)
{
    size_t pages = (size_t)area_mib * 1048576 / PAGE;
    uint64_t *area = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1,
                          0);
    if (area == MAP_FAILED) {
        say("MEMBAD cannot get %d MiB", area_mib);
        return unused;
    }
    const size_t words = PAGE / 8;
    uint64_t next = now_ns(), batch = (uint64_t)dirty_mib * 1048576 / PAGE / 100 + 1;
    uint64_t reported = next;
    for (uint64_t round = 1;; round++) {
        for (size_t page = 0; page < pages; page++) {
            uint64_t *at = area + page * words;
            uint64_t old = round == 1 ? 0 : mixed((round - 1) * pages + page), new = mixed(round * pages + page);
            if (at[0] != old || at[words / 2] != old || at[words - 1] != old) {
                pages_bad++;
                say("MEMBAD page %zu round %llu: %llx %llx %llx, expected %llx", page, (unsigned long long)round,
                    (unsigned long long)at[0], (unsigned long long)at[words / 2], (unsigned long long)at[words - 1],
                    (unsigned long long)old);
            }
            at[0] = at[words / 2] = at[words - 1] = new;
            if (++pages_written % batch == 0) {
                next += 10000000;
                if (now_ns() > next + 1000000000ull)
                    next = now_ns();
                sleep_until(next);
                if (now_ns() - reported > 1000000000ull) {
                    reported = now_ns();
                    say("MEM %llu ok", (unsigned long long)pages_written);
                }
            }
        }
    }
    return unused;
}

static void block_fill(struct block *block, uint64_t number)
{
    memcpy(block->magic, "GODWITB1", 8);
    block->number = number;
    uint64_t sum = (0xcbf29ce484222325ull ^ number) * 0x100000001b3ull;
    for (size_t i = 0; i < sizeof(block->fill) / 8; i++) {
        block->fill[i] = mixed(number * 1000 + i);
        sum = (sum ^ block->fill[i]) * 0x100000001b3ull;
    }
    block->checksum = sum;
}

/* Whether the disk holds block `number` where it belongs. */
static int block_check(int disk, struct block *read_back, uint64_t number)
{
    static struct block expected;
    block_fill(&expected, number);
    return pread(disk, read_back, PAGE, (off_t)((number - 1) % DISK_BLOCKS) * PAGE) == PAGE &&
           !memcmp(read_back, &expected, PAGE);
}

static void *disk_writer(void *unused)
{
    int disk = open("/dev/vda", O_RDWR | O_DIRECT | O_DSYNC);
    struct block *block = aligned_alloc(PAGE, PAGE), *read_back = aligned_alloc(PAGE, PAGE);
    if (disk < 0 || !block || !read_back) {
        say("DISKBAD cannot open /dev/vda: %s", strerror(errno));
        return unused;
    }
    /* What an earlier boot left is continued, not forgotten: its blocks are part of the claim. */
    uint64_t last = 0;
    for (int i = 0; i < DISK_BLOCKS; i++)
        if (pread(disk, read_back, PAGE, (off_t)i * PAGE) == PAGE && !memcmp(read_back->magic, "GODWITB1", 8) &&
            read_back->number > last)
            last = read_back->number;
    if (last)
        say("DISK %llu found", (unsigned long long)last);

    uint64_t next = now_ns();
    for (uint64_t number = last + 1;; number++) {
        pthread_mutex_lock(&disk_lock);
        block_fill(block, number);
        if (pwrite(disk, block, PAGE, (off_t)((number - 1) % DISK_BLOCKS) * PAGE) != PAGE || fsync(disk) < 0) {
            blocks_bad++;
            say("DISKBAD write of block %llu: %s", (unsigned long long)number, strerror(errno));
        }
        uint64_t oldest = number > DISK_BLOCKS ? number - DISK_BLOCKS + 1 : 1;
        /* All of them every 32nd time, else the newest and one more, so that a round costs little. */
        for (uint64_t check = number % 32 ? number : oldest; check <= number; check++) {
            if (!block_check(disk, read_back, check)) {
                blocks_bad++;
                say("DISKBAD block %llu reads back as %llu", (unsigned long long)check,
                    (unsigned long long)read_back->number);
            }
        }
        if (!block_check(disk, read_back, oldest + mixed(number) % (number - oldest + 1))) {
            blocks_bad++;
            say("DISKBAD an earlier block reads back as %llu", (unsigned long long)read_back->number);
        }
        blocks_written = number;
        say("DISK %llu ok", (unsigned long long)number);
        pthread_mutex_unlock(&disk_lock);
        next += 1000000000ull / disk_rate;
        if (now_ns() > next + 1000000000ull)
            next = now_ns();
        sleep_until(next);
    }
    return unused;
}

static void end_guest(int how)
{
    pthread_mutex_lock(&disk_lock);
    tcdrain(console);
    sync();
    reboot(how);
}

static void command(char *line)
{
    if (!strcmp(line, "stat"))
        say("STAT hb=%llu mem=%llu membad=%llu disk=%llu diskbad=%llu", (unsigned long long)beats,
            (unsigned long long)pages_written, (unsigned long long)pages_bad, (unsigned long long)blocks_written,
            (unsigned long long)blocks_bad);
    else if (!strcmp(line, "poweroff"))
        end_guest(RB_POWER_OFF);
    else if (!strcmp(line, "reboot"))
        end_guest(RB_AUTOBOOT);
    else if (!strcmp(line, "crash")) {
        int trigger = open("/proc/sysrq-trigger", O_WRONLY);
        if (trigger < 0 || write(trigger, "c", 1) != 1)
            say("ECHO cannot crash");
    } else if (!strncmp(line, "sh ", 3))
        say("STATUS %d", system(line + 3));
    else if (*line)
        say("ECHO %s", line);
}

/* Takes what came on the serial line; runs each whole line. */
static void console_input(void)
{
    static char line[256];
    static size_t length;
    char chunk[64];
    ssize_t count = read(console, chunk, sizeof(chunk));
    for (ssize_t i = 0; i < count; i++) {
        if (chunk[i] == '\r' || chunk[i] == '\n') {
            line[length] = '\0';
            length = 0;
            command(line);
        } else if (length < sizeof(line) - 1) {
            line[length++] = chunk[i];
        }
    }
}

static void power_input(int input)
{
    struct input_event event;
    if (read(input, &event, sizeof(event)) == sizeof(event) && event.type == EV_KEY && event.code == KEY_POWER &&
        event.value == 1) {
        say("POWERDOWN");
        end_guest(RB_POWER_OFF);
    }
}

static void read_arguments(void)
{
    static char text[2048];
    int file = open("/proc/cmdline", O_RDONLY);
    ssize_t length = read(file, text, sizeof(text) - 1);
    close(file);
    text[length > 0 ? length : 0] = '\0';
    for (char *word = strtok(text, " \n"); word; word = strtok(NULL, " \n")) {
        sscanf(word, "hb=%d", &heartbeat_ms);
        sscanf(word, "dirty=%d", &dirty_mib);
        sscanf(word, "area=%d", &area_mib);
        sscanf(word, "disk=%d", &disk_rate);
    }
}

int main(void)
{
    console = open("/dev/ttyS0", O_RDWR | O_NOCTTY);
    struct termios raw;
    if (console >= 0 && tcgetattr(console, &raw) == 0) {
        cfmakeraw(&raw);
        cfsetspeed(&raw, B115200);
        tcsetattr(console, TCSANOW, &raw);
    }
    read_arguments();
    say("READY");

    pthread_t thread;
    if (heartbeat_ms)
        pthread_create(&thread, NULL, heartbeat, NULL);
    if (dirty_mib)
        pthread_create(&thread, NULL, dirtier, NULL);
    if (disk_rate)
        pthread_create(&thread, NULL, disk_writer, NULL);

    struct pollfd waits[1 + MAX_INPUTS] = {{.fd = console, .events = POLLIN}};
    for (int i = 0; i < MAX_INPUTS; i++) {
        char path[32];
        snprintf(path, sizeof(path), "/dev/input/event%d", i);
        waits[1 + i] = (struct pollfd){.fd = open(path, O_RDONLY), .events = POLLIN};
    }
    while (poll(waits, 1 + MAX_INPUTS, -1) > 0 || errno == EINTR) {
        if (waits[0].revents)
            console_input();
        for (int i = 1; i <= MAX_INPUTS; i++)
            if (waits[i].revents)
                power_input(waits[i].fd);
    }
    return 1;
}
