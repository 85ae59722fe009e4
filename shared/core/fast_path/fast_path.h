/* The fast path: what comes in is taken, a batch at a time. */
#ifndef PARLEY_FAST_PATH_FAST_PATH_H
#define PARLEY_FAST_PATH_FAST_PATH_H

#include "fast_path/state.h"

Py_ssize_t fast_path_take_frames(FrameTaker *taker, PyObject *source, PyObject **kept, PyObject *link,
                                 PyObject *frames, Py_ssize_t start, double now);
PyObject *fast_path_route(FastPath *self, PyObject *const *arguments, Py_ssize_t count);

#endif
