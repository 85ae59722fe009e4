/* What is in flight by the fast path. */
#ifndef PARLEY_FAST_PATH_ENVELOPES_H
#define PARLEY_FAST_PATH_ENVELOPES_H

#include "fast_path/state.h"

Envelope *envelope_find(FastPath *self, const Party *party, uint64_t snowflake);
Envelope *envelope_add(FastPath *self, Flow *flow, const Frame *frame, uint64_t snowflake, const MessageKey *key);
void envelope_remove(FastPath *self, Envelope *envelope);
PyObject *envelopes_of(FastPath *self, Party *party);
PyObject *envelopes_before(FastPath *self, double now, double delay);

#endif
