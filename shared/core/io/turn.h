/* What one loop's links have to write, and what a turn may cost. */
#ifndef PARLEY_IO_TURN_H
#define PARLEY_IO_TURN_H

#include "bytes.h"

typedef struct {
    PyObject_HEAD
    PyObject *call_soon, *links;
    PyObject *look;
    Py_ssize_t read, send; /* shared/limits/bounds.py, Bounds */
    long long most_produced, look_every;
    double slice, round, pause;
    double last, round_began, until;
    long long produced, held; /* held: bytes since the last look at all buffers */
    char is_reading, is_busy;
} Turn;

extern PyTypeObject TurnType;

/* How a link writes what waits; link_type.c says so, once. */
typedef int (*FlushLink)(PyObject *link);

void turn_flushes_with(FlushLink flush);
int turn_flush_later(Turn *turn, PyObject *link);
int turn_end(Turn *turn);
int turn_is_busy(Turn *turn, double now);
void turn_begin(Turn *turn, double now);

#endif
