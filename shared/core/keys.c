/* By what a message is recognised: key_of of shared/message_keys.py, compiled. Poly1305 as RFC 8439 has it.
 *
 * The sum is held in three limbs of 44, 44 and 42 bits, so that products of two fit into 128 bits without a carry between.
 */
#include "core.h"

typedef unsigned __int128 u128;

enum { LONG = 4096, IS_LONG = 0x80, BLOCK = 16, DIGEST = 32 };

#define MASK44 ((uint64_t)0xFFFFFFFFFFF)
#define MASK42 ((uint64_t)0x3FFFFFFFFFF)

static PyObject *blake2b;

int keys_ready(void)
{
    PyObject *hashlib = PyImport_ImportModule("hashlib");
    blake2b = hashlib == NULL ? NULL : PyObject_GetAttrString(hashlib, "blake2b");
    Py_XDECREF(hashlib);
    return blake2b == NULL ? -1 : 0;
}

static uint64_t read64(const unsigned char *at)
{
    uint64_t number = 0;
    for (int i = 7; i >= 0; i--)
        number = number << 8 | at[i];
    return number;
}

void pair_key_set(PairKey *key, const unsigned char bytes[32])
{
    uint64_t low = read64(bytes), high = read64(bytes + 8);
    key->r[0] = low & 0xFFC0FFFFFFF; /* with the bits cleared that RFC 8439 clears */
    key->r[1] = (low >> 44 | high << 20) & 0xFFFFFC0FFFF;
    key->r[2] = high >> 24 & 0x00FFFFFFC0F;
    key->s[0] = read64(bytes + 16);
    key->s[1] = read64(bytes + 24);
}

static inline void add_block(uint64_t h[3], const uint64_t r[3], uint64_t low, uint64_t high, uint64_t top)
{
    uint64_t s1 = r[1] * 20, s2 = r[2] * 20; /* 5, and 4 for the limbs' 132 bits */
    uint64_t h0 = h[0] + (low & MASK44), h1 = h[1] + ((low >> 44 | high << 20) & MASK44);
    uint64_t h2 = h[2] + ((high >> 24 & MASK42) | top);
    u128 d0 = (u128)h0 * r[0] + (u128)h1 * s2 + (u128)h2 * s1;
    u128 d1 = (u128)h0 * r[1] + (u128)h1 * r[0] + (u128)h2 * s2;
    u128 d2 = (u128)h0 * r[2] + (u128)h1 * r[1] + (u128)h2 * r[0];
    d1 += (uint64_t)(d0 >> 44);
    d2 += (uint64_t)(d1 >> 44);
    h[0] = ((uint64_t)d0 & MASK44) + (uint64_t)(d2 >> 42) * 5;
    h[1] = ((uint64_t)d1 & MASK44) + (h[0] >> 44);
    h[0] &= MASK44;
    h[2] = (uint64_t)d2 & MASK42;
}

/* The sum, wholly reduced, and the key's other half. */
static MessageKey finish(uint64_t h[3], const uint64_t s[2])
{
    for (int i = 0; i < 2; i++) {
        h[2] += h[1] >> 44;
        h[1] &= MASK44;
        h[0] += (h[2] >> 42) * 5;
        h[2] &= MASK42;
        h[1] += h[0] >> 44;
        h[0] &= MASK44;
    }
    uint64_t g0 = h[0] + 5, g1 = h[1] + (g0 >> 44), g2 = h[2] + (g1 >> 44);
    if (g2 >> 42) { /* 2^130 - 5 or more */
        h[0] = g0 & MASK44;
        h[1] = g1 & MASK44;
        h[2] = g2 & MASK42;
    }
    u128 low = (u128)(h[0] | h[1] << 44) + s[0];
    return (MessageKey){(uint64_t)low, (h[1] >> 20 | h[2] << 24) + s[1] + (uint64_t)(low >> 64)};
}

/* The content's BLAKE2b, which is compiled elsewhere; 0, or -1 with an error. */
static int shorten(const char *content, Py_ssize_t length, unsigned char digest[DIGEST])
{
    PyObject *bytes = PyBytes_FromStringAndSize(content, length);
    PyObject *words = bytes == NULL ? NULL : Py_BuildValue("{s:i}", "digest_size", DIGEST);
    PyObject *call = words == NULL ? NULL : PyTuple_Pack(1, bytes);
    PyObject *hash = call == NULL ? NULL : PyObject_Call(blake2b, call, words);
    PyObject *made = hash == NULL ? NULL : PyObject_CallMethod(hash, "digest", NULL);
    int is_made = made != NULL && PyBytes_Check(made) && PyBytes_GET_SIZE(made) == DIGEST;
    if (is_made)
        memcpy(digest, PyBytes_AS_STRING(made), DIGEST);
    else if (made != NULL)
        PyErr_SetString(PyExc_TypeError, "no digest");
    Py_XDECREF(bytes);
    Py_XDECREF(words);
    Py_XDECREF(call);
    Py_XDECREF(hash);
    Py_XDECREF(made);
    return is_made ? 0 : -1;
}

int message_key(const PairKey *pair, uint64_t number, int kind, const char *content, Py_ssize_t length, MessageKey *key)
{
    unsigned char digest[DIGEST];
    if (length > LONG) {
        if (shorten(content, length, digest))
            return -1;
        kind |= IS_LONG;
        content = (const char *)digest;
        length = DIGEST;
    }
    uint64_t h[3] = {0, 0, 0}, top = (uint64_t)1 << 40; /* each whole block has 2^128 more */
    add_block(h, pair->r, number, (uint64_t)kind, top);
    const unsigned char *at = (const unsigned char *)content;
    for (; length >= BLOCK; length -= BLOCK, at += BLOCK)
        add_block(h, pair->r, read64(at), read64(at + 8), top);
    if (length) {
        unsigned char last[BLOCK] = {0};
        memcpy(last, at, (size_t)length);
        last[length] = 1;
        add_block(h, pair->r, read64(last), read64(last + 8), 0);
    }
    *key = finish(h, pair->s);
    return 0;
}

/* For Python -------------------------------------------------------------------------------------------------------- */

int message_key_read(PyObject *bytes, MessageKey *key)
{
    if (!PyBytes_Check(bytes) || PyBytes_GET_SIZE(bytes) != 2 * (Py_ssize_t)sizeof(uint64_t)) {
        PyErr_SetString(PyExc_TypeError, "a message's key has 16 bytes");
        return -1;
    }
    const unsigned char *at = (const unsigned char *)PyBytes_AS_STRING(bytes);
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

/* key_of(pair, number, kind, content) */
PyObject *key_of(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    const char *pair_bytes, *content;
    Py_ssize_t pair_length, length;
    PyObject *number_object;
    int kind;
    if (!PyArg_ParseTuple(arguments, "y#Oiy#", &pair_bytes, &pair_length, &number_object, &kind, &content, &length))
        return NULL;
    if (pair_length != 32 || kind < 0 || kind > 0xFF) {
        PyErr_SetString(PyExc_ValueError, "a pair has 32 bytes, a kind is a byte");
        return NULL;
    }
    uint64_t number = PyLong_AsUnsignedLongLong(number_object);
    if (PyErr_Occurred())
        return NULL;
    PairKey pair;
    MessageKey key;
    unsigned char bytes[16];
    pair_key_set(&pair, (const unsigned char *)pair_bytes);
    if (message_key(&pair, number, kind, content, length, &key))
        return NULL;
    message_key_write(&key, bytes);
    return PyBytes_FromStringAndSize((const char *)bytes, sizeof bytes);
}
