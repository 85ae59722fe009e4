/* What was delivered on the fast path, for the archive: services/chat/archive/entries.py says how an entry looks. */
#ifndef PARLEY_FAST_PATH_COLLECTED_H
#define PARLEY_FAST_PATH_COLLECTED_H

#include "fast_path/state.h"

enum { ENTRY_HEAD = 32, ENTRY_MESSAGE = 1, ENTRY_SENT = 1, ENTRY_RECEIVED = 2 };
/* Bytes before an entry's message; its kind; its marks: one of our users sent it, one of them received it. */

int collected_add(FastPath *self, const Envelope *envelope);
/* Tell Python, once, that there is something to take; again where much has gathered. */
int collected_tell(FastPath *self);
PyObject *collected_take(FastPath *self, PyObject *none);

#endif
