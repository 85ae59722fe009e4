/* What is looked at of each destination, once a call. */
#ifndef PARLEY_FAST_PATH_DESTINATIONS_H
#define PARLEY_FAST_PATH_DESTINATIONS_H

#include "fast_path/state.h"

int may_send(FastPath *self, Party *to);
int may_reply(FastPath *self, Party *reply_to);

#endif
