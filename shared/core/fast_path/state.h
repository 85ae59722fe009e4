/* The fast path's own state. */
#ifndef PARLEY_FAST_PATH_STATE_H
#define PARLEY_FAST_PATH_STATE_H

#include "deduplication/recent.h"
#include "deduplication/stored.h"
#include "fast_path/flows.h"
#include "io/frame_taker.h"

/* Of a call of `route`. */
enum { IDLE, SENDING, TAKING };

/* Deliveries of one call that are alike. */
typedef struct {
    int is_local;
    double arrived;
    Py_ssize_t count;
} DeliveryRun;

/* What it was made with, and is not to be otherwise: fast_path.py says what each is. */
typedef struct {
    long long most, most_bytes, most_produced, first_window, largest;
    Py_ssize_t most_unconfirmed, looked_at, of_author;
    int patience, delivered;
} FastPathLimits;

/* What was delivered, for the archive: into a segment of its journal, which Python gives and reads. */
typedef struct {
    Py_buffer segment; /* `buf` is NULL: there is none */
    Py_ssize_t unannounced, dropped;
    int is_announced;
} Collected;

/* A message in flight. */
struct Envelope {
    Flow *flow;
    PyObject *buffer, *links; /* the bytes that it came in; the links that it is on */
    Py_ssize_t start, end;
    MessageKey key;
    uint64_t snowflake, id;
    double sent;               /* when it came and went: in the same call */
    Envelope *before, *after;  /* to the same destination */
    Envelope *ahead, *behind;  /* of the same flow */
    Envelope *older, *younger; /* of all */
    Envelope *chain;
};

typedef struct {
    FrameTaker taker;
    ChatState *chat;
    RecentMessages *recent;
    PyObject *delivered, *arm;
    PyObject *collect;       /* hears that `collected` has something; None: nothing is collected */
    PyObject *collect_room;  /* gives another segment, with room for so many bytes, by `collect_into`; or does not */
    PyObject *counted;       /* author → a dict of unanswered messages elsewhere, of those whose the dispatcher counts */
    FastPathLimits limits;
    MessageKey *multipliers; /* of messages' keys */
    PyObject *parties;       /* destination → Party */
    Envelope **table, *spare, *oldest, *youngest;
    Py_ssize_t buckets, count;
    int64_t size;
    double next_look;
    /* In this call: */
    uint64_t call;
    int64_t left, bytes_left, produced;
    double now;
    Party **touched;
    Py_ssize_t touched_count, touched_room;
    StoredLookup stored;
    DeliveryRun run;
    int stage;
    Collected collected;
    char is_armed, is_closed;
} FastPath;

/* Whether a call of `route` has not left that stage: what it stands on may not change meanwhile. With an error. */
static inline int fast_path_is_in(const FastPath *self, int stage)
{
    if (self->stage < stage)
        return 0;
    PyErr_SetString(PyExc_RuntimeError, "the fast path is in the midst of a batch");
    return 1;
}

#endif
