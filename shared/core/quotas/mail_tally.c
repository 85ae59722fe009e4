/* Who has how much mail, in tables of a fixed size: MailTally of services/chat/storage/quotas.py, compiled.
 *
 * It is handed the parts that a message counts for, each (is_author, (slot, other slot)), and the limits; it knows
 * neither names nor configuration.
 */
#include "quotas/mail_tally.h"

typedef struct {
    int64_t count, size;
} Amount;

typedef struct {
    PyObject_HEAD
    Amount *amounts;
    Py_ssize_t slots;
    long long few;
} Tally;

typedef struct {
    int is_author;
    Py_ssize_t one, other;
} Part;

/* MailTally(width, few) */
static PyObject *tally_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *kwlist[] = {"width", "few", NULL};
    Py_ssize_t width;
    long long few;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "nL", kwlist, &width, &few))
        return NULL;
    if (width <= 0 || width > 1 << 24) {
        PyErr_SetString(PyExc_ValueError, "no such width");
        return NULL;
    }
    Tally *self = (Tally *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->slots = 2 * width;
    self->few = few;
    self->amounts = calloc((size_t)self->slots, sizeof(Amount)); /* the system gives pages as they are used */
    if (self->amounts == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static void tally_dealloc(Tally *self)
{
    free(self->amounts);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static int is_pair(PyObject *object)
{
    return PyTuple_Check(object) && PyTuple_GET_SIZE(object) == 2;
}

static Py_ssize_t read_slot(const Tally *self, PyObject *number)
{
    Py_ssize_t slot = PyLong_AsSsize_t(number);
    if (slot >= 0 && slot < self->slots)
        return slot;
    if (!PyErr_Occurred())
        PyErr_SetString(PyExc_IndexError, "there is no such slot");
    return -1;
}

static int read_slots(const Tally *self, PyObject *slots, Part *part)
{
    if (!is_pair(slots)) {
        PyErr_SetString(PyExc_TypeError, "a key has two slots");
        return -1;
    }
    part->one = read_slot(self, PyTuple_GET_ITEM(slots, 0));
    part->other = part->one < 0 ? -1 : read_slot(self, PyTuple_GET_ITEM(slots, 1));
    return part->other < 0 ? -1 : 0;
}

static int read_part(const Tally *self, PyObject *object, Part *part)
{
    if (!is_pair(object)) {
        PyErr_SetString(PyExc_TypeError, "a part is (is_author, slots)");
        return -1;
    }
    part->is_author = PyTuple_GET_ITEM(object, 0) == Py_True;
    return read_slots(self, PyTuple_GET_ITEM(object, 1), part);
}

static void add(Amount *amount, int64_t count, int64_t size)
{
    amount->count += count;
    amount->size += size;
}

/* count(parts, count, size) */
static PyObject *tally_count(Tally *self, PyObject *const *arguments, Py_ssize_t given)
{
    if (given != 3 || !PyTuple_Check(arguments[0])) {
        PyErr_SetString(PyExc_TypeError, "count(parts, count, size)");
        return NULL;
    }
    int64_t count = PyLong_AsLongLong(arguments[1]), size = PyLong_AsLongLong(arguments[2]);
    if (PyErr_Occurred())
        return NULL;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(arguments[0]); i++) {
        Part part;
        if (read_part(self, PyTuple_GET_ITEM(arguments[0], i), &part))
            return NULL;
        add(&self->amounts[part.one], count, size);
        add(&self->amounts[part.other], count, size);
    }
    Py_RETURN_NONE;
}

static int64_t least(int64_t one, int64_t other)
{
    int64_t found = one < other ? one : other;
    return found > 0 ? found : 0;
}

static Amount amount_of(const Tally *self, const Tally *before, const Part *part)
{
    Amount one = self->amounts[part->one], other = self->amounts[part->other];
    if (before != NULL) {
        add(&one, before->amounts[part->one].count, before->amounts[part->one].size);
        add(&other, before->amounts[part->other].count, before->amounts[part->other].size);
    }
    return (Amount){least(one.count, other.count), least(one.size, other.size)};
}

/* Whether that is a tally of as many slots, or None; NULL and no error: None. */
static const Tally *read_before(const Tally *self, PyObject *object)
{
    if (object == Py_None)
        return NULL;
    if (Py_IS_TYPE(object, Py_TYPE(self)) && ((const Tally *)object)->slots == self->slots)
        return (const Tally *)object;
    PyErr_SetString(PyExc_TypeError, "no such tally");
    return NULL;
}

/* amount(slots, before) */
static PyObject *tally_amount(Tally *self, PyObject *const *arguments, Py_ssize_t given)
{
    Part part;
    if (given != 2) {
        PyErr_SetString(PyExc_TypeError, "amount(slots, before)");
        return NULL;
    }
    const Tally *before = read_before(self, arguments[1]);
    if (PyErr_Occurred() || read_slots(self, arguments[0], &part))
        return NULL;
    Amount found = amount_of(self, before, &part);
    return Py_BuildValue("LL", (long long)found.count, (long long)found.size);
}

/* Whether somebody who has `mine` may have `more`; who has nothing may have `first` in any case. */
static int is_within(double share, int64_t room, int64_t used, int64_t mine, int64_t more, double first)
{
    double left = (double)(used > mine ? room - (used - mine) : room), wanted = (double)(mine + more);
    return wanted <= share * left * left / (double)room || wanted <= first;
}

static int read_amount(PyObject *object, Amount *amount)
{
    if (!is_pair(object)) {
        PyErr_SetString(PyExc_TypeError, "an amount is (messages, bytes)");
        return -1;
    }
    *amount = (Amount){PyLong_AsLongLong(PyTuple_GET_ITEM(object, 0)), PyLong_AsLongLong(PyTuple_GET_ITEM(object, 1))};
    return PyErr_Occurred() ? -1 : 0;
}

static const char *why_over(const Tally *self, const Tally *before, const Part *part, double share, Amount room,
                            Amount used, int64_t more)
{
    Amount mine = amount_of(self, before, part);
    if (room.count >= self->few && !is_within(share, room.count, used.count, mine.count, 1, 1.0))
        return "messages";
    double first = 0.0;
    if (mine.count == 0 && room.size > used.size)
        first = (double)(room.size - used.size) * (used.size ? share : 1.0);
    return is_within(share, room.size, used.size, mine.size, more, first) ? "" : "bytes";
}

/* why_over_share(parts, author_share, server_share, room, used, more, before) */
static PyObject *tally_why_over_share(Tally *self, PyObject *const *arguments, Py_ssize_t given)
{
    if (given != 7 || !PyTuple_Check(arguments[0])) {
        PyErr_SetString(PyExc_TypeError, "why_over_share(parts, author, server, room, used, more, before)");
        return NULL;
    }
    Amount room, used;
    double author_share = PyFloat_AsDouble(arguments[1]), server_share = PyFloat_AsDouble(arguments[2]);
    int64_t more = PyErr_Occurred() ? -1 : PyLong_AsLongLong(arguments[5]);
    const Tally *before = PyErr_Occurred() ? NULL : read_before(self, arguments[6]);
    if (PyErr_Occurred() || read_amount(arguments[3], &room) || read_amount(arguments[4], &used))
        return NULL;
    const char *why = "";
    for (Py_ssize_t i = 0; !*why && i < PyTuple_GET_SIZE(arguments[0]); i++) {
        Part part;
        if (read_part(self, PyTuple_GET_ITEM(arguments[0], i), &part))
            return NULL;
        double share = part.is_author ? author_share : server_share;
        if (share < 1.0)
            why = why_over(self, before, &part, share, room, used, more);
    }
    return PyUnicode_FromString(why);
}

static PyMethodDef tally_methods[] = {
    {"count", (PyCFunction)(void (*)(void))tally_count, METH_FASTCALL, "Count so much, or less."},
    {"amount", (PyCFunction)(void (*)(void))tally_amount, METH_FASTCALL, "The amount of a key."},
    {"why_over_share", (PyCFunction)(void (*)(void))tally_why_over_share, METH_FASTCALL,
     "Why one message more is too much for one of these parts."},
    {NULL, NULL, 0, NULL},
};

PyTypeObject MailTallyType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "parley.shared._core.MailTally",
    .tp_basicsize = sizeof(Tally),
    .tp_dealloc = (destructor)tally_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_methods = tally_methods,
    .tp_new = tally_new,
};
