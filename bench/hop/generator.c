/* The author's and the recipient's client of every system that is measured, one thread: generator.py calls `run`.
 *
 * The author's bytes are made beforehand, messages of equal length. What comes is looked at record by record: all of
 * it must be there once, in order, whole. What the recipient answers is made from what came. Nothing here waits
 * but poll(); nothing is allocated per message.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { FIXED, DELIMITED, NATS, PARLEY_ACK };
enum { RECEIVED = 1, ACKNOWLEDGED = 2 };
enum { DIGITS = 8, ROOM = 1 << 20, PER_TURN = 32, BYTES_PER_TURN = 65536 };

/* How one end's records look. */
struct records {
    int32_t kind;
    int32_t number; /* 1: a text begins with its message's number, and goes on with `fill` */
    const uint8_t *pattern, *mask; /* FIXED: (byte ^ pattern) & mask is 0 */
    uint64_t length, offset;       /* FIXED: of the record, and where the text is */
    const uint8_t *marker, *end;   /* DELIMITED: what stands before the text, and ends the record */
    uint64_t marker_length, end_length;
    const uint8_t *fill;
    uint64_t fill_length;
    uint64_t first; /* PARLEY_ACK: the snowflake of message 0 */
};

/* What the recipient answers: `bytes`, with `length` bytes of the record put in. */
struct answer {
    const uint8_t *bytes;
    uint64_t size, from, length, to;
    int32_t reply; /* 1: as NATS does, to the record's own reply subject */
};

struct hop {
    int32_t author, recipient; /* sockets */
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
    double patience;               /* seconds without progress */
    double *latencies;             /* seconds, or NULL */
    /* results */
    double seconds, cpu;
    uint64_t received, acknowledged, wrong, aside;
};

struct end {
    int fd;
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
    double sent_at;
};

/* What a look at the bytes found. */
struct record {
    size_t length;  /* 0: not whole yet */
    int counts;     /* 1: it is one of the messages, 0: another thing, -1: wrong */
    uint64_t number;
    const uint8_t *reply;
    size_t reply_length;
};

static double now(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
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
        ssize_t n = send(e->fd, e->out + e->out_gone, e->out_have - e->out_gone, MSG_NOSIGNAL);
        if (n < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
        e->out_gone += n;
    }
    return 0;
}

static void read_text(const struct records *r, const uint8_t *text, size_t length, struct record *found) {
    found->counts = 1;
    if (!r->number) return;
    if (length < DIGITS + r->fill_length || memcmp(text + DIGITS, r->fill, r->fill_length)) {
        found->counts = -1;
        return;
    }
    found->number = 0;
    for (int i = 0; i < DIGITS; i++) {
        if (text[i] < '0' || text[i] > '9') found->counts = -1;
        found->number = found->number * 10 + (text[i] - '0');
    }
}

static void look_fixed(const struct records *r, const uint8_t *at, size_t left, struct record *found) {
    if (left < r->length) return;
    uint8_t differs = 0;
    for (size_t i = 0; i < r->length; i++) differs |= (at[i] ^ r->pattern[i]) & r->mask[i];
    read_text(r, at + r->offset, r->length - r->offset, found);
    if (differs) found->counts = -1;
    found->length = r->length;
}

static void look_delimited(const struct records *r, const uint8_t *at, size_t left, struct record *found) {
    const uint8_t *end = memmem(at, left, r->end, r->end_length);
    if (!end) return;
    const uint8_t *text = memmem(at, end - at, r->marker, r->marker_length);
    found->counts = 0;
    found->length = end - at + r->end_length;
    if (text) read_text(r, text + r->marker_length, end - text - r->marker_length, found);
}

/* MSG subject sid [reply] size CRLF payload CRLF, or another line. */
static void look_nats(const struct records *r, const uint8_t *at, size_t left, struct record *found) {
    const uint8_t *line_end = memchr(at, '\n', left);
    if (!line_end) return;
    size_t line = line_end - at + 1;
    if (line < 6 || memcmp(at, "MSG ", 4)) {
        found->length = line;
        found->counts = at[0] == '-' ? -1 : 0;
        return;
    }
    const uint8_t *words[5];
    size_t count = 0;
    for (const uint8_t *p = at; p < line_end && count < 5; p++)
        if (p == at || p[-1] == ' ') words[count++] = p;
    uint64_t size = 0;
    for (const uint8_t *p = words[count - 1]; *p >= '0' && *p <= '9'; p++) size = size * 10 + (*p - '0');
    if (left < line + size + 2) return;
    if (count == 5) {
        found->reply = words[3];
        found->reply_length = words[4] - 1 - words[3];
    }
    found->length = line + size + 2;
    const uint8_t *text = at + line;
    read_text(r, text, size, found);
    if (r->marker_length && (size < r->marker_length || memcmp(text, r->marker, r->marker_length)))
        found->counts = -1;
}

/* MESSAGE_ACK of one snowflake; its last two bytes are the status. */
static void look_ack(const struct records *r, const uint8_t *at, size_t left, struct record *found) {
    const uint8_t *name_end = memchr(at, ' ', left);
    if (!name_end) return;
    const uint8_t *size_end = memchr(name_end + 1, ' ', at + left - name_end - 1);
    if (!size_end) return;
    size_t size = strtoul((const char *)name_end + 1, NULL, 10), header = size_end + 1 - at;
    if (left < header + size + 1) return;
    found->length = header + size + 1;
    found->counts = 0;
    if (name_end - at != 11 || memcmp(at, "MESSAGE_ACK", 11)) return;
    const uint8_t *p = at + header, *end = p + size;
    uint64_t snowflake = 0;
    int shift = 0;
    p++;
    do snowflake |= (uint64_t)(*p & 0x7f) << shift, shift += 7;
    while (*p++ & 0x80 && p < end);
    found->number = snowflake - r->first;
    if (end[-2] == 0x10 && end[-1] == 1) found->counts = 1;                        /* DELIVERED */
    else if (!(end[-2] == 0x10 && (end[-1] == 3 || end[-1] == 5))) found->counts = -1; /* not USER_AWAY, …_TIMEOUT */
}

static void look(const struct records *r, const uint8_t *at, size_t left, struct record *found) {
    memset(found, 0, sizeof *found);
    switch (r->kind) {
    case FIXED: look_fixed(r, at, left, found); break;
    case DELIMITED: look_delimited(r, at, left, found); break;
    case NATS: look_nats(r, at, left, found); break;
    default: look_ack(r, at, left, found);
    }
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
    ssize_t n = recv(e->fd, e->in + e->have, ROOM - e->have, 0);
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
        ssize_t n = send(s->author.fd, t->stream + s->offset, s->block - s->offset, MSG_NOSIGNAL);
        if (n < 0) return errno == EAGAIN || errno == EINTR ? 1 : -1;
        s->offset += n;
        gone += n;
    }
    return 0;
}

/* Until messages are finished. Returns 0, -1 (a link is gone), -2 (nothing comes any more). */
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
    int result = prepare(&s);
    if (result == 0) {
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
