/* As much of protobuf's wire format as the quick way reads and writes. */
#include "core.h"

/* Read a number below 2^64; NULL where there is none. */
const char *read_varint(const char *at, const char *end, uint64_t *value)
{
    uint64_t number = 0;
    for (unsigned shift = 0; at < end && shift < 70; shift += 7) {
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

/* Write a number: at most 10 bytes. */
char *write_varint(char *at, uint64_t value)
{
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
