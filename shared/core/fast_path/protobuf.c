/* As much of protobuf's wire format as the fast path reads and writes. */
#include "fast_path/protobuf.h"

/* Seven bits of each of eight bytes, the first byte's lowest. */
static inline uint64_t squeezed(uint64_t bytes)
{
    bytes &= 0x7F7F7F7F7F7F7F7F;
    bytes = (bytes & 0x007F007F007F007F) | (bytes & 0x7F007F007F007F00) >> 1;
    bytes = (bytes & 0x00003FFF00003FFF) | (bytes & 0x3FFF00003FFF0000) >> 2;
    return (bytes & 0x0FFFFFFF) | (bytes & 0x0FFFFFFF00000000) >> 4;
}

/* Read a number below 2^64; NULL where there is none. Snowflakes have nine bytes: eight are read at once. */
const char *read_long_varint(const char *at, const char *end, uint64_t *value)
{
    uint64_t number = 0;
    unsigned shift = 0;
    if (end - at >= 8) {
        uint64_t bytes = read64(at), more = ~bytes & 0x8080808080808080;
        if (more == 0) {
            number = squeezed(bytes);
            shift = 56;
            at += 8;
        }
    }
    for (; at < end && shift < 70; shift += 7) {
        uint64_t bits = (unsigned char)*at & 0x7F;
        if (shift == 63 && bits > 1)
            return NULL;
        number |= bits << shift;
        if (!((unsigned char)*at++ & 0x80)) {
            *value = number;
            return at;
        }
    }
    return NULL;
}

/* The reverse: eight bytes with seven bits each of the lowest 56. */
static inline uint64_t spread(uint64_t bits)
{
    bits = (bits & 0x0FFFFFFF) | (bits & 0x00FFFFFFF0000000) << 4;
    bits = (bits & 0x00003FFF00003FFF) | (bits & 0x0FFFC0000FFFC000) << 2;
    return (bits & 0x007F007F007F007F) | (bits & 0x3F803F803F803F80) << 1;
}

/* Write a number: at most 10 bytes. */
char *write_varint(char *at, uint64_t value)
{
    if (value >> 56) {
        write64(at, spread(value) | 0x8080808080808080);
        at += 8;
        value >>= 56;
    }
    for (; value > 0x7F; value >>= 7)
        *at++ = (char)(value | 0x80);
    *at++ = (char)value;
    return at;
}

/* Whether a text is UTF-8, as protobuf checks it. */
int is_utf8(const char *text, Py_ssize_t length)
{
    const char *at = text, *end = text + length;
    for (; end - at >= 8; at += 8) {
        uint64_t eight;
        memcpy(&eight, at, 8);
        if (eight & 0x8080808080808080u)
            break;
    }
    while (at < end && !((unsigned char)*at & 0x80))
        at++;
    if (at == end)
        return 1;
    PyObject *decoded = PyUnicode_DecodeUTF8(at, end - at, NULL);
    if (decoded == NULL)
        PyErr_Clear();
    Py_XDECREF(decoded);
    return decoded != NULL;
}
