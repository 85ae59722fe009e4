/* Whether a message is on disk, was there, or was delivered without ever waiting. */
#ifndef PARLEY_DEDUPLICATION_STORED_H
#define PARLEY_DEDUPLICATION_STORED_H

#include "deduplication/keys.h"

enum { KEYS_PER_BUCKET = 4, PART_BITS = 12 };

/* Both tables, as they are in one batch: opened when one is asked for, until `stored_close`. */
typedef struct {
    PyObject *stored_keys, *delivered_keys; /* of Python: python_side.h; borrowed */
    int is_open, has_delivered;
    PyObject *tables;
    Py_buffer delivered;
    Py_ssize_t buckets;
} StoredLookup;

int stored_has(StoredLookup *self, const MessageKey *key); /* 1 also where that cannot be seen; -1 with an error */
int stored_add(StoredLookup *self, const MessageKey *key);
void stored_close(StoredLookup *self);

#endif
