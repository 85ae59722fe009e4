/* By what a message is recognised. */
#ifndef PARLEY_DEDUPLICATION_KEYS_H
#define PARLEY_DEDUPLICATION_KEYS_H

#include "bytes.h"

enum { KEY_LONG = 1024, KEY_IS_LONG = 0x80, KEY_DIGEST = 32, KEY_HEAD = 2, KEY_TO_PRIME = 159 };
/* The prime is 2^128 - KEY_TO_PRIME. */

typedef struct {
    uint64_t low, high;
} MessageKey;

MessageKey *multipliers_read(PyObject *bytes); /* PyMem_Free it; NULL: with an error */
/* The same, until it is asked for others: who makes many keys has one secret. */
const MessageKey *multipliers_of(PyObject *bytes);
int message_key(const MessageKey *multipliers, const MessageKey *pair, uint64_t number, int kind,
                const char *content, Py_ssize_t length, MessageKey *key);
int message_key_read(PyObject *bytes, MessageKey *key); /* -1: with an error */
void message_key_write(const MessageKey *key, unsigned char bytes[16]);
PyObject *key_of(PyObject *module, PyObject *arguments);

#endif
