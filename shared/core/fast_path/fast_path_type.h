/* The fast path as a Python type. */
#ifndef PARLEY_FAST_PATH_FAST_PATH_TYPE_H
#define PARLEY_FAST_PATH_FAST_PATH_TYPE_H

#include "bytes.h"

extern PyTypeObject FastPathType;

int fast_path_type_ready(void);

#endif
