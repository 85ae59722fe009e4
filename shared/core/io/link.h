/* A link's hot half: from a read to the owner, from what is sent to one write. */
#ifndef PARLEY_IO_LINK_H
#define PARLEY_IO_LINK_H

#include "io/turn.h"

typedef struct {
    PyObject_HEAD
    PyObject *owner, *session, *reader, *turn, *now;
    PyObject *received, *sent; /* counts by name, or None */
    PyObject *transport;       /* None: not connected */
    PyObject *out;
    PyObject *taker; /* who takes frames first (frame_taker.h), or None */
    PyObject *source, *kept; /* whose they are; what the taker keeps of that */
    PyObject *translate;     /* gives the bytes for another dialect; or None */
    long long bytes_received, bytes_sent, frames_received;
    Py_ssize_t queued;
    double written_at;
    int descriptor;    /* of the connection; else -1 */
    char is_plain_tcp; /* whether it may be written to past the transport, which would not encrypt it */
    char may_wait; /* whether the transport may have something to write: it was given some */
    char is_paused, is_plain, has_backlog, is_performing, again, is_scheduled, is_real_clock;
    char translates_all; /* else, of what takes the fast path, only payloads that end in a line feed */
} LinkIO;

int link_flush(LinkIO *self);
int link_send(LinkIO *self, PyObject *raw);
int link_send_translated(LinkIO *self, PyObject *raw);
int link_receive(LinkIO *self, PyObject *data, double now);
int link_pass_on(LinkIO *self, PyObject *frames, double now);
double link_now(LinkIO *self);
int link_read_on(LinkIO *self, PyObject *data);

#endif
