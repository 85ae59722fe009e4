/* The author's and the recipient's client of every system that is measured, one thread: generator.py calls `run`.
 *
 * The author's bytes are made beforehand, messages of equal length. What comes is looked at record by record: all of
 * it must be there once, in order, whole. What the recipient answers is made from what came. Nothing here waits
 * but poll(); nothing is allocated per message. Compiled with TLS, the two may speak that: OpenSSL's, on the same
 * thread.
 */
#include "records.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#ifdef TLS
#include <openssl/ssl.h>
#endif

enum { RECEIVED = 1, ACKNOWLEDGED = 2 };
enum { ROOM = 1 << 20, PER_TURN = 32, BYTES_PER_TURN = 65536 };

/* What the recipient answers: `bytes`, with `length` bytes of the record put in. */
struct answer {
    const uint8_t *bytes;
    uint64_t size, from, length, to;
    int32_t reply; /* 1: as NATS does, to the record's own reply subject */
};

struct hop {
    int32_t author, recipient; /* sockets */
    void *author_tls, *recipient_tls; /* NULL: plain */
    struct records told, comes; /* at the author, at the recipient */
    struct answer answer;
    int32_t is_told; /* 1: the author is told of each message */
};

struct task {
    const uint8_t *stream;
    uint64_t length;               /* of one message */
    uint64_t first, total;         /* messages */
    uint64_t window, batch;        /* 0: none; as many as may go */
    int32_t until;                 /* what makes a message finished */
    double patience, limit;        /* seconds without progress; in all */
    double *latencies;             /* seconds, or NULL */
    /* results */
    double seconds, cpu;
    uint64_t received, acknowledged, wrong, aside;
};

struct end {
    int fd;
    void *tls;
    uint8_t *in;
    size_t have;
    uint8_t *out;
    size_t out_room, out_have, out_gone;
};

struct state {
    const struct hop *hop;
    struct task *task;
    struct end author, recipient;
    uint64_t sent, offset, block; /* messages handed over; bytes gone; bytes that may go in this send */
    uint8_t *seen;                /* PARLEY_ACK: which messages were acknowledged */
    double sent_at, deadline;
};

static double now(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

#ifdef TLS
static ssize_t result_of(SSL *tls, int n) {
    if (n > 0) return n;
    int error = SSL_get_error(tls, n);
    errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : EPIPE;
    return error == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

/* The dialling side of TLS 1.3 on a socket that blocks, or NULL; no certificate is looked at. */
void *tls_connect(int fd) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (!context) return NULL;
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_alpn_protos(context, (const uint8_t *)"\x08parley/1", 9);
    SSL *tls = SSL_new(context);
    SSL_CTX_free(context);
    if (tls && SSL_set_fd(tls, fd) == 1 && SSL_connect(tls) == 1) return tls;
    SSL_free(tls);
    return NULL;
}
#endif

ssize_t say(int fd, void *tls, const void *bytes, size_t size) {
#ifdef TLS
    if (tls) return result_of(tls, SSL_write(tls, bytes, (int)size));
#endif
    return tls ? -1 : send(fd, bytes, size, MSG_NOSIGNAL);
}

ssize_t hear(int fd, void *tls, void *bytes, size_t size) {
#ifdef TLS
    if (tls) return result_of(tls, SSL_read(tls, bytes, (int)size));
#endif
    return tls ? -1 : recv(fd, bytes, size, 0);
}

static int put(struct end *e, const void *bytes, size_t size) {
    if (e->out_gone == e->out_have) e->out_gone = e->out_have = 0;
    if (e->out_have + size > e->out_room) {
        size_t room = (e->out_have + size) * 2;
        uint8_t *larger = realloc(e->out, room);
        if (!larger) return -1;
        e->out = larger;
        e->out_room = room;
    }
    memcpy(e->out + e->out_have, bytes, size);
    e->out_have += size;
    return 0;
}

static int flush(struct end *e) {
    while (e->out_gone < e->out_have) {
        ssize_t n = say(e->fd, e->tls, e->out + e->out_gone, e->out_have - e->out_gone);
        if (n < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
        e->out_gone += n;
    }
    return 0;
}

static int answer(struct state *s, const uint8_t *at, const struct record *found) {
    const struct answer *a = &s->hop->answer;
    struct end *e = &s->recipient;
    if (a->reply) {
        if (!found->reply) return 0;
        if (put(e, "PUB ", 4) || put(e, found->reply, found->reply_length)) return -1;
        return put(e, " 4\r\n+ACK\r\n", 10);
    }
    if (!a->size) return 0;
    if (put(e, a->bytes, a->size)) return -1;
    memcpy(e->out + e->out_have - a->size + a->to, at + a->from, a->length);
    return 0;
}

/* A message has come to the recipient. */
static int receive(struct state *s, const uint8_t *at, const struct record *found) {
    struct task *t = s->task;
    if (s->hop->comes.number && found->number != t->first + t->received) t->wrong++;
    if (t->latencies) t->latencies[t->received] = now(CLOCK_MONOTONIC) - s->sent_at;
    t->received++;
    return answer(s, at, found);
}

/* The author was told of a message. */
static void acknowledge(struct state *s, const struct record *found) {
    struct task *t = s->task;
    if (s->hop->told.kind == PARLEY_ACK) {
        uint64_t index = found->number - t->first;
        if (index >= t->total || s->seen[index]++) t->wrong++;
    }
    t->acknowledged++;
}

/* Read once, take what is whole. Returns -1 where the link is gone. */
static int take(struct state *s, struct end *e, const struct records *r) {
    ssize_t n = hear(e->fd, e->tls, e->in + e->have, ROOM - e->have);
    if (n < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
    if (n == 0) return -1;
    e->have += n;
    size_t at = 0;
    struct record found;
    while (at < e->have) {
        look(r, e->in + at, e->have - at, &found);
        if (!found.length) break;
        if (found.counts < 0) s->task->wrong++;
        else if (found.counts == 0) s->task->aside++;
        else if (e == &s->author) acknowledge(s, &found);
        else if (s->task->received == s->task->total) s->task->wrong++;
        else if (receive(s, e->in + at, &found)) return -1;
        if (r->kind == NATS && e->in[at] == 'P' && e->in[at + 1] == 'I' && put(e, "PONG\r\n", 6)) return -1;
        at += found.length;
    }
    memmove(e->in, e->in + at, e->have - at);
    e->have -= at;
    return e->have == ROOM ? -1 : flush(e);
}

static uint64_t finished(const struct state *s, int until) {
    const struct task *t = s->task;
    uint64_t count = t->total;
    if (until & RECEIVED && t->received < count) count = t->received;
    if (until & ACKNOWLEDGED && t->acknowledged < count) count = t->acknowledged;
    return count;
}

static int may_send(const struct state *s) {
    const struct task *t = s->task;
    if (s->offset < s->block) return 1;
    return s->sent < t->total && (!t->window || s->sent - finished(s, t->until) < t->window);
}

/* Send some blocks. Returns 1 where the kernel takes no more, -1 where the link is gone. */
static int give(struct state *s) {
    struct task *t = s->task;
    size_t gone = 0;
    for (int i = 0; i < PER_TURN && gone < BYTES_PER_TURN && may_send(s); i++) {
        if (s->offset == s->block) {
            uint64_t room = t->total - s->sent;
            if (t->window && room > t->window - (s->sent - finished(s, t->until)))
                room = t->window - (s->sent - finished(s, t->until));
            uint64_t count = t->batch && t->batch < room ? t->batch : room;
            s->sent += count;
            s->block += count * t->length;
        }
        if (t->latencies) s->sent_at = now(CLOCK_MONOTONIC);
        ssize_t n = say(s->author.fd, s->author.tls, t->stream + s->offset, s->block - s->offset);
        if (n < 0) return errno == EAGAIN || errno == EINTR ? 1 : -1;
        s->offset += n;
        gone += n;
    }
    return 0;
}

/* Until messages are finished. Returns 0, -1 (a link is gone), -2 (nothing comes any more), -3 (too late). */
static int turn_until(struct state *s, int until) {
    struct task *t = s->task;
    uint64_t last = 0;
    double since = now(CLOCK_MONOTONIC);
    int is_full = 0;
    while (finished(s, until) < t->total) {
        int wants = may_send(s);
        if (wants && !is_full && (is_full = give(s)) < 0) return -1;
        wants = may_send(s);
        struct pollfd fds[2] = {
            {s->recipient.fd, POLLIN | (s->recipient.out_gone < s->recipient.out_have ? POLLOUT : 0), 0},
            {s->author.fd, POLLIN | (wants && is_full ? POLLOUT : 0), 0},
        };
        int n = poll(fds, 2, wants && !is_full ? 0 : 200);
        if (n < 0 && errno != EINTR) return -1;
        if (now(CLOCK_MONOTONIC) > s->deadline) return -3;
        if (n > 0) {
            if (fds[0].revents & POLLOUT && flush(&s->recipient)) return -1;
            if (fds[0].revents & (POLLIN | POLLHUP | POLLERR) && take(s, &s->recipient, &s->hop->comes)) return -1;
            if (fds[1].revents & POLLOUT) is_full = 0;
            if (fds[1].revents & (POLLIN | POLLHUP | POLLERR) && take(s, &s->author, &s->hop->told)) return -1;
        }
        uint64_t progress = t->received + t->acknowledged + s->offset;
        if (n > 0 && progress != last) {
            last = progress;
            since = 0;
        } else if (n == 0 && !wants) {
            if (!since) since = now(CLOCK_MONOTONIC);
            if (now(CLOCK_MONOTONIC) - since > t->patience) return -2;
        }
    }
    return 0;
}

static int prepare(struct state *s) {
    s->author.in = malloc(ROOM);
    s->recipient.in = malloc(ROOM);
    s->seen = calloc(1, s->task->total);
    return s->author.in && s->recipient.in && s->seen ? 0 : -1;
}

/* The messages of a task, and all that belongs to them. */
int run(const struct hop *hop, struct task *task) {
    struct state s = {.hop = hop, .task = task, .author.fd = hop->author, .recipient.fd = hop->recipient};
    s.author.tls = hop->author_tls, s.recipient.tls = hop->recipient_tls;
    int result = prepare(&s);
    if (result == 0) {
        s.deadline = now(CLOCK_MONOTONIC) + task->limit;
        double began = now(CLOCK_MONOTONIC), cpu = now(CLOCK_THREAD_CPUTIME_ID);
        result = turn_until(&s, task->until);
        task->seconds = now(CLOCK_MONOTONIC) - began;
        task->cpu = now(CLOCK_THREAD_CPUTIME_ID) - cpu;
        if (result == 0) result = turn_until(&s, RECEIVED | (hop->is_told ? ACKNOWLEDGED : 0));
        while (result == 0 && s.recipient.out_gone < s.recipient.out_have) {
            struct pollfd fd = {s.recipient.fd, POLLOUT, 0};
            if (poll(&fd, 1, 1000) <= 0 || flush(&s.recipient)) result = -1;
        }
    }
    free(s.author.in), free(s.author.out);
    free(s.recipient.in), free(s.recipient.out);
    free(s.seen);
    return result;
}
