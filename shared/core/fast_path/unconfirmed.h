/* Which final statuses a user's links were told and may not have heard. */
#ifndef PARLEY_FAST_PATH_UNCONFIRMED_H
#define PARLEY_FAST_PATH_UNCONFIRMED_H

#include "fast_path/state.h"

int unconfirmed_add(FastPath *self, PyObject *link, PyObject *raw, Py_ssize_t count);
int unconfirmed_clear(FastPath *self, PyObject *source, PyObject *link);

#endif
