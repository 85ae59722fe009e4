/* Final statuses that a user's links were given and nothing was heard on since. */
#ifndef PARLEY_FAST_PATH_UNCONFIRMED_H
#define PARLEY_FAST_PATH_UNCONFIRMED_H

#include "fast_path/state.h"

int unconfirmed_add(FastPath *self, PyObject *link, PyObject *raw, Py_ssize_t count);
int unconfirmed_clear(FastPath *self, PyObject *source, PyObject *link);

#endif
