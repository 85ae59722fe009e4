/* What is counted where much happens, as plain numbers: shared/telemetry/tallies.py has the twins. */
#include "io/tallies.h"

#include <structmember.h>

enum { SLOTS = 128 };

/* Counts: a number for each of some names ---------------------------------------------------------------------- */

typedef struct {
    const char *text; /* of the name in the tuple */
    Py_ssize_t length;
    int64_t number;
} Count;

typedef struct {
    PyObject_HEAD
    PyObject *names; /* a tuple of ASCII strings; the last stands for all that is not among them */
    Count *counts;   /* of each */
    Count *likely[SLOTS];
} Counts;

static unsigned slot_of(const char *text, Py_ssize_t length)
{
    return (unsigned)(length * 7 + (unsigned char)text[0] + 3 * (unsigned char)text[length - 1]) % SLOTS;
}

static int is_named(const Count *count, const char *text, Py_ssize_t length)
{
    return count->length == length && memcmp(count->text, text, (size_t)length) == 0;
}

void counts_add(PyObject *counts, const char *text, Py_ssize_t length, Py_ssize_t more)
{
    Counts *self = (Counts *)counts;
    Count *last = self->counts + PyTuple_GET_SIZE(self->names) - 1, *count = last;
    if (length && (count = self->likely[slot_of(text, length)]) == NULL)
        count = last;
    while (count < last && !is_named(count, text, length))
        count++;
    count->number += more;
}

void counts_add_name(PyObject *counts, PyObject *name, Py_ssize_t more)
{
    int is_ascii = PyUnicode_IS_ASCII(name);
    counts_add(counts, is_ascii ? (char *)PyUnicode_1BYTE_DATA(name) : "",
               is_ascii ? PyUnicode_GET_LENGTH(name) : 0, more);
}

static PyObject *counts_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *kwlist[] = {"names", NULL};
    PyObject *names;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O", kwlist, &names))
        return NULL;
    Counts *self = (Counts *)type->tp_alloc(type, 0);
    if (self == NULL || (self->names = PySequence_Tuple(names)) == NULL) {
        Py_XDECREF(self);
        return NULL;
    }
    Py_ssize_t size = PyTuple_GET_SIZE(self->names);
    self->counts = PyMem_Calloc((size_t)size + 1, sizeof *self->counts);
    if (self->counts == NULL)
        PyErr_NoMemory();
    else if (size == 0)
        PyErr_SetString(PyExc_ValueError, "there are no names");
    for (Py_ssize_t i = 0; i < size && !PyErr_Occurred(); i++) {
        PyObject *name = PyTuple_GET_ITEM(self->names, i);
        if (!PyUnicode_Check(name) || !PyUnicode_IS_ASCII(name) || PyUnicode_GET_LENGTH(name) == 0) {
            PyErr_SetString(PyExc_TypeError, "names are ASCII strings");
            break;
        }
        Count *count = &self->counts[i];
        count->text = (const char *)PyUnicode_1BYTE_DATA(name);
        count->length = PyUnicode_GET_LENGTH(name);
        Count **likely = &self->likely[slot_of(count->text, count->length)];
        if (*likely == NULL) /* names that share a slot are looked for from the first of them on */
            *likely = count;
    }
    if (PyErr_Occurred())
        Py_CLEAR(self);
    return (PyObject *)self;
}

static void counts_dealloc(Counts *self)
{
    Py_XDECREF(self->names);
    PyMem_Free(self->counts);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyObject *py_counts_add(Counts *self, PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 2 || !PyUnicode_Check(arguments[0])) {
        PyErr_SetString(PyExc_TypeError, "add(name, more)");
        return NULL;
    }
    Py_ssize_t more = PyLong_AsSsize_t(arguments[1]);
    if (more == -1 && PyErr_Occurred())
        return NULL;
    counts_add_name((PyObject *)self, arguments[0], more);
    return Py_NewRef(Py_None);
}

static PyObject *counts_items(Counts *self, PyObject *Py_UNUSED(none))
{
    PyObject *pairs = PyList_New(0);
    for (Py_ssize_t i = 0; pairs != NULL && i < PyTuple_GET_SIZE(self->names); i++) {
        PyObject *pair = Py_BuildValue("OL", PyTuple_GET_ITEM(self->names, i), (long long)self->counts[i].number);
        if (pair == NULL || PyList_Append(pairs, pair))
            Py_CLEAR(pairs);
        Py_XDECREF(pair);
    }
    return pairs;
}

static Py_ssize_t counts_length(Counts *self)
{
    return PyTuple_GET_SIZE(self->names);
}

static PyMethodDef counts_methods[] = {
    {"add", (PyCFunction)(void (*)(void))py_counts_add, METH_FASTCALL, "Count so many more of a name."},
    {"items", (PyCFunction)counts_items, METH_NOARGS, "Each name and its number."},
    {NULL, NULL, 0, NULL},
};

static PyMappingMethods counts_mapping = {.mp_length = (lenfunc)counts_length};

PyTypeObject CountsType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "parley.shared._core.Counts",
    .tp_basicsize = sizeof(Counts),
    .tp_dealloc = (destructor)counts_dealloc,
    .tp_as_mapping = &counts_mapping,
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_methods = counts_methods,
    .tp_new = counts_new,
};

/* Buckets: a histogram ----------------------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    PyObject *bounds; /* a tuple */
    double *limits;   /* the same */
    int64_t *counts;  /* one more */
    double total;
} Buckets;

static void observe(Buckets *self, double value, Py_ssize_t times)
{
    Py_ssize_t bucket = 0, last = PyTuple_GET_SIZE(self->bounds);
    while (bucket < last && self->limits[bucket] < value) /* one after another: most values are small */
        bucket++;
    self->counts[bucket] += times;
    self->total += value * (double)times;
}

static PyObject *buckets_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *kwlist[] = {"bounds", NULL};
    PyObject *bounds;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O", kwlist, &bounds))
        return NULL;
    Buckets *self = (Buckets *)type->tp_alloc(type, 0);
    if (self == NULL || (self->bounds = PySequence_Tuple(bounds)) == NULL) {
        Py_XDECREF(self);
        return NULL;
    }
    size_t count = (size_t)PyTuple_GET_SIZE(self->bounds);
    self->limits = PyMem_Calloc(count + 1, sizeof *self->limits);
    self->counts = PyMem_Calloc(count + 1, sizeof *self->counts);
    if (self->limits == NULL || self->counts == NULL)
        PyErr_NoMemory();
    for (size_t i = 0; i < count && !PyErr_Occurred(); i++)
        self->limits[i] = PyFloat_AsDouble(PyTuple_GET_ITEM(self->bounds, (Py_ssize_t)i));
    if (PyErr_Occurred()) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void buckets_dealloc(Buckets *self)
{
    Py_XDECREF(self->bounds);
    PyMem_Free(self->limits);
    PyMem_Free(self->counts);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyObject *buckets_observe(Buckets *self, PyObject *const *arguments, Py_ssize_t count)
{
    if (count < 1 || count > 2) {
        PyErr_SetString(PyExc_TypeError, "observe(value, times=1)");
        return NULL;
    }
    double value = PyFloat_AsDouble(arguments[0]);
    Py_ssize_t times = count == 2 ? PyLong_AsSsize_t(arguments[1]) : 1;
    if (PyErr_Occurred())
        return NULL;
    observe(self, value, times);
    return Py_NewRef(Py_None);
}

static PyObject *buckets_counts(Buckets *self, void *Py_UNUSED(closure))
{
    Py_ssize_t count = PyTuple_GET_SIZE(self->bounds) + 1;
    PyObject *counts = PyList_New(count);
    for (Py_ssize_t i = 0; counts != NULL && i < count; i++) {
        PyObject *number = PyLong_FromLongLong(self->counts[i]);
        if (number == NULL)
            Py_CLEAR(counts);
        else
            PyList_SET_ITEM(counts, i, number);
    }
    return counts;
}

static PyMethodDef buckets_methods[] = {
    {"observe", (PyCFunction)(void (*)(void))buckets_observe, METH_FASTCALL, "Count a value, so many times."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef buckets_attributes[] = {
    {"counts", (getter)buckets_counts, NULL, "How many values are in each bucket.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef buckets_members[] = {
    {"bounds", T_OBJECT_EX, offsetof(Buckets, bounds), READONLY, NULL},
    {"total", T_DOUBLE, offsetof(Buckets, total), READONLY, "The sum of the values."},
    {NULL, 0, 0, 0, NULL},
};

PyTypeObject BucketsType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "parley.shared._core.Buckets",
    .tp_basicsize = sizeof(Buckets),
    .tp_dealloc = (destructor)buckets_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .tp_methods = buckets_methods,
    .tp_getset = buckets_attributes,
    .tp_members = buckets_members,
    .tp_new = buckets_new,
};

/* Deliveries: how many, and how long they took, to recipients here and elsewhere ------------------------------- */

typedef struct {
    PyObject_HEAD
    PyObject *buckets[2]; /* of those elsewhere, of those here */
    long long counts[2];
} Tally;

int tally_deliveries(PyObject *tally, int is_local, double seconds, Py_ssize_t count)
{
    if (!Py_IS_TYPE(tally, &DeliveriesType))
        return 0;
    Tally *self = (Tally *)tally;
    self->counts[is_local] += count;
    observe((Buckets *)self->buckets[is_local], seconds, count);
    return 1;
}

static PyObject *deliveries_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *kwlist[] = {"local", "remote", NULL};
    PyObject *local, *remote;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!O!", kwlist, &BucketsType, &local, &BucketsType,
                                     &remote))
        return NULL;
    Tally *self = (Tally *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->buckets[1] = Py_NewRef(local);
        self->buckets[0] = Py_NewRef(remote);
    }
    return (PyObject *)self;
}

static void deliveries_dealloc(Tally *self)
{
    Py_XDECREF(self->buckets[0]);
    Py_XDECREF(self->buckets[1]);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMemberDef deliveries_members[] = {
    {"local", T_LONGLONG, offsetof(Tally, counts) + sizeof(long long), READONLY, "How many, to recipients here."},
    {"remote", T_LONGLONG, offsetof(Tally, counts), READONLY, "How many, to recipients elsewhere."},
    {NULL, 0, 0, 0, NULL},
};

PyTypeObject DeliveriesType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "parley.shared._core.Deliveries",
    .tp_basicsize = sizeof(Tally),
    .tp_dealloc = (destructor)deliveries_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_members = deliveries_members,
    .tp_new = deliveries_new,
};
