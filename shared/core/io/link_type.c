/* A link's hot half as a Python type, and what others may do with such a link. */
#include "io/link_type.h"

#include "io/frame_taker.h"
#include "io/frames.h"
#include "io/link.h"
#include "io/python_side.h"
#include "io/tallies.h"

#include <structmember.h>

/* Whether there is room; and sending, without a call. */
int link_is_writable(PyObject *link)
{
    if (!PyObject_TypeCheck(link, &LinkIOType))
        return -1;
    const LinkIO *self = (const LinkIO *)link;
    return !self->is_paused && self->queued < ((const Turn *)self->turn)->send;
}

int link_is_fluent(PyObject *link)
{
    return !PyObject_TypeCheck(link, &LinkIOType) || !((const LinkIO *)link)->translates_all;
}

/* Whether any payload of a run of frames ends in a line feed, as far as that can be told without reading it. */
static int has_line_feeds(PyObject *raw)
{
    const char *at = PyBytes_AS_STRING(raw), *end = at + PyBytes_GET_SIZE(raw);
    while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL && ++at < end)
        if (*at == '\n')
            return 1;
    return 0;
}

int link_send_run(PyObject *link, PyObject *raw, PyObject *name, Py_ssize_t count)
{
    LinkIO *self = (LinkIO *)link;
    if (count > 1 && self->sent != Py_None)
        counts_add_name(self->sent, name, count - 1);
    if (self->translate != Py_None && PyBytes_Check(raw) && (self->translates_all || has_line_feeds(raw)))
        return link_send_translated(self, raw);
    return link_send(self, raw);
}

static PyObject *py_data_received(LinkIO *self, PyObject *data)
{
    int failed = 0;
    if (!PyBytes_Check(data)) {
        PyErr_SetString(PyExc_TypeError, "what is read is bytes");
        return NULL;
    }
    Turn *turn = (Turn *)self->turn;
    double now = link_now(self);
    if (now == -1.0 && PyErr_Occurred())
        return NULL;
    if (self->has_backlog || PyBytes_GET_SIZE(data) > turn->read || turn_is_busy(turn, now)) {
        failed = link_read_on(self, data);
    } else {
        self->bytes_received += PyBytes_GET_SIZE(data);
        turn_begin(turn, now);
        failed = link_receive(self, data, now);
    }
    return failed ? NULL : Py_NewRef(Py_None);
}

static PyObject *py_receive(LinkIO *self, PyObject *data)
{
    double now = link_now(self);
    if (now == -1.0 && PyErr_Occurred())
        return NULL;
    return link_receive(self, data, now) ? NULL : Py_NewRef(Py_None);
}

static PyObject *py_pass_on(LinkIO *self, PyObject *frames)
{
    double now = link_now(self);
    if (now == -1.0 && PyErr_Occurred())
        return NULL;
    if (!PyList_Check(frames)) {
        PyErr_SetString(PyExc_TypeError, "frames are a list");
        return NULL;
    }
    return link_pass_on(self, frames, now) ? NULL : Py_NewRef(Py_None);
}

static PyObject *py_send(LinkIO *self, PyObject *raw)
{
    return link_send_translated(self, raw) ? NULL : Py_NewRef(Py_None);
}

static PyObject *py_send_run(LinkIO *self, PyObject *arguments)
{
    PyObject *raw, *name;
    Py_ssize_t count;
    if (!PyArg_ParseTuple(arguments, "SUn", &raw, &name, &count))
        return NULL;
    return link_send_run((PyObject *)self, raw, name, count) ? NULL : Py_NewRef(Py_None);
}

static PyObject *py_flush(LinkIO *self, PyObject *Py_UNUSED(none))
{
    return link_flush(self) ? NULL : Py_NewRef(Py_None);
}

static PyObject *py_use_fast_path(LinkIO *self, PyObject *arguments)
{
    PyObject *taker, *source;
    if (!PyArg_ParseTuple(arguments, "O!O", &FrameTakerType, &taker, &source))
        return NULL;
    Py_XSETREF(self->taker, Py_NewRef(taker));
    Py_XSETREF(self->source, Py_NewRef(source));
    Py_CLEAR(self->kept);
    return Py_NewRef(Py_None);
}

/* The link is over: let go of what waits to be written, and of the fast path. */
static PyObject *py_close(LinkIO *self, PyObject *Py_UNUSED(none))
{
    if (PyList_SetSlice(self->out, 0, PyList_GET_SIZE(self->out), NULL))
        return NULL;
    Py_XSETREF(self->taker, Py_NewRef(Py_None));
    Py_XSETREF(self->translate, Py_NewRef(Py_None));
    Py_CLEAR(self->source);
    Py_CLEAR(self->kept);
    return Py_NewRef(Py_None);
}

static PyObject *get_writable(LinkIO *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(link_is_writable((PyObject *)self));
}

static int link_init(LinkIO *self, PyObject *arguments, PyObject *keywords)
{
    static char *kwlist[] = {"owner", "session", "turn", "now", "received", "sent", NULL};
    PyObject *owner, *session, *turn, *now, *received, *sent;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OOO!OOO", kwlist, &owner, &session, &TurnType, &turn,
                                     &now, &received, &sent))
        return -1;
    if ((received != Py_None && !Py_IS_TYPE(received, &CountsType)) ||
        (sent != Py_None && !Py_IS_TYPE(sent, &CountsType))) {
        PyErr_SetString(PyExc_TypeError, "counts are Counts, or None");
        return -1;
    }
    PyObject *reader = PyObject_GetAttr(session, io_name.reader);
    if (reader == NULL || !Py_IS_TYPE(reader, &ReaderType)) {
        Py_XDECREF(reader);
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_TypeError, "the session's reader is not compiled");
        return -1;
    }
    Py_XSETREF(self->reader, reader);
    Py_XSETREF(self->owner, Py_NewRef(owner));
    Py_XSETREF(self->session, Py_NewRef(session));
    Py_XSETREF(self->turn, Py_NewRef(turn));
    Py_XSETREF(self->now, Py_NewRef(now));
    Py_XSETREF(self->received, Py_NewRef(received));
    Py_XSETREF(self->sent, Py_NewRef(sent));
    Py_XSETREF(self->transport, Py_NewRef(Py_None));
    Py_XSETREF(self->taker, Py_NewRef(Py_None));
    Py_XSETREF(self->translate, Py_NewRef(Py_None));
    Py_XSETREF(self->out, PyList_New(0));
    self->is_real_clock = now == io_monotonic;
    self->descriptor = -1;
    return self->out == NULL ? -1 : 0;
}

static int link_traverse(LinkIO *self, visitproc visit, void *arg)
{
    Py_VISIT(self->owner);
    Py_VISIT(self->session);
    Py_VISIT(self->reader);
    Py_VISIT(self->turn);
    Py_VISIT(self->now);
    Py_VISIT(self->received);
    Py_VISIT(self->sent);
    Py_VISIT(self->transport);
    Py_VISIT(self->out);
    Py_VISIT(self->taker);
    Py_VISIT(self->source);
    Py_VISIT(self->translate);
    return 0;
}

static int link_clear(LinkIO *self)
{
    /* Everything that the methods look at stays an object: a link may be called once more while it is collected. */
    Py_XSETREF(self->owner, Py_NewRef(Py_None));
    Py_XSETREF(self->session, Py_NewRef(Py_None));
    Py_XSETREF(self->now, Py_NewRef(Py_None));
    Py_XSETREF(self->received, Py_NewRef(Py_None));
    Py_XSETREF(self->sent, Py_NewRef(Py_None));
    Py_XSETREF(self->transport, Py_NewRef(Py_None));
    Py_XSETREF(self->taker, Py_NewRef(Py_None));
    Py_XSETREF(self->translate, Py_NewRef(Py_None));
    Py_CLEAR(self->source);
    Py_CLEAR(self->kept);
    return 0;
}

static void link_dealloc(LinkIO *self)
{
    PyObject_GC_UnTrack(self);
    Py_CLEAR(self->owner);
    Py_CLEAR(self->session);
    Py_CLEAR(self->reader);
    Py_CLEAR(self->turn);
    Py_CLEAR(self->now);
    Py_CLEAR(self->received);
    Py_CLEAR(self->sent);
    Py_CLEAR(self->transport);
    Py_CLEAR(self->out);
    Py_CLEAR(self->taker);
    Py_CLEAR(self->source);
    Py_CLEAR(self->kept);
    Py_CLEAR(self->translate);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef link_methods[] = {
    {"data_received", (PyCFunction)py_data_received, METH_O, "Handle a read: what asyncio calls."},
    {"receive", (PyCFunction)py_receive, METH_O, "Handle a part of a read."},
    {"_pass_on", (PyCFunction)py_pass_on, METH_O, "Hand messages to the owner; what has to wait is held."},
    {"send", (PyCFunction)py_send, METH_O, "Queue a frame."},
    {"send_run", (PyCFunction)py_send_run, METH_VARARGS, "Queue several frames of one name."},
    {"flush", (PyCFunction)py_flush, METH_NOARGS, "Write what was queued."},
    {"close", (PyCFunction)py_close, METH_NOARGS, "Let go of what is not needed any more: the link is over."},
    {"use_fast_path", (PyCFunction)py_use_fast_path, METH_VARARGS,
     "Hand what this source sends to the fast path first."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef link_members[] = {
    {"_owner", T_OBJECT, offsetof(LinkIO, owner), READONLY, NULL},
    {"session", T_OBJECT, offsetof(LinkIO, session), READONLY, NULL},
    {"_turn", T_OBJECT, offsetof(LinkIO, turn), READONLY, NULL},
    {"_now", T_OBJECT, offsetof(LinkIO, now), READONLY, NULL},
    {"_transport", T_OBJECT, offsetof(LinkIO, transport), 0, NULL},
    {"bytes_received", T_LONGLONG, offsetof(LinkIO, bytes_received), 0, NULL},
    {"bytes_sent", T_LONGLONG, offsetof(LinkIO, bytes_sent), 0, NULL},
    {"_queued", T_PYSSIZET, offsetof(LinkIO, queued), READONLY, NULL},
    {"frames_received", T_LONGLONG, offsetof(LinkIO, frames_received), 0, NULL},
    {"_descriptor", T_INT, offsetof(LinkIO, descriptor), 0, NULL},
    {"_is_plain_tcp", T_BOOL, offsetof(LinkIO, is_plain_tcp), 0, NULL},
    {"_is_paused", T_BOOL, offsetof(LinkIO, is_paused), 0, NULL},
    {"_is_plain", T_BOOL, offsetof(LinkIO, is_plain), 0, NULL},
    {"_has_backlog", T_BOOL, offsetof(LinkIO, has_backlog), 0, NULL},
    {"_is_performing", T_BOOL, offsetof(LinkIO, is_performing), 0, NULL},
    {"_again", T_BOOL, offsetof(LinkIO, again), 0, NULL},
    {"_translate", T_OBJECT, offsetof(LinkIO, translate), 0, NULL},
    {"_translates_all", T_BOOL, offsetof(LinkIO, translates_all), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef link_attributes[] = {
    {"writable", (getter)get_writable, NULL, "Whether there is room for more.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject LinkIOType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "parley.shared._core.LinkIO",
    .tp_basicsize = sizeof(LinkIO),
    .tp_dealloc = (destructor)link_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_traverse = (traverseproc)link_traverse,
    .tp_clear = (inquiry)link_clear,
    .tp_methods = link_methods,
    .tp_members = link_members,
    .tp_getset = link_attributes,
    .tp_init = (initproc)link_init,
    .tp_new = PyType_GenericNew,
};

static int flush_link(PyObject *link)
{
    return link_flush((LinkIO *)link);
}

void link_type_ready(void)
{
    turn_flushes_with(flush_link);
}
