/* By what a message is recognised: key_of of shared/wire/message_keys.py, compiled. */
#include "deduplication/keys.h"

#include "deduplication/python_side.h"

typedef unsigned __int128 u128;

enum { WORD = 8 };

static const uint64_t TOP = 0x00FFFFFFFFFFFFFF; /* of a multiplier: its upper byte does not count */

/* A number of 192 bits: 130 products of 64 bits and 120 are less. */
typedef struct {
    u128 low;
    uint64_t high;
} Sum;

static inline void add_word(Sum *sum, uint64_t word, const MessageKey *multiplier)
{
    u128 first = (u128)word * multiplier->low, second = (u128)word * multiplier->high + (first >> 64);
    u128 low = second << 64 | (uint64_t)first;
    sum->low += low;
    sum->high += (uint64_t)(second >> 64) + (sum->low < low);
}

/* The sum modulo the prime. */
static inline MessageKey finish(const Sum *sum)
{
    u128 over = (u128)sum->high * KEY_TO_PRIME, low = sum->low + over;
    if (low < over)
        low += KEY_TO_PRIME;
    if (low >= -(u128)KEY_TO_PRIME)
        low += KEY_TO_PRIME;
    return (MessageKey){(uint64_t)low, (uint64_t)(low >> 64)};
}

/* The digest that stands for a long content; 0, or -1 with an error. */
static int shorten(const char *content, Py_ssize_t length, unsigned char digest[KEY_DIGEST])
{
    PyObject *made = dedup_digest(content, length, KEY_DIGEST);
    int is_made = made != NULL && PyBytes_Check(made) && PyBytes_GET_SIZE(made) == KEY_DIGEST;
    if (is_made)
        memcpy(digest, PyBytes_AS_STRING(made), KEY_DIGEST);
    else if (made != NULL)
        PyErr_SetString(PyExc_TypeError, "no digest");
    Py_XDECREF(made);
    return is_made ? 0 : -1;
}

int message_key(const MessageKey *multipliers, const MessageKey *pair, uint64_t number, int kind,
                const char *content, Py_ssize_t length, MessageKey *key)
{
    unsigned char digest[KEY_DIGEST];
    if (length > KEY_LONG) {
        if (shorten(content, length, digest))
            return -1;
        kind |= KEY_IS_LONG;
        content = (const char *)digest;
        length = KEY_DIGEST;
    }
    Sum sum = {(u128)pair->high << 64 | pair->low, 0};
    add_word(&sum, number, multipliers++);
    add_word(&sum, (uint64_t)kind | (uint64_t)length << 8, multipliers++);
    for (; length >= WORD; length -= WORD, content += WORD)
        add_word(&sum, read64(content), multipliers++);
    if (length) {
        char last[WORD] = {0};
        memcpy(last, content, (size_t)length);
        add_word(&sum, read64(last), multipliers);
    }
    *key = finish(&sum);
    return 0;
}

MessageKey *multipliers_read(PyObject *bytes)
{
    const Py_ssize_t size = (KEY_HEAD + KEY_LONG / WORD) * (Py_ssize_t)sizeof(MessageKey);
    if (!PyBytes_Check(bytes) || PyBytes_GET_SIZE(bytes) < size) {
        PyErr_Format(PyExc_ValueError, "multipliers have %zd bytes at least", size);
        return NULL;
    }
    MessageKey *found = PyMem_Malloc((size_t)size);
    if (found == NULL)
        return (MessageKey *)PyErr_NoMemory();
    for (Py_ssize_t at = 0; at < size; at += (Py_ssize_t)sizeof(MessageKey)) {
        const char *from = PyBytes_AS_STRING(bytes) + at;
        found[at / (Py_ssize_t)sizeof(MessageKey)] = (MessageKey){read64(from), read64(from + 8) & TOP};
    }
    return found;
}

const MessageKey *multipliers_of(PyObject *bytes)
{
    static PyObject *last = NULL;
    static MessageKey *read = NULL;
    if (bytes != last) {
        MessageKey *found = multipliers_read(bytes);
        if (found == NULL)
            return NULL;
        PyMem_Free(read);
        read = found;
        Py_XSETREF(last, Py_NewRef(bytes));
    }
    return read;
}

/* For Python --------------------------------------------------------------------------------------------------- */

int message_key_read(PyObject *bytes, MessageKey *key)
{
    if (!PyBytes_Check(bytes) || PyBytes_GET_SIZE(bytes) != 2 * (Py_ssize_t)sizeof(uint64_t)) {
        PyErr_SetString(PyExc_TypeError, "a key has 16 bytes");
        return -1;
    }
    const char *at = PyBytes_AS_STRING(bytes);
    *key = (MessageKey){read64(at), read64(at + 8)};
    return 0;
}

void message_key_write(const MessageKey *key, unsigned char bytes[16])
{
    for (int i = 0; i < 8; i++) {
        bytes[i] = (unsigned char)(key->low >> 8 * i);
        bytes[8 + i] = (unsigned char)(key->high >> 8 * i);
    }
}

/* key_of(multipliers, pair, number, kind, content) */
PyObject *key_of(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    const char *content;
    Py_ssize_t length;
    PyObject *multipliers_bytes, *pair_bytes, *number_object;
    int kind;
    if (!PyArg_ParseTuple(arguments, "OOOiy#", &multipliers_bytes, &pair_bytes, &number_object, &kind, &content,
                          &length))
        return NULL;
    if (kind < 0 || kind > 0xFF) {
        PyErr_SetString(PyExc_ValueError, "a kind is a byte");
        return NULL;
    }
    uint64_t number = PyLong_AsUnsignedLongLong(number_object);
    MessageKey pair, key;
    if (PyErr_Occurred() || message_key_read(pair_bytes, &pair))
        return NULL;
    const MessageKey *multipliers = multipliers_of(multipliers_bytes);
    if (multipliers == NULL || message_key(multipliers, &pair, number, kind, content, length, &key))
        return NULL;
    unsigned char bytes[16];
    message_key_write(&key, bytes);
    return PyBytes_FromStringAndSize((const char *)bytes, sizeof bytes);
}
