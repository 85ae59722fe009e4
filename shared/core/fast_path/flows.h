/* What the fast path knows of destinations, and of who writes to whom. */
#ifndef PARLEY_FAST_PATH_FLOWS_H
#define PARLEY_FAST_PATH_FLOWS_H

#include "deduplication/keys.h"
#include "fast_path/python_side.h"
#include "fast_path/simple_frames.h"

enum { ANSWERS = 3 };

typedef struct Envelope Envelope;
typedef struct Flow Flow;

/* A user of this server or another server: as a source, as a destination, as whom statuses are for. */
typedef struct {
    PyObject_HEAD
    PyObject *destination;
    PyObject *flows; /* as a source: what stands before the content of its messages → Flow */
    Flow *last;
    InFlightTable *in_flight; /* as a destination: what the dispatcher has in flight there; NULL: it is none yet */
    int64_t trust; /* how often it answered since something was handed over that it had not answered */
    int is_gone;   /* it has left the table, where another may have come in its place: flows to it hold no more */
    Envelope *oldest, *newest; /* what is in flight to it, in order */
    Py_ssize_t count;
    int64_t size;
    /* In this call: */
    uint64_t links_checked, reply_links_checked;
    PyObject *links, *reply_links; /* its links that may be written to; all its links. Empty or NULL: not now */
    int64_t left, bytes_left;
    Run messages, statuses;
} Party;

/* What one author writes to one recipient, from one source. */
struct Flow {
    PyObject_HEAD
    Party *to, *reply_to;
    PyObject *author, *recipient, *head, *origin;
    PyObject *tail;             /* of the status that says DELIVERED, behind its number */
    PyObject *answers[ANSWERS]; /* the same of acknowledgements that say so; NULL: no other is known */
    MessageKey pair;            /* its messages' keys have in common */
    int is_local;
    Envelope *oldest, *newest; /* what is in flight of it, in order */
    Py_ssize_t count;
    uint64_t looked_for;       /* the last call in which the dispatcher had none of it in flight */
};

extern PyTypeObject PartyType;
extern PyTypeObject FlowType;

Party *party_new(PyObject *destination);
Flow *flow_new(PyObject *author, PyObject *recipient, Party *to, Party *reply_to);
Flow *flow_of(Party *source, const char *head, Py_ssize_t length);

#endif
