/* A relay that only reads the length: relay LISTEN_ADDRESS PORT TO_ADDRESS PORT. One way, one link, epoll.
 *
 * Whole frames (NAME SP LENGTH SP PAYLOAD LF) go on as the bytes that came, one write for each read.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROOM = 1 << 20 };

static struct sockaddr_in address(char **words) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(atoi(words[1]))};
    inet_pton(AF_INET, words[0], &a.sin_addr);
    return a;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int accept_one(char **words) {
    int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = address(words);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 1)) die("listen");
    int link = accept(fd, NULL, NULL);
    if (link < 0) die("accept");
    close(fd);
    return link;
}

static int dial(char **words) {
    struct sockaddr_in a = address(words);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&a, sizeof a)) die("connect");
    return fd;
}

static void prepare(int fd) {
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/* The bytes of whole frames among the first `have`, from `at` on. */
static size_t whole(const uint8_t *in, size_t at, size_t have) {
    for (;;) {
        const uint8_t *name = memchr(in + at, ' ', have - at);
        const uint8_t *size = name ? memchr(name + 1, ' ', in + have - name - 1) : NULL;
        if (!size) return at;
        size_t length = 0;
        for (const uint8_t *p = name + 1; p < size; p++) length = length * 10 + (*p - '0');
        size_t end = size + 1 - in + length + 1;
        if (end > have) return at;
        at = end;
    }
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    int to = dial(argv + 3), from = accept_one(argv + 1), poll = epoll_create1(0);
    prepare(from), prepare(to);
    uint8_t *in = malloc(ROOM);
    size_t have = 0, ready = 0, gone = 0;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = from}, other = {.events = 0, .data.fd = to};
    epoll_ctl(poll, EPOLL_CTL_ADD, from, &event);
    epoll_ctl(poll, EPOLL_CTL_ADD, to, &other);
    for (;;) {
        struct epoll_event got;
        if (epoll_wait(poll, &got, 1, -1) < 0 && errno != EINTR) die("epoll_wait");
        if (event.events) {
            ssize_t n = recv(from, in + have, ROOM - have, 0);
            if (n == 0) return 0;
            if (n < 0 && errno != EAGAIN) die("recv");
            have += n > 0 ? n : 0;
            ready = whole(in, ready, have);
        }
        while (gone < ready) {
            ssize_t n = send(to, in + gone, ready - gone, MSG_NOSIGNAL);
            if (n < 0 && errno == EAGAIN) break;
            if (n < 0) die("send");
            gone += n;
        }
        int is_blocked = gone < ready;
        if (!is_blocked) {
            memmove(in, in + gone, have - gone);
            have -= gone;
            gone = ready = 0;
        }
        if (is_blocked != !event.events) { /* read on, or wait until what was read is gone */
            event.events = is_blocked ? 0 : EPOLLIN;
            other.events = is_blocked ? EPOLLOUT : 0;
            epoll_ctl(poll, EPOLL_CTL_MOD, from, &event);
            epoll_ctl(poll, EPOLL_CTL_MOD, to, &other);
        }
    }
}
