/* Plays the clients of a benchmark, so cheaply that the server is what is measured.
 *
 *     load echo PORT PATH CONNECTIONS DEPTH OCTETS text|binary WARMUP SECONDS
 *     load broadcast PORT PATH LISTENERS 1 OCTETS text|binary WARMUP SECONDS
 *
 * echo: each connection keeps sending blocks of DEPTH messages, the next one when all of the last
 * are answered. broadcast: one more connection sends, and sends again when all others have the
 * message.
 *
 * Says "warm" on a line once WARMUP seconds have passed, and SECONDS later one line of JSON with
 * the messages received since, and how long that took. Linux only. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHUNK 65536
#define READY 256

typedef struct {
    unsigned char *octets;
    size_t size;
} block;

typedef struct {
    int fd;
    int is_waiting_for_room;
    unsigned char header[10];
    size_t header_size; /* octets of it that have come */
    int has_header;
    uint64_t payload_left; /* of the frame under way */
    uint64_t offset; /* in its payload */
    int is_checked; /* the first answer was what it had to be */
    int awaited;    /* answers until the next block leaves */
    size_t written; /* of the block that is leaving */
} connection;

static block sent;
static int awaited_per_block;
static const unsigned char *expected; /* the payload of every answer */
static uint64_t expected_size;

static connection *connections;
static int connection_count;
static int sender = -1; /* the one that sends a broadcast */
static int still_waiting;
static uint64_t messages;
static int poller;

static void
fail(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, errno ? strerror(errno) : "not as expected");
    exit(1);
}

static double
now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void *
allocate(size_t size)
{
    void *memory = calloc(1, size ? size : 1);

    if (memory == NULL)
        fail("memory");
    return memory;
}

/* --- what is sent -------------------------------------------------------------------------- */

static size_t
put_header(unsigned char *target, int is_text, uint64_t size)
{
    int extra = size < 126 ? 0 : size < 0x10000 ? 2 : 8;
    int i;

    target[0] = is_text ? 0x81 : 0x82;
    target[1] = (unsigned char)(0x80 | (extra == 0 ? size : extra == 2 ? 126 : 127));
    for (i = 0; i < extra; i++)
        target[2 + i] = (unsigned char)(size >> 8 * (extra - 1 - i));
    return 2 + (size_t)extra;
}

static void
make_block(int depth, uint64_t size, int is_text)
{
    static const unsigned char key[4] = {0x37, 0xfa, 0x21, 0x3d};
    unsigned char *payload = allocate(size);
    unsigned char *octets = allocate((size_t)depth * (size + 14));
    size_t at = 0;
    uint64_t i;

    for (i = 0; i < size; i++)
        payload[i] = (unsigned char)('a' + i % 23);
    while (depth-- > 0) {
        at += put_header(octets + at, is_text, size);
        memcpy(octets + at, key, 4);
        at += 4;
        for (i = 0; i < size; i++)
            octets[at++] = payload[i] ^ key[i & 3];
    }
    sent = (block){octets, at};
    expected = payload;
    expected_size = size;
}

/* --- opening ---------------------------------------------------------------------------------- */

static void
shake_hands(int fd, const char *path)
{
    char text[4096];
    size_t size = 0;
    int length = snprintf(text, sizeof text,
                          "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
                          "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                          path);

    if (write(fd, text, (size_t)length) != length)
        fail("request");
    /* Octet by octet: what follows the head is no longer HTTP. */
    while (size < 4 || memcmp(text + size - 4, "\r\n\r\n", 4) != 0)
        if (size == sizeof text || read(fd, text + size++, 1) != 1)
            fail("answer");
    errno = 0;
    if (memcmp(text, "HTTP/1.1 101", 12) != 0)
        fail("status");
}

static void
open_connection(connection *one, int port, const char *path)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct epoll_event interest = {.events = EPOLLIN, .data.ptr = one};
    int yes = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    one->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(one->fd, (struct sockaddr *)&address, sizeof address) < 0)
        fail("connect");
    setsockopt(one->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    shake_hands(one->fd, path);
    if (epoll_ctl(poller, EPOLL_CTL_ADD, one->fd, &interest) < 0)
        fail("epoll");
}

/* --- sending ---------------------------------------------------------------------------------- */

static void
wait_for_room(connection *one, int is_wanted)
{
    struct epoll_event interest = {.events = EPOLLIN | (is_wanted ? EPOLLOUT : 0),
                                   .data.ptr = one};

    if (one->is_waiting_for_room == is_wanted)
        return;
    one->is_waiting_for_room = is_wanted;
    epoll_ctl(poller, EPOLL_CTL_MOD, one->fd, &interest);
}

static void
write_rest(connection *one)
{
    ssize_t count;

    while (one->written < sent.size) {
        count = send(one->fd, sent.octets + one->written, sent.size - one->written,
                     MSG_DONTWAIT | MSG_NOSIGNAL);
        if (count < 0 && errno != EAGAIN)
            fail("send");
        if (count < 0)
            break;
        one->written += (size_t)count;
    }
    wait_for_room(one, one->written < sent.size);
}

static void
send_block(connection *one)
{
    one->written = 0;
    one->awaited = awaited_per_block;
    write_rest(one);
}

static void
begin_broadcast(void)
{
    still_waiting = connection_count - 1;
    send_block(&connections[sender]);
}

/* --- receiving -------------------------------------------------------------------------------- */

static void
count_message(connection *one)
{
    messages++;
    one->is_checked = 1;
    if (sender >= 0) {
        if (one != &connections[sender] && --still_waiting == 0)
            begin_broadcast();
    } else if (--one->awaited == 0) {
        send_block(one);
    }
}

static size_t
take_header(connection *one, const unsigned char *octets, size_t size)
{
    size_t taken = 0, needed = 2, i;
    int code;

    while (one->header_size < needed) {
        if (taken == size)
            return taken;
        one->header[one->header_size++] = octets[taken++];
        code = one->header_size > 1 ? one->header[1] & 0x7f : 0;
        needed = code == 127 ? 10 : code == 126 ? 4 : 2;
    }
    one->payload_left = needed == 2 ? one->header[1] & 0x7f : 0;
    for (i = 2; i < needed; i++)
        one->payload_left = one->payload_left << 8 | one->header[i];
    if (one->header[1] & 0x80) {
        /* A bare loop sends frames back as they came, with their key. */
        one->payload_left += 4;
        one->is_checked = 1;
    }
    one->offset = 0;
    one->has_header = 1;
    errno = 0;
    if ((one->header[0] & 0x0f) == 8)
        fail("the server closed");
    return taken;
}

static void
check_payload(const connection *one, const unsigned char *octets, size_t size)
{
    errno = 0;
    if (one->offset + size > expected_size || memcmp(octets, expected + one->offset, size) != 0)
        fail("answer");
}

static size_t
take_payload(connection *one, const unsigned char *octets, size_t size)
{
    size_t part = one->payload_left < size ? (size_t)one->payload_left : size;

    if (!one->is_checked)
        check_payload(one, octets, part);
    one->payload_left -= part;
    one->offset += part;
    return part;
}

static void
take(connection *one, const unsigned char *octets, size_t size)
{
    size_t part;

    while (size > 0) {
        part = one->has_header ? take_payload(one, octets, size) : take_header(one, octets, size);
        octets += part;
        size -= part;
        if (!one->has_header || one->payload_left > 0)
            continue;
        one->has_header = 0;
        one->header_size = 0;
        /* A message ends with a final frame that is no control frame. */
        if ((one->header[0] & 0x88) == 0x80)
            count_message(one);
    }
}

static void
receive(connection *one)
{
    static unsigned char octets[CHUNK];
    ssize_t count = recv(one->fd, octets, sizeof octets, MSG_DONTWAIT);

    if (count < 0 && errno == EAGAIN)
        return;
    if (count == 0)
        errno = 0;
    if (count <= 0)
        fail("recv");
    take(one, octets, (size_t)count);
}

/* --- the course of a run ---------------------------------------------------------------------- */

static void
run_until(double end)
{
    struct epoll_event ready[READY];
    connection *one;
    int count, i;

    while (now() < end) {
        count = epoll_wait(poller, ready, READY, 100);
        for (i = 0; i < count; i++) {
            one = ready[i].data.ptr;
            if (ready[i].events & EPOLLOUT)
                write_rest(one);
            if (ready[i].events & ~(uint32_t)EPOLLOUT)
                receive(one);
        }
    }
}

static void
run(double warmup, double seconds)
{
    double begin;
    int i;

    for (i = 0; sender < 0 && i < connection_count; i++)
        send_block(&connections[i]);
    if (sender >= 0)
        begin_broadcast();
    run_until(now() + warmup);
    messages = 0;
    puts("warm");
    fflush(stdout);
    begin = now();
    run_until(begin + seconds);
    printf("{\"messages\": %" PRIu64 ", \"seconds\": %.6f}\n", messages, now() - begin);
    fflush(stdout);
}

static void
open_all(int count, int port, const char *path)
{
    int i;

    poller = epoll_create1(0);
    connections = allocate((size_t)count * sizeof *connections);
    for (i = 0; i < count; i++)
        open_connection(&connections[i], port, path);
    connection_count = count;
}

int
main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    int is_broadcast = strcmp(mode, "broadcast") == 0;

    if (argc != 10 || !(is_broadcast || strcmp(mode, "echo") == 0)) {
        fputs("load: see the head of load.c for its arguments\n", stderr);
        return 2;
    }
    awaited_per_block = atoi(argv[5]);
    make_block(awaited_per_block, strtoull(argv[6], NULL, 10), strcmp(argv[7], "text") == 0);
    open_all(atoi(argv[4]) + is_broadcast, atoi(argv[2]), argv[3]);
    if (is_broadcast)
        sender = connection_count - 1;
    run(atof(argv[8]), atof(argv[9]));
    return 0;
}
