/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A client that costs next to nothing, so that what is measured is the daemon.
 *
 *   client SOCKET info DOMAIN CLIENTS SECONDS   CLIENTS processes ask domain-info, call after call: calls answered
 *   client SOCKET list COUNT                    asks for all domains COUNT times: milliseconds of each, one a line
 *   client SOCKET dumpxml DOMAIN COUNT          asks for its XML COUNT times: likewise
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PROGRAM = 0x20008086 };
enum {
    CONNECT_OPEN = 1,
    DOMAIN_GET_XML_DESC = 14,
    DOMAIN_GET_INFO = 16,
    DOMAIN_LOOKUP_BY_NAME = 23,
    AUTH_LIST = 66,
    LIST_ALL_DOMAINS = 273,
};

struct message {
    uint32_t words[7];      /* length, program, version, procedure, type, serial, status */
    size_t body_length;
    unsigned char body[1 << 20];
};

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void add_u32(struct message *call, uint32_t value)
{
    value = htonl(value);
    memcpy(call->body + call->body_length, &value, 4);
    call->body_length += 4;
}

static void add_string(struct message *call, const char *text)
{
    size_t length = strlen(text);
    add_u32(call, length);
    memset(call->body + call->body_length, 0, (length + 3) & ~3ul);
    memcpy(call->body + call->body_length, text, length);
    call->body_length += (length + 3) & ~3ul;
}

static void read_all(int server, void *data, size_t length)
{
    for (ssize_t count; length > 0; data = (char *)data + count, length -= count)
        if ((count = read(server, data, length)) <= 0)
            fail("read");
}

/* Sends the call and leaves the reply's body in it. */
static void round_trip(int server, uint32_t procedure, struct message *call)
{
    static uint32_t serial;
    uint32_t words[7] = {28 + call->body_length, PROGRAM, 1, procedure, 0, serial++, 0};
    unsigned char out[sizeof(words) + 4096];
    for (int i = 0; i < 7; i++)
        words[i] = htonl(words[i]);
    memcpy(out, words, 28);
    memcpy(out + 28, call->body, call->body_length);
    if (write(server, out, 28 + call->body_length) != (ssize_t)(28 + call->body_length))
        fail("write");
    read_all(server, call->words, 28);
    call->body_length = ntohl(call->words[0]) - 28;
    if (call->body_length > sizeof(call->body) || ntohl(call->words[6]) != 0) {
        fprintf(stderr, "procedure %u failed\n", procedure);
        exit(1);
    }
    read_all(server, call->body, call->body_length);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static struct message call;

static int open_connection(const char *path)
{
    int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (connect(server, (struct sockaddr *)&address, sizeof(address)) < 0)
        fail(path);
    call.body_length = 0;
    round_trip(server, AUTH_LIST, &call);
    call.body_length = 0;
    add_u32(&call, 1);
    add_string(&call, "qemu:///system");
    add_u32(&call, 0);
    round_trip(server, CONNECT_OPEN, &call);
    return server;
}

/* The domain as the protocol names it, ready to be an argument; returns its length. */
static size_t look_up(int server, const char *name, unsigned char domain[512])
{
    call.body_length = 0;
    add_string(&call, name);
    round_trip(server, DOMAIN_LOOKUP_BY_NAME, &call);
    memcpy(domain, call.body, call.body_length);
    return call.body_length;
}

static long ask_info(const char *path, const char *name, double seconds)
{
    int server = open_connection(path);
    unsigned char domain[512];
    size_t length = look_up(server, name, domain);
    long calls = 0;
    for (double end = now() + seconds; now() < end; calls++) {
        memcpy(call.body, domain, length);
        call.body_length = length;
        round_trip(server, DOMAIN_GET_INFO, &call);
    }
    return calls;
}

static int ask_list(const char *path, int count)
{
    int server = open_connection(path);
    while (count-- > 0) {
        double start = now();
        call.body_length = 0;
        add_u32(&call, 1);
        add_u32(&call, 0);
        round_trip(server, LIST_ALL_DOMAINS, &call);
        printf("%.4f\n", (now() - start) * 1000);
    }
    return 0;
}

static int ask_xml(const char *path, const char *name, int count)
{
    int server = open_connection(path);
    unsigned char domain[512];
    size_t length = look_up(server, name, domain);
    while (count-- > 0) {
        double start = now();
        memcpy(call.body, domain, length);
        call.body_length = length;
        add_u32(&call, 0);
        round_trip(server, DOMAIN_GET_XML_DESC, &call);
        printf("%.4f\n", (now() - start) * 1000);
    }
    return 0;
}

static int ask_in_parallel(const char *path, const char *name, int clients, double seconds)
{
    int results[2];
    if (pipe(results) < 0)
        fail("pipe");
    for (int i = 0; i < clients; i++) {
        if (fork() == 0) {
            long calls = ask_info(path, name, seconds);
            return write(results[1], &calls, sizeof(calls)) != sizeof(calls);
        }
    }
    long total = 0, calls;
    int failed = 0;
    for (int i = 0, status; i < clients; i++)
        if (wait(&status) < 0 || status != 0)
            failed++;
    for (int i = failed; i < clients; i++)
        if (read(results[0], &calls, sizeof(calls)) == sizeof(calls))
            total += calls;
    printf("%ld\n", total);
    return failed > 0;
}

int main(int argc, char **argv)
{
    if (argc == 6 && !strcmp(argv[2], "info"))
        return ask_in_parallel(argv[1], argv[3], atoi(argv[4]), atof(argv[5]));
    if (argc == 4 && !strcmp(argv[2], "list"))
        return ask_list(argv[1], atoi(argv[3]));
    if (argc == 5 && !strcmp(argv[2], "dumpxml"))
        return ask_xml(argv[1], argv[3], atoi(argv[4]));
    fprintf(stderr, "usage: client SOCKET info DOMAIN CLIENTS SECONDS | client SOCKET list COUNT | "
                    "client SOCKET dumpxml DOMAIN COUNT\n");
    return 2;
}
