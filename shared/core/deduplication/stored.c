/* Whether a message is on disk, was there, or was delivered without ever waiting: stored_keys.py's and
 * delivered_keys.py's tables.
 *
 * They are Python's; here they are read in place, and opened anew in each batch. Of what is on disk they have the
 * first half of each message's key: what may be known is left to the router, which compares the rest.
 */
#include "deduplication/stored.h"

#include "deduplication/python_side.h"

enum { PARTS = 1 << PART_BITS };

static int open_delivered(StoredLookup *self)
{
    if (self->delivered_keys == Py_None)
        return 0;
    PyObject *table = PyObject_GetAttr(self->delivered_keys, dedup_name_table);
    int failed = table == NULL || PyObject_GetBuffer(table, &self->delivered, PyBUF_WRITABLE);
    Py_XDECREF(table);
    if (failed)
        return -1;
    self->has_delivered = 1;
    self->buckets = self->delivered.len / (KEYS_PER_BUCKET * (Py_ssize_t)sizeof(MessageKey));
    return 0;
}

static int open_both(StoredLookup *self)
{
    if (self->is_open)
        return 0;
    self->is_open = 1;
    self->tables = PyObject_GetAttr(self->stored_keys, dedup_name_tables);
    return self->tables == NULL ? -1 : open_delivered(self);
}

void stored_close(StoredLookup *self)
{
    if (!self->is_open)
        return;
    if (self->has_delivered)
        PyBuffer_Release(&self->delivered);
    self->is_open = self->has_delivered = 0;
    Py_CLEAR(self->tables);
}

static int is_in(const Py_buffer *array, int64_t number)
{
    const int64_t *numbers = array->buf;
    Py_ssize_t low = 0, high = array->len / (Py_ssize_t)sizeof *numbers, length = high;
    while (low < high) {
        Py_ssize_t middle = (low + high) / 2;
        if (numbers[middle] < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < length && numbers[low] == number;
}

/* Whether a table has it: 1 also where that cannot be seen from here; -1 with an error. */
static int is_in_table(PyObject *table, int64_t fingerprint)
{
    if (!PyList_Check(table) || PyList_GET_SIZE(table) != PARTS)
        return 1;
    PyObject *numbers = PyList_GET_ITEM(table, (Py_ssize_t)((uint64_t)fingerprint >> (64 - PART_BITS)));
    if (PyObject_Size(numbers) == 0)
        return 0;
    Py_buffer array;
    if (PyObject_GetBuffer(numbers, &array, PyBUF_SIMPLE))
        return -1;
    int found = is_in(&array, fingerprint);
    PyBuffer_Release(&array);
    return found;
}

static int is_stored(PyObject *tables, int64_t fingerprint)
{
    int found = PyList_Check(tables) ? 0 : 1;
    for (Py_ssize_t i = 0; found == 0 && i < PyList_GET_SIZE(tables); i++)
        found = is_in_table(PyList_GET_ITEM(tables, i), fingerprint);
    return found;
}

/* As delivered_keys.py writes it: the file is the same on every machine. */
static uint64_t little_endian(uint64_t number)
{
#if PY_BIG_ENDIAN
    return __builtin_bswap64(number);
#else
    return number;
#endif
}

static MessageKey as_stored(const MessageKey *key)
{
    return (MessageKey){little_endian(key->low), little_endian(key->high)};
}

static int is_at(const MessageKey *place, const MessageKey *key)
{
    for (int i = 0; i < KEYS_PER_BUCKET; i++)
        if (place[i].low == key->low && place[i].high == key->high)
            return 1;
    return 0;
}

static MessageKey *place_of(const StoredLookup *self, const MessageKey *key)
{
    return (MessageKey *)self->delivered.buf + KEYS_PER_BUCKET * (Py_ssize_t)(key->low % (uint64_t)self->buckets);
}

int stored_has(StoredLookup *self, const MessageKey *key)
{
    if (open_both(self))
        return -1;
    int found = is_stored(self->tables, (int64_t)key->low);
    if (found)
        return found;
    if (!self->has_delivered)
        return 0;
    MessageKey wanted = as_stored(key);
    return is_at(place_of(self, key), &wanted);
}

/* A message was delivered without waiting: the oldest in its bucket makes room. */
int stored_add(StoredLookup *self, const MessageKey *key)
{
    if (open_both(self))
        return -1;
    if (!self->has_delivered)
        return 0;
    MessageKey *place = place_of(self, key), wanted = as_stored(key);
    if (!is_at(place, &wanted)) {
        memmove(place + 1, place, (KEYS_PER_BUCKET - 1) * sizeof *place);
        place[0] = wanted;
    }
    return 0;
}
