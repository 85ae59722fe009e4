/* What the quick way knows of destinations and of who writes to whom. */
#ifndef PARLEY_FLOWS_H
#define PARLEY_FLOWS_H

#include "core.h"

enum { ANSWERS = 3 };

typedef struct Item Item;
typedef struct Flow Flow;

/* What is gathered for one destination in one call: frames of one name. */
typedef struct {
    char *bytes;
    Py_ssize_t length, room, count;
} Run;

/* A user of this server or another server: as a source, as who is to get messages, as who hears statuses. */
typedef struct {
    PyObject_HEAD
    PyObject *destination;
    PyObject *flows; /* as a source: what stands before the content of its messages → Flow */
    Flow *last;
    PyObject *outbound, *items, *numbers; /* its Outbound: what is on its way to it the other way */
    int64_t window, quick_window, window_bytes;
    double answered; /* when it answered last */
    int64_t trust;   /* how often it answered since something was handed over that it had not answered */
    int is_gone;     /* it has left the table, where another may have come in its place: flows to it hold no more */
    Item *oldest, *newest; /* what is on its way to it, in order */
    Py_ssize_t count;
    int64_t size;
    /* In this call: */
    uint64_t looked_at, heard_at;
    PyObject *ways, *hearers; /* its links that may be written to; all its links. Empty or NULL: not now */
    int64_t left, bytes_left;
    Run messages, statuses;
} Party;

/* What one author writes to one recipient, from one source. */
struct Flow {
    PyObject_HEAD
    Party *to, *hears;
    PyObject *author, *recipient, *head, *origin;
    PyObject *tail;   /* of the status that says DELIVERED, behind its number */
    PyObject *answers[ANSWERS]; /* the same of acknowledgements that say so; NULL: no other is known */
    MessageKey pair;  /* its messages' keys have in common */
    int is_local;
};

/* A message on its way. */
struct Item {
    Flow *flow;
    PyObject *buffer, *ways; /* the bytes that it came in; the links that it is on */
    Py_ssize_t start, end;
    MessageKey key;
    uint64_t snowflake, id;
    double sent; /* when it came and went: in the same call */
    Item *before, *after;   /* to the same destination */
    Item *older, *younger;  /* of all */
    Item *chain;
};

Party *party_new(PyObject *destination);
Flow *flow_new(PyObject *author, PyObject *recipient, Party *to, Party *hears);
char *run_room(Run *run, Py_ssize_t more);

/* A message's payload of the simple shape: a number, the head (author and recipient), a text. */
typedef struct {
    uint64_t snowflake;
    const char *head, *text;
    Py_ssize_t head_length, text_length;
    int kind; /* of its content: message_keys.py */
} Message;

int read_message(const Frame *frame, Message *message);
/* An acknowledgement's: a number, and the rest. */
int read_answer(const Frame *frame, uint64_t *snowflake, const char **rest, Py_ssize_t *rest_length);
int has_snowflake(const char *at, const char *end);
int write_status(Run *run, uint64_t snowflake, PyObject *tail);

#endif
