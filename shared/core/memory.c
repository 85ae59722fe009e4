/* The messages seen lately, and their present status: Memory of services/chat/memory.py, compiled.
 *
 * A ring of the last `limit` messages, oldest first, and a table of chains by which one is found.
 */
#include "core.h"

typedef struct {
    Pair *pair;
    uint64_t snowflake;
    uint32_t next; /* in its chain: the index after, plus one */
    int status;
} Entry;

struct Memory {
    PyObject_HEAD
    PyObject *find;
    PyObject *pairs; /* (author, recipient) → Pair, while anything is remembered of it */
    Entry *ring;
    uint32_t *chains; /* index of the first, plus one */
    uint32_t limit, used, oldest, mask;
};

/* Pairs ------------------------------------------------------------------------------------------------------ */

static void pair_dealloc(Pair *self)
{
    Py_XDECREF(self->key);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

PyTypeObject PairType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "shared._core.Pair",
    .tp_basicsize = sizeof(Pair),
    .tp_dealloc = (destructor)pair_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT,
};

/* The pair, with one use more; NULL with an error. */
Pair *memory_pair(Memory *self, PyObject *author, PyObject *recipient)
{
    PyObject *key = PyTuple_Pack(2, author, recipient);
    if (key == NULL)
        return NULL;
    Pair *pair = (Pair *)PyDict_GetItemWithError(self->pairs, key);
    if (pair == NULL && !PyErr_Occurred()) {
        Py_hash_t hash = PyObject_Hash(key);
        pair = hash == -1 ? NULL : PyObject_New(Pair, &PairType);
        if (pair != NULL) {
            pair->key = Py_NewRef(key);
            pair->hash = (uint64_t)hash;
            pair->uses = 0;
            int failed = PyDict_SetItem(self->pairs, key, (PyObject *)pair);
            Py_DECREF(pair); /* the table's, while it is used */
            if (failed)
                pair = NULL;
        }
    }
    Py_DECREF(key);
    if (pair != NULL)
        pair->uses++;
    return pair;
}

void memory_release(Memory *self, Pair *pair)
{
    if (--pair->uses == 0) {
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        if (PyDict_DelItem(self->pairs, pair->key))
            PyErr_WriteUnraisable((PyObject *)self);
        PyErr_Restore(type, value, traceback);
    }
}

/* The table ---------------------------------------------------------------------------------------------------- */

static uint32_t *chain_of(Memory *self, const Pair *pair, uint64_t snowflake)
{
    return &self->chains[(uint32_t)mixed(pair->hash ^ snowflake) & self->mask];
}

static Entry *entry_of(Memory *self, const Pair *pair, uint64_t snowflake)
{
    for (uint32_t at = *chain_of(self, pair, snowflake); at; at = self->ring[at - 1].next)
        if (self->ring[at - 1].pair == pair && self->ring[at - 1].snowflake == snowflake)
            return &self->ring[at - 1];
    return NULL;
}

static void forget_oldest(Memory *self)
{
    Entry *entry = &self->ring[self->oldest];
    uint32_t index = self->oldest + 1, *link = chain_of(self, entry->pair, entry->snowflake);
    while (*link != index)
        link = &self->ring[*link - 1].next;
    *link = entry->next;
    memory_release(self, entry->pair);
    self->oldest = index == self->limit ? 0 : index;
    self->used--;
}

int memory_status(Memory *self, Pair *pair, uint64_t snowflake)
{
    const Entry *entry = entry_of(self, pair, snowflake);
    return entry == NULL ? UNKNOWN_MESSAGE : entry->status;
}

/* Remember a message and its status, and forget the oldest. */
int memory_note(Memory *self, Pair *pair, uint64_t snowflake, int status)
{
    Entry *entry = entry_of(self, pair, snowflake);
    if (entry != NULL) {
        entry->status = status;
        return 0;
    }
    if (self->used == self->limit)
        forget_oldest(self);
    uint32_t at = (uint32_t)(((uint64_t)self->oldest + self->used) % self->limit);
    uint32_t *chain = chain_of(self, pair, snowflake);
    self->ring[at] = (Entry){pair, snowflake, *chain, status};
    *chain = at + 1;
    self->used++;
    pair->uses++;
    return 0;
}

/* For Python ----------------------------------------------------------------------------------------------------- */

static PyObject *memory_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *words[] = {"find", "limit", NULL};
    PyObject *find;
    unsigned int limit = 50000;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|I", words, &find, &limit))
        return NULL;
    if (limit == 0 || limit > 1u << 30) {
        PyErr_SetString(PyExc_ValueError, "no such limit");
        return NULL;
    }
    Memory *self = (Memory *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->mask = 1;
    while (self->mask < limit)
        self->mask <<= 1;
    self->find = Py_NewRef(find);
    self->limit = limit;
    self->pairs = PyDict_New();
    self->ring = calloc(limit, sizeof(Entry)); /* the system gives pages as they are used */
    self->chains = calloc(self->mask, sizeof(uint32_t));
    self->mask--;
    if (self->pairs == NULL || self->ring == NULL || self->chains == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static int memory_traverse(Memory *self, visitproc visit, void *arg)
{
    Py_VISIT(self->find);
    Py_VISIT(self->pairs);
    return 0;
}

static int memory_clear(Memory *self)
{
    Py_CLEAR(self->find);
    return 0;
}

static void memory_dealloc(Memory *self)
{
    PyObject_GC_UnTrack(self);
    Py_XDECREF(self->find);
    Py_XDECREF(self->pairs);
    free(self->ring);
    free(self->chains);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

/* Take a key apart: (author, snowflake, recipient). 0 also where nothing is remembered of such a pair. */
static int take_key(Memory *self, PyObject *key, Pair **pair, uint64_t *snowflake)
{
    if (!PyTuple_Check(key) || PyTuple_GET_SIZE(key) != 3) {
        PyErr_SetString(PyExc_TypeError, "a key is (author, snowflake, recipient)");
        return -1;
    }
    *snowflake = PyLong_AsUnsignedLongLong(PyTuple_GET_ITEM(key, 1));
    if (*snowflake == (uint64_t)-1 && PyErr_Occurred())
        return -1;
    PyObject *two = PyTuple_Pack(2, PyTuple_GET_ITEM(key, 0), PyTuple_GET_ITEM(key, 2));
    if (two == NULL)
        return -1;
    *pair = (Pair *)PyDict_GetItemWithError(self->pairs, two);
    Py_DECREF(two);
    return *pair == NULL && PyErr_Occurred() ? -1 : 0;
}

static PyObject *memory_py_status(Memory *self, PyObject *key)
{
    Pair *pair;
    uint64_t snowflake;
    if (take_key(self, key, &pair, &snowflake))
        return NULL;
    int status = pair == NULL ? UNKNOWN_MESSAGE : memory_status(self, pair, snowflake);
    return status < 0 ? Py_NewRef(Py_None) : PyLong_FromLong(status);
}

static int note_key(Memory *self, PyObject *key, uint64_t snowflake, int status)
{
    if (snowflake == 0) /* nobody's number */
        return 0;
    Pair *pair = memory_pair(self, PyTuple_GET_ITEM(key, 0), PyTuple_GET_ITEM(key, 2));
    if (pair == NULL)
        return -1;
    memory_note(self, pair, snowflake, status);
    memory_release(self, pair);
    return 0;
}

static PyObject *memory_py_note(Memory *self, PyObject *const *arguments, Py_ssize_t count)
{
    Pair *pair;
    uint64_t snowflake;
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "note takes a key and a status");
        return NULL;
    }
    if (take_key(self, arguments[0], &pair, &snowflake))
        return NULL;
    int status = NO_STATUS;
    if (arguments[1] != Py_None) {
        status = (int)PyLong_AsLong(arguments[1]);
        if (status == -1 && PyErr_Occurred())
            return NULL;
    }
    return note_key(self, arguments[0], snowflake, status) ? NULL : Py_NewRef(Py_None);
}

static PyObject *memory_py_knows(Memory *self, PyObject *key)
{
    Pair *pair;
    uint64_t snowflake;
    if (take_key(self, key, &pair, &snowflake))
        return NULL;
    if (pair != NULL && memory_status(self, pair, snowflake) != UNKNOWN_MESSAGE)
        return Py_NewRef(Py_True);
    PyObject *found = PyObject_CallOneArg(self->find, key);
    if (found == NULL)
        return NULL;
    int is_known = found != Py_None && snowflake != 0;
    int status = is_known ? (int)PyLong_AsLong(found) : NO_STATUS;
    Py_DECREF(found);
    if (PyErr_Occurred() || (is_known && note_key(self, key, snowflake, status)))
        return NULL;
    return PyBool_FromLong(is_known);
}

static Py_ssize_t memory_length(Memory *self)
{
    return self->used;
}

static PyMethodDef memory_methods[] = {
    {"knows", (PyCFunction)memory_py_knows, METH_O, "Whether this message came before."},
    {"status", (PyCFunction)memory_py_status, METH_O, "What its author was told last."},
    {"note", (PyCFunction)(void (*)(void))memory_py_note, METH_FASTCALL, "Remember a message and its status."},
    {NULL, NULL, 0, NULL},
};

static PySequenceMethods memory_sequence = {.sq_length = (lenfunc)memory_length};

PyTypeObject MemoryType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "shared._core.Memory",
    .tp_basicsize = sizeof(Memory),
    .tp_dealloc = (destructor)memory_dealloc,
    .tp_as_sequence = &memory_sequence,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_traverse = (traverseproc)memory_traverse,
    .tp_clear = (inquiry)memory_clear,
    .tp_methods = memory_methods,
    .tp_new = memory_new,
};
