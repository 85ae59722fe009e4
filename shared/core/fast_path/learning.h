/* What Python tells the fast path, and takes back from it. */
#ifndef PARLEY_FAST_PATH_LEARNING_H
#define PARLEY_FAST_PATH_LEARNING_H

#include "fast_path/state.h"

void fast_path_forget_all(FastPath *self);
PyObject *fast_path_learn(FastPath *self, PyObject *arguments);
PyObject *fast_path_may_learn(FastPath *self, PyObject *arguments);
PyObject *fast_path_learn_answer(FastPath *self, PyObject *arguments);
PyObject *fast_path_settle(FastPath *self, PyObject *destination);
PyObject *fast_path_settle_due(FastPath *self, PyObject *arguments);
PyObject *fast_path_forget(FastPath *self, PyObject *none);
PyObject *fast_path_leave(FastPath *self, PyObject *source);
PyObject *fast_path_due(FastPath *self, PyObject *delay);

#endif
