/* Whether a message is on disk, was there, or was delivered at once: fingerprints.py's and delivered.py's tables.
 *
 * They are Python's; here they are read in place, and opened anew in each call. Of what is on disk they have the first half
 * of each message's key: what may be known is left to the router, which compares the rest.
 */
#include "express.h"

enum { PER_BUCKET = 4, PART_BITS = 12, PARTS = 1 << PART_BITS };

static PyObject *word_table;

int recall_ready(void)
{
    word_table = PyUnicode_InternFromString("table");
    return word_table ? 0 : -1;
}

static int open_at_once(Recall *known, PyObject *at_once)
{
    if (at_once == Py_None)
        return 0;
    PyObject *table = PyObject_GetAttr(at_once, word_table);
    int failed = table == NULL || PyObject_GetBuffer(table, &known->at_once, PyBUF_WRITABLE);
    Py_XDECREF(table);
    if (failed)
        return -1;
    known->has_at_once = 1;
    known->buckets = known->at_once.len / (PER_BUCKET * (Py_ssize_t)sizeof(MessageKey));
    return 0;
}

static int recall_open(Express *self)
{
    Recall *known = &self->known;
    if (known->is_open)
        return 0;
    known->is_open = 1;
    return open_at_once(known, self->at_once);
}

void recall_close(Express *self)
{
    Recall *known = &self->known;
    if (!known->is_open)
        return;
    if (known->has_at_once)
        PyBuffer_Release(&known->at_once);
    memset(known, 0, sizeof *known);
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

static int is_on_disk(PyObject *tables, int64_t fingerprint)
{
    int found = PyList_Check(tables) ? 0 : 1;
    for (Py_ssize_t i = 0; found == 0 && i < PyList_GET_SIZE(tables); i++)
        found = is_in_table(PyList_GET_ITEM(tables, i), fingerprint);
    return found;
}

/* As delivered.py writes it: the file is the same on every machine. */
static uint64_t little_endian(uint64_t number)
{
#if PY_BIG_ENDIAN
    uint64_t swapped = 0;
    for (int i = 0; i < 8; i++)
        swapped = swapped << 8 | (number >> 8 * i & 0xFF);
    return swapped;
#else
    return number;
#endif
}

static MessageKey stored(const MessageKey *key)
{
    return (MessageKey){little_endian(key->low), little_endian(key->high)};
}

static int is_at(const MessageKey *place, const MessageKey *key)
{
    for (int i = 0; i < PER_BUCKET; i++)
        if (place[i].low == key->low && place[i].high == key->high)
            return 1;
    return 0;
}

static MessageKey *place_of(const Recall *known, const MessageKey *key)
{
    return (MessageKey *)known->at_once.buf + PER_BUCKET * (Py_ssize_t)(key->low % (uint64_t)known->buckets);
}

/* Whether a message may be known: 1 also where that cannot be seen from here; -1 with an error. */
int recall_has(Express *self, const MessageKey *key)
{
    Recall *known = &self->known;
    if (recall_open(self))
        return -1;
    int found = is_on_disk(self->tables, (int64_t)key->low);
    if (found)
        return found;
    if (!known->has_at_once)
        return 0;
    MessageKey wanted = stored(key);
    return is_at(place_of(known, key), &wanted);
}

/* A message was delivered at once: the oldest in its bucket makes room. */
int recall_add(Express *self, const MessageKey *key)
{
    Recall *known = &self->known;
    if (recall_open(self))
        return -1;
    if (!known->has_at_once)
        return 0;
    MessageKey *place = place_of(known, key), wanted = stored(key);
    if (!is_at(place, &wanted)) {
        memmove(place + 1, place, (PER_BUCKET - 1) * sizeof *place);
        place[0] = wanted;
    }
    return 0;
}
