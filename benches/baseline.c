/*
 * The baseline: the least that a relay can do. It has no options, no name resolution and no proxy
 * support, only the loop at the core of every relay. The benchmark compares it with full relays to
 * show what everything else costs.
 *
 *   baseline splice HOST PORT         relays between stdin and stdout (pipes) and a socket, with
 *                                     poll and splice
 *   baseline copy   HOST PORT SIZE    does the same with read and write, and buffers of SIZE bytes
 *   baseline listen HOST PORT LOCAL   relays between the first client of port LOCAL and a socket,
 *                                     with splice through two pipes; prints the port (0 selects a
 *                                     free one)
 *
 * The pipe sizes below take the least CPU time. Medians of 5 runs, in CPU seconds per GiB, with
 * everything on one core (AMD EPYC 9005, Linux 6.18):
 *   pipe size in KiB       64   128   256   512  1024
 *   to standard output   0.31  0.27  0.22  0.16  0.08
 *   from standard input  0.21  0.10  0.08  0.19  0.38   (in large pipes, data leaves the cache)
 *   between sockets      0.38  0.32  0.28  0.22  0.19
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STDIN_PIPE = 256 << 10, STDOUT_PIPE = 1 << 20, INNER_PIPE = 1 << 20, CHUNK = 1 << 20 };

/* One direction of a relay. Waits until `from` is readable (POLLIN) or `to` is writable (POLLOUT). */
struct flow {
    int from, to;
    int wants;    /* the event to wait for; 0 after EOF */
    int inner[2]; /* the pipe between two sockets; unused if one end is a pipe itself */
    char *buffer; /* for copies */
    size_t size;  /* of the buffer */
    size_t held, done; /* bytes in the inner pipe or the buffer, and how many of them are already sent */
};

static void die(const char *what) {
    perror(what);
    exit(1);
}

static ssize_t move(int from, int to, size_t size) {
    return splice(from, NULL, to, NULL, size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
}

static ssize_t fill(struct flow *flow) {
    return flow->buffer ? read(flow->from, flow->buffer, flow->size) : move(flow->from, flow->inner[1], CHUNK);
}

static ssize_t drain(struct flow *flow) {
    return flow->buffer ? write(flow->to, flow->buffer + flow->done, flow->held - flow->done)
                        : move(flow->inner[0], flow->to, flow->held - flow->done);
}

/* Passes EOF on. Called once all data has been delivered. */
static void end(struct flow *flow) {
    flow->wants = 0;
    if (shutdown(flow->to, SHUT_WR) < 0) close(flow->to);
}

static int later(ssize_t moved, const char *what) {
    if (moved < 0 && errno != EAGAIN) die(what);
    return moved < 0;
}

/*
 * Splices directly, which works because one end is a pipe. After EAGAIN, waits for the other end,
 * because poll reported this one as ready.
 */
static void advance_directly(struct flow *flow) {
    ssize_t moved = move(flow->from, flow->to, CHUNK);
    if (later(moved, "splice")) flow->wants = flow->wants == POLLIN ? POLLOUT : POLLIN;
    else if (moved == 0) end(flow);
}

/* Moves data through an inner pipe or a buffer, which is refilled only when it is empty. */
static void advance_in_two_steps(struct flow *flow) {
    if (flow->wants == POLLIN) {
        ssize_t filled = fill(flow);
        if (later(filled, "read")) return;
        if (filled == 0) return end(flow);
        flow->held = filled;
        flow->done = 0;
    }
    while (flow->done < flow->held) {
        ssize_t drained = drain(flow);
        flow->wants = POLLOUT;
        if (later(drained, "write")) return;
        flow->done += drained;
    }
    flow->wants = POLLIN;
}

/* Relays until `down` has ended or, if `both` is set, until both directions have. */
static void relay(struct flow *up, struct flow *down, int both) {
    struct flow *flows[2] = {up, down};
    while (down->wants || (both && up->wants)) {
        struct pollfd polls[2];
        for (int i = 0; i < 2; i++) {
            struct flow *flow = flows[i];
            polls[i].fd = flow->wants == 0 ? -1 : flow->wants == POLLIN ? flow->from : flow->to;
            polls[i].events = flow->wants;
        }
        if (poll(polls, 2, -1) < 0) die("poll");
        for (int i = 0; i < 2; i++) {
            if (!polls[i].revents || !flows[i]->wants) continue;
            if (flows[i]->buffer || flows[i]->inner[1]) advance_in_two_steps(flows[i]);
            else advance_directly(flows[i]);
        }
    }
}

static struct sockaddr_in address(const char *host, const char *port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1) die(host);
    return address;
}

static int ready(int socket) {
    int on = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(socket, F_SETFL, O_NONBLOCK);
    return socket;
}

static int dial(const char *host, const char *port) {
    struct sockaddr_in to = address(host, port);
    int remote = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(remote, (struct sockaddr *)&to, sizeof to) < 0) die("connect");
    return ready(remote);
}

static int client_of(const char *port) {
    struct sockaddr_in at = address("127.0.0.1", port);
    socklen_t size = sizeof at;
    int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&at, size) < 0 || listen(listener, 1) < 0) die("listen");
    getsockname(listener, (struct sockaddr *)&at, &size);
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    int client = accept(listener, NULL, NULL);
    if (client < 0) die("accept");
    close(listener);
    return ready(client);
}

static void resize(int pipe, int size) {
    /* EPERM: this would exceed the user's limit on pipe pages. The pipe keeps its size. */
    if (fcntl(pipe, F_SETPIPE_SZ, size) < 0 && errno != EPERM) die("F_SETPIPE_SZ");
}

int main(int argc, char **argv) {
    if (argc < 4) return 2;
    const char *mode = argv[1];
    int listens = !strcmp(mode, "listen");
    struct flow up = {.from = 0, .wants = POLLIN}, down = {.to = 1, .wants = POLLIN};
    signal(SIGPIPE, SIG_IGN);
    if (listens) {
        up.from = down.to = client_of(argv[4]);
        if (pipe(up.inner) < 0 || pipe(down.inner) < 0) die("pipe");
        resize(up.inner[1], INNER_PIPE);
        resize(down.inner[1], INNER_PIPE);
    } else if (!strcmp(mode, "copy")) {
        up.size = down.size = atol(argv[4]);
        up.buffer = malloc(up.size);
        down.buffer = malloc(down.size);
    } else {
        resize(0, STDIN_PIPE);
        resize(1, STDOUT_PIPE);
    }
    up.to = down.from = dial(argv[2], argv[3]);
    relay(&up, &down, listens);
    return 0;
}
