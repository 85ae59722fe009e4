/* The archive's entries, read to be put into lists. */
#ifndef PARLEY_FAST_PATH_READ_ENTRIES_H
#define PARLEY_FAST_PATH_READ_ENTRIES_H

#include "bytes.h"

PyObject *read_entries(PyObject *module, PyObject *record);

#endif
