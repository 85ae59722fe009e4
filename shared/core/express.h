/* The quick way's own state. */
#ifndef PARLEY_EXPRESS_H
#define PARLEY_EXPRESS_H

#include "flows.h"

/* Of a call of `take`. */
enum { IDLE, SENDING, TAKING };

/* What is known of messages that were delivered at once: looked at once a call, as it is then. */
typedef struct {
    int is_open, has_at_once;
    Py_buffer at_once;
    Py_ssize_t buckets;
} Recall;

/* Deliveries of one call that are alike. */
typedef struct {
    int is_local;
    double arrived;
    Py_ssize_t count;
} Deliveries;

typedef struct {
    PyObject_HEAD
    PyObject *memory, *mailbox, *dispatcher, *on_disk, *at_once;
    PyObject *clients, *servers, *unheard, *delivered, *arm;
    int64_t most, most_bytes, most_produced, first_window;
    Py_ssize_t most_unheard;
    MessageKey *multipliers; /* of messages' keys */
    PyObject *parties; /* destination → Party */
    PyObject *queues;  /* the mailbox's: destination → what waits there */
    PyObject *tables;  /* on_disk's: lists of arrays */
    Item **table, *spare, *oldest, *youngest;
    Py_ssize_t buckets, count;
    int64_t size;
    /* In this call: */
    uint64_t call, next_id;
    int64_t left, bytes_left, produced, others, others_size;
    double now, next_look;
    Party **touched;
    Py_ssize_t touched_count, touched_room;
    Recall known;
    Deliveries run;
    int has_begun, has_ids, stage;
    char is_armed, is_closed;
} Express;

/* Handle frames of a source from `start` on; the index of the first that is left, -1 with an error. `party` is the
 * caller's to keep: the source, once it is known. `link` is where it came from, or NULL. */
Py_ssize_t express_take_frames(Express *self, PyObject *source, PyObject **party, PyObject *link, PyObject *frames,
                               Py_ssize_t start, double now);

/* destinations.c */
typedef struct {
    PyObject *size, *count, *next_id, *window, *quick_window, *window_bytes, *queues, *held;
    PyObject *numbers, *tables, *send_run, *MESSAGE, *MESSAGE_ACK, *writable, *sink;
} Words;

extern Words word;

int64_t number_of(PyObject *object, PyObject *name);
int express_may_send(Express *self, Party *to);
int express_may_tell(Express *self, Party *hears);

/* learning.c */
int express_is_in(const Express *self, int stage);
void express_forget_all(Express *self);
PyObject *express_learn(Express *self, PyObject *arguments);
PyObject *express_may_learn(Express *self, PyObject *arguments);
PyObject *express_learn_answer(Express *self, PyObject *arguments);
PyObject *express_settle(Express *self, PyObject *destination);
PyObject *express_settle_due(Express *self, PyObject *arguments);
PyObject *express_forget(Express *self, PyObject *none);
PyObject *express_leave(Express *self, PyObject *source);
PyObject *express_due(Express *self, PyObject *delay);

/* express.c */
Flow *express_flow_of(Party *source, const char *head, Py_ssize_t length);
PyObject *express_take(Express *self, PyObject *const *arguments, Py_ssize_t count);

/* items.c */
Item *item_find(Express *self, const Party *party, uint64_t snowflake);
Item *item_add(Express *self, Flow *flow, const Frame *frame, uint64_t snowflake, const MessageKey *key);
void item_remove(Express *self, Item *item);
PyObject *items_of(Express *self, Party *party);
PyObject *items_before(Express *self, double now, double delay);

/* unheard.c */
int unheard_add(Express *self, PyObject *link, PyObject *raw, Py_ssize_t count);
int unheard_clear(Express *self, PyObject *source, PyObject *link);

/* recall.c */
int recall_has(Express *self, const MessageKey *key);
int recall_add(Express *self, const MessageKey *key);
void recall_close(Express *self);

#endif
