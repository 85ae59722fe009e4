/* What was delivered on the fast path, for the archive: services/chat/archive/entries.py says how an entry looks. */
#ifndef PARLEY_FAST_PATH_COLLECTED_H
#define PARLEY_FAST_PATH_COLLECTED_H

#include "fast_path/state.h"

enum { ENTRY_HEAD = 32, ENTRY_MESSAGE = 1, ENTRY_SENT = 1, ENTRY_RECEIVED = 2 };
/* Bytes before an entry's message; its kind; its marks: one of our users sent it, one of them received it. */

enum { SEGMENT_HEAD = 64, SEGMENT_USED = 48, SEGMENT_RESERVE = 32 };
/* Bytes before a segment's entries; where in them stands how many bytes those have; bytes that are left at its end:
 * services/chat/archive/journal/segment.py describes it. */

int collected_add(FastPath *self, const Envelope *envelope);
/* Tell Python, once, that there is something to take; again where much has gathered. */
int collected_tell(FastPath *self);
/* From now on, append to that segment: a writable buffer. */
PyObject *collected_into(FastPath *self, PyObject *segment);
void collected_release(FastPath *self);
/* Python has taken all: tell it again of what comes. How many entries had no room since. */
PyObject *collected_taken(FastPath *self, PyObject *none);

#endif
