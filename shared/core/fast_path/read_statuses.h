/* Who has which status, of a MESSAGE_ACK that tells many. */
#ifndef PARLEY_FAST_PATH_READ_STATUSES_H
#define PARLEY_FAST_PATH_READ_STATUSES_H

#include "bytes.h"

PyObject *read_statuses(PyObject *module, PyObject *const *arguments, Py_ssize_t count);

#endif
