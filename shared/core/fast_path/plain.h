/* Plain messages that are the router's: read and answered without a protobuf object for each. */
#ifndef PARLEY_FAST_PATH_PLAIN_H
#define PARLEY_FAST_PATH_PLAIN_H

#include "bytes.h"

PyObject *read_plain(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
PyObject *status_frame(PyObject *module, PyObject *const *arguments, Py_ssize_t count);

#endif
