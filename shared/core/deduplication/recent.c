/* The messages seen lately, and their present status: RecentMessages of services/chat/deduplication/recent.py,
 * compiled.
 *
 * A ring of the last `limit` messages, oldest first, and a table of chains by which one is found.
 */
#include "deduplication/recent.h"

#include "deduplication/stored.h"

typedef struct {
    MessageKey key;
    uint32_t next; /* in its chain: the index after, plus one */
    int status;
} Entry;

struct RecentMessages {
    PyObject_HEAD
    PyObject *find, *stored_keys, *delivered_keys;
    Entry *ring;
    uint32_t *chains; /* index of the first, plus one */
    uint32_t limit, used, oldest, mask;
};

/* Nobody can choose keys that meet: they are made with a secret. */
static uint32_t *chain_of(RecentMessages *self, const MessageKey *key)
{
    return &self->chains[(uint32_t)key->high & self->mask];
}

static Entry *entry_of(RecentMessages *self, const MessageKey *key)
{
    for (uint32_t at = *chain_of(self, key); at; at = self->ring[at - 1].next)
        if (self->ring[at - 1].key.low == key->low && self->ring[at - 1].key.high == key->high)
            return &self->ring[at - 1];
    return NULL;
}

static void forget_oldest(RecentMessages *self)
{
    Entry *entry = &self->ring[self->oldest];
    uint32_t index = self->oldest + 1, *link = chain_of(self, &entry->key);
    while (*link != index)
        link = &self->ring[*link - 1].next;
    *link = entry->next;
    self->oldest = index == self->limit ? 0 : index;
    self->used--;
}

int recent_status(RecentMessages *self, const MessageKey *key)
{
    const Entry *entry = entry_of(self, key);
    return entry == NULL ? UNKNOWN_MESSAGE : entry->status;
}

/* Remember a message and its status, and forget the oldest. */
void recent_note(RecentMessages *self, const MessageKey *key, int status)
{
    Entry *entry = entry_of(self, key);
    if (entry != NULL) {
        entry->status = status;
        return;
    }
    if (self->used == self->limit)
        forget_oldest(self);
    uint32_t at = (uint32_t)(((uint64_t)self->oldest + self->used) % self->limit);
    uint32_t *chain = chain_of(self, key);
    self->ring[at] = (Entry){*key, *chain, status};
    *chain = at + 1;
    self->used++;
}

/* For Python --------------------------------------------------------------------------------------------------- */

static PyObject *recent_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *kwlist[] = {"find", "limit", "stored_keys", "delivered_keys", NULL};
    PyObject *find, *stored_keys = Py_None, *delivered_keys = Py_None;
    unsigned int limit = 50000;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|IOO", kwlist, &find, &limit, &stored_keys,
                                     &delivered_keys))
        return NULL;
    if (limit == 0 || limit > 1u << 30) {
        PyErr_SetString(PyExc_ValueError, "no such limit");
        return NULL;
    }
    RecentMessages *self = (RecentMessages *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->mask = 1;
    while (self->mask < limit)
        self->mask <<= 1;
    self->find = Py_NewRef(find);
    self->stored_keys = Py_NewRef(stored_keys);
    self->delivered_keys = Py_NewRef(delivered_keys);
    self->limit = limit;
    self->ring = calloc(limit, sizeof(Entry)); /* the system gives pages as they are used */
    self->chains = calloc(self->mask, sizeof(uint32_t));
    self->mask--;
    if (self->ring == NULL || self->chains == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static int recent_traverse(RecentMessages *self, visitproc visit, void *arg)
{
    Py_VISIT(self->find);
    Py_VISIT(self->stored_keys);
    Py_VISIT(self->delivered_keys);
    return 0;
}

static int recent_clear(RecentMessages *self)
{
    Py_CLEAR(self->find);
    return 0;
}

static void recent_dealloc(RecentMessages *self)
{
    PyObject_GC_UnTrack(self);
    Py_XDECREF(self->find);
    Py_XDECREF(self->stored_keys);
    Py_XDECREF(self->delivered_keys);
    free(self->ring);
    free(self->chains);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

/* 1: a key. 0: empty, by which nothing is recognised. -1: an error. */
static int take_key(PyObject *bytes, MessageKey *key)
{
    if (PyBytes_Check(bytes) && PyBytes_GET_SIZE(bytes) == 0)
        return 0;
    return message_key_read(bytes, key) ? -1 : 1;
}

static PyObject *recent_py_status(RecentMessages *self, PyObject *bytes)
{
    MessageKey key;
    int is_key = take_key(bytes, &key);
    if (is_key < 0)
        return NULL;
    int status = is_key ? recent_status(self, &key) : UNKNOWN_MESSAGE;
    return status < 0 ? Py_NewRef(Py_None) : PyLong_FromLong(status);
}

static PyObject *recent_py_note(RecentMessages *self, PyObject *const *arguments, Py_ssize_t count)
{
    MessageKey key;
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "note takes a key and a status");
        return NULL;
    }
    int is_key = take_key(arguments[0], &key), status = NO_STATUS;
    if (is_key < 0)
        return NULL;
    if (arguments[1] != Py_None) {
        status = (int)PyLong_AsLong(arguments[1]);
        if (status == -1 && PyErr_Occurred())
            return NULL;
    }
    if (is_key)
        recent_note(self, &key, status);
    Py_RETURN_NONE;
}

/* Whether it may be on disk, or have been: `find` is asked then. 0: it is not; -1: an error. */
static int may_be_found(RecentMessages *self, const MessageKey *key)
{
    if (self->stored_keys == Py_None)
        return 1;
    StoredLookup stored = {.stored_keys = self->stored_keys, .delivered_keys = self->delivered_keys};
    int found = stored_has(&stored, key);
    stored_close(&stored);
    return found;
}

static PyObject *recent_py_knows(RecentMessages *self, PyObject *bytes)
{
    MessageKey key;
    int is_key = take_key(bytes, &key);
    if (is_key < 0)
        return NULL;
    if (!is_key)
        Py_RETURN_FALSE;
    if (recent_status(self, &key) != UNKNOWN_MESSAGE)
        Py_RETURN_TRUE;
    int may_be = may_be_found(self, &key);
    if (may_be <= 0)
        return may_be < 0 ? NULL : Py_NewRef(Py_False);
    PyObject *found = PyObject_CallOneArg(self->find, bytes);
    if (found == NULL)
        return NULL;
    int is_known = found != Py_None, status = is_known ? (int)PyLong_AsLong(found) : NO_STATUS;
    Py_DECREF(found);
    if (PyErr_Occurred())
        return NULL;
    if (is_known)
        recent_note(self, &key, status);
    return PyBool_FromLong(is_known);
}

static Py_ssize_t recent_length(RecentMessages *self)
{
    return self->used;
}

static PyMethodDef recent_methods[] = {
    {"knows", (PyCFunction)recent_py_knows, METH_O, "Whether this message came before."},
    {"status", (PyCFunction)recent_py_status, METH_O, "What its author was told last."},
    {"note", (PyCFunction)(void (*)(void))recent_py_note, METH_FASTCALL, "Remember a message and its status."},
    {NULL, NULL, 0, NULL},
};

static PySequenceMethods recent_sequence = {.sq_length = (lenfunc)recent_length};

PyTypeObject RecentMessagesType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "parley.shared._core.RecentMessages",
    .tp_basicsize = sizeof(RecentMessages),
    .tp_dealloc = (destructor)recent_dealloc,
    .tp_as_sequence = &recent_sequence,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_traverse = (traverseproc)recent_traverse,
    .tp_clear = (inquiry)recent_clear,
    .tp_methods = recent_methods,
    .tp_new = recent_new,
};
