/* A link's hot half, and what one loop's links have to write. */
#ifndef PARLEY_LINK_H
#define PARLEY_LINK_H

#include "express.h"

typedef struct {
    PyObject_HEAD
    PyObject *call_soon, *links;
    PyObject *look;
    Py_ssize_t read, send; /* shared/link/turn.py, Bounds */
    long long most_produced, look_every;
    double slice, round, pause;
    double last, round_began, until;
    long long produced, held; /* held: bytes since the last look at all buffers */
    char is_reading, is_busy;
} Turn;

typedef struct {
    PyObject_HEAD
    PyObject *owner, *session, *reader, *turn, *now;
    PyObject *received, *sent; /* counts by name, or None */
    PyObject *transport;       /* None: not connected */
    PyObject *out;
    PyObject *express, *source, *party;
    long long bytes_received, bytes_sent, frames_received;
    Py_ssize_t queued;
    double written_at;
    int descriptor;    /* of the connection; else -1 */
    char is_plain_tcp; /* whether it may be written to past the transport, which would not encrypt it */
    char may_wait; /* whether the transport may have something to write: it was given some */
    char is_paused, is_plain, has_backlog, is_performing, again, is_scheduled, is_real_clock;
} LinkIO;

extern PyObject *link_monotonic; /* time.monotonic */
extern PyObject *link_word_flush;

int link_call(PyObject *object, PyObject *method, PyObject *argument);
int link_flush(LinkIO *self);
int link_send(LinkIO *self, PyObject *raw);
int link_receive(LinkIO *self, PyObject *data, double now);
int link_pass_on(LinkIO *self, PyObject *frames, double now);
double link_now(LinkIO *self);
int link_read_on(LinkIO *self, PyObject *data);

int turn_flush_later(Turn *turn, LinkIO *link);
int turn_end(Turn *turn);
int turn_is_busy(Turn *turn, double now);
void turn_begin(Turn *turn, double now);

#endif
