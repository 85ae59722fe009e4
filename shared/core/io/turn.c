/* One loop's links with something to write, and the cost of a turn: shared/link/turn.py, compiled. */
#include "io/turn.h"

#include <structmember.h>

#include "io/python_side.h"

static FlushLink flush_link;

/* A turn knows links by this alone: it is below them. */
void turn_flushes_with(FlushLink flush)
{
    flush_link = flush;
}

/* Keep the error that there is, or the one that was before. */
static void keep_first_error(PyObject **type, PyObject **value, PyObject **traceback)
{
    if (*type == NULL)
        PyErr_Fetch(type, value, traceback);
    else
        PyErr_WriteUnraisable(NULL);
}

/* Flush a link at the end of the read that is handled, or else of this turn of the loop. */
int turn_flush_later(Turn *turn, PyObject *link)
{
    if (turn->is_reading)
        return PyList_Append(turn->links, link);
    PyObject *flush = PyObject_GetAttr(link, io_name.flush);
    PyObject *handle = flush == NULL ? NULL : PyObject_CallOneArg(turn->call_soon, flush);
    Py_XDECREF(flush);
    Py_XDECREF(handle);
    return handle == NULL ? -1 : 0;
}

/* So much was held that all buffers are to be looked at. */
static int look_later(Turn *turn)
{
    turn->held = 0;
    if (turn->look == Py_None || PyErr_Occurred())
        return 0;
    PyObject *handle = PyObject_CallOneArg(turn->call_soon, turn->look);
    Py_XDECREF(handle);
    return handle == NULL ? -1 : 0;
}

/* The read is handled: write all that was sent meanwhile, whatever one of them meets. */
int turn_end(Turn *turn)
{
    turn->is_reading = 0;
    if (turn->held > turn->look_every && look_later(turn))
        return -1;
    if (PyList_GET_SIZE(turn->links) == 0)
        return 0;
    PyObject *type = NULL, *value = NULL, *traceback = NULL, *links = turn->links;
    if (PyErr_Occurred())
        PyErr_Fetch(&type, &value, &traceback);
    PyObject *fresh = PyList_New(0);
    if (fresh == NULL) {
        keep_first_error(&type, &value, &traceback);
        PyErr_Restore(type, value, traceback);
        return -1;
    }
    turn->links = fresh;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(links); i++)
        if (flush_link(PyList_GET_ITEM(links, i)))
            keep_first_error(&type, &value, &traceback);
    Py_DECREF(links);
    if (type != NULL)
        PyErr_Restore(type, value, traceback);
    return type != NULL ? -1 : 0;
}

int turn_is_busy(Turn *turn, double now)
{
    if (!turn->is_busy) {
        if (now - turn->last > turn->pause)
            turn->round_began = now;
        turn->is_busy = now - turn->round_began > turn->round;
    }
    return turn->is_busy;
}

void turn_begin(Turn *turn, double now)
{
    turn->until = now + turn->slice;
    turn->produced = 0;
}

/* As a Python type --------------------------------------------------------------------------------------------- */

static PyObject *py_end(Turn *self, PyObject *Py_UNUSED(none))
{
    return turn_end(self) ? NULL : Py_NewRef(Py_None);
}

static PyObject *py_begin(Turn *self, PyObject *time)
{
    double now = PyFloat_AsDouble(time);
    if (now == -1.0 && PyErr_Occurred())
        return NULL;
    turn_begin(self, now);
    return Py_NewRef(Py_None);
}

static PyObject *py_begin_round(Turn *self, PyObject *time)
{
    double now = PyFloat_AsDouble(time);
    if (now == -1.0 && PyErr_Occurred())
        return NULL;
    self->is_busy = 0;
    self->round_began = self->last = now;
    return Py_NewRef(Py_None);
}

static PyObject *py_is_busy(Turn *self, PyObject *time)
{
    double now = PyFloat_AsDouble(time);
    if (now == -1.0 && PyErr_Occurred())
        return NULL;
    return PyBool_FromLong(turn_is_busy(self, now));
}

static PyObject *py_is_over(Turn *self, PyObject *time)
{
    double now = PyFloat_AsDouble(time);
    if (now == -1.0 && PyErr_Occurred())
        return NULL;
    return PyBool_FromLong(now >= self->until || self->produced >= self->most_produced);
}

static PyObject *turn_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *kwlist[] = {"call_soon", "bounds", NULL};
    PyObject *call_soon, *bounds;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OO!", kwlist, &call_soon, &PyTuple_Type, &bounds))
        return NULL;
    Turn *self = (Turn *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->call_soon = Py_NewRef(call_soon);
    self->links = PyList_New(0);
    self->look = Py_NewRef(Py_None);
    if (self->links == NULL || !PyArg_ParseTuple(bounds, "nnLdddL", &self->read, &self->send, &self->most_produced,
                                                 &self->slice, &self->round, &self->pause, &self->look_every))
        Py_CLEAR(self);
    return (PyObject *)self;
}

static int turn_traverse(Turn *self, visitproc visit, void *arg)
{
    Py_VISIT(self->call_soon);
    Py_VISIT(self->links);
    Py_VISIT(self->look);
    return 0;
}

static int turn_clear(Turn *self)
{
    Py_XSETREF(self->call_soon, Py_NewRef(Py_None));
    Py_XSETREF(self->look, Py_NewRef(Py_None));
    return 0;
}

static void turn_dealloc(Turn *self)
{
    PyObject_GC_UnTrack(self);
    Py_CLEAR(self->call_soon);
    Py_CLEAR(self->links);
    Py_CLEAR(self->look);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef turn_methods[] = {
    {"end", (PyCFunction)py_end, METH_NOARGS, "The read is handled: write."},
    {"begin", (PyCFunction)py_begin, METH_O, "A slice begins."},
    {"begin_round", (PyCFunction)py_begin_round, METH_O, "What comes is handled as it comes again."},
    {"is_busy", (PyCFunction)py_is_busy, METH_O, "Whether this round is used up."},
    {"is_over", (PyCFunction)py_is_over, METH_O, "Whether the slice is used up."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef turn_members[] = {
    {"is_reading", T_BOOL, offsetof(Turn, is_reading), 0, NULL},
    {"look", T_OBJECT, offsetof(Turn, look), 0, NULL},
    {"held", T_LONGLONG, offsetof(Turn, held), 0, NULL},
    {"last", T_DOUBLE, offsetof(Turn, last), 0, NULL},
    {"produced", T_LONGLONG, offsetof(Turn, produced), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyTypeObject TurnType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "parley.shared._core.Turn",
    .tp_basicsize = sizeof(Turn),
    .tp_dealloc = (destructor)turn_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_traverse = (traverseproc)turn_traverse,
    .tp_clear = (inquiry)turn_clear,
    .tp_methods = turn_methods,
    .tp_members = turn_members,
    .tp_new = turn_new,
};
