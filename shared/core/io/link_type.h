/* A link as a Python type, and what others may do with one that is of it. */
#ifndef PARLEY_IO_LINK_TYPE_H
#define PARLEY_IO_LINK_TYPE_H

#include "bytes.h"

extern PyTypeObject LinkIOType;

void link_type_ready(void);
int link_is_writable(PyObject *link); /* -1: it is no such link */
int link_is_fluent(PyObject *link); /* whether as many frames at once may be written to it as there are */
int link_send_run(PyObject *link, PyObject *raw, PyObject *name, Py_ssize_t count);

#endif
