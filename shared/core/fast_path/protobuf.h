/* Protobuf's wire format, as much of it as the fast path reads and writes. */
#ifndef PARLEY_FAST_PATH_PROTOBUF_H
#define PARLEY_FAST_PATH_PROTOBUF_H

#include "bytes.h"

const char *read_long_varint(const char *at, const char *end, uint64_t *value);

/* Read a number below 2^64, most of which have one byte; the byte behind it, or NULL. */
static inline const char *read_varint(const char *at, const char *end, uint64_t *value)
{
    if (at < end && !((unsigned char)*at & 0x80)) {
        *value = (unsigned char)*at;
        return at + 1;
    }
    return read_long_varint(at, end, value);
}

char *write_varint(char *at, uint64_t value);
int is_utf8(const char *text, Py_ssize_t length);

#endif
