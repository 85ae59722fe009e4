/* The fast path as a Python type. */
#include "fast_path/fast_path_type.h"

#include <structmember.h>

#include "fast_path/collected.h"
#include "fast_path/envelopes.h"
#include "fast_path/fast_path.h"
#include "fast_path/learning.h"

static PyObject *fast_path_size(FastPath *self, void *Py_UNUSED(closure))
{
    return PyLong_FromLongLong(self->size);
}

static Py_ssize_t fast_path_length(FastPath *self)
{
    return self->count;
}

/* FastPath(chat, recent, delivered, arm, multipliers, ... limits) */
static PyObject *fast_path_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *kwlist[] = {"chat", "recent", "delivered", "arm", "multipliers", "most", "most_bytes",
                             "most_unconfirmed", "most_produced", "first_window", "largest", "looked_at",
                             "of_author", "patience", "delivered_status", "collect", "collect_room",
                             "counted", NULL};
    PyObject *chat, *recent, *delivered, *arm, *multipliers, *collect, *collect_room, *counted;
    FastPathLimits limits;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!O!OOOLLnLLLnniiOOO!", kwlist, &ChatStateType, &chat,
                                     &RecentMessagesType, &recent, &delivered, &arm, &multipliers, &limits.most,
                                     &limits.most_bytes, &limits.most_unconfirmed, &limits.most_produced,
                                     &limits.first_window, &limits.largest, &limits.looked_at, &limits.of_author,
                                     &limits.patience, &limits.delivered, &collect, &collect_room, &PyDict_Type,
                                     &counted))
        return NULL;
    FastPath *self = (FastPath *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->taker.take = fast_path_take_frames;
    self->chat = (ChatState *)Py_NewRef(chat);
    self->recent = (RecentMessages *)Py_NewRef(recent);
    self->delivered = Py_NewRef(delivered);
    self->arm = Py_NewRef(arm);
    self->collect = Py_NewRef(collect);
    self->collect_room = Py_NewRef(collect_room);
    self->counted = Py_NewRef(counted);
    self->limits = limits;
    self->stored =
        (StoredLookup){.stored_keys = self->chat->stored_keys, .delivered_keys = self->chat->delivered_keys};
    self->multipliers = multipliers_read(multipliers);
    self->parties = PyDict_New();
    if (self->multipliers == NULL || self->parties == NULL)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static int fast_path_traverse(FastPath *self, visitproc visit, void *arg)
{
    Py_VISIT(self->chat);
    Py_VISIT(self->recent);
    Py_VISIT(self->arm);
    Py_VISIT(self->delivered);
    Py_VISIT(self->collect);
    Py_VISIT(self->collect_room);
    Py_VISIT(self->counted);
    for (const Envelope *envelope = self->oldest; envelope != NULL; envelope = envelope->younger)
        Py_VISIT(envelope->links);
    PyObject *name, *each;
    Py_ssize_t at = 0;
    while (self->parties != NULL && PyDict_Next(self->parties, &at, &name, &each)) {
        const Party *party = (const Party *)each; /* ours, and links' that hold us, too: what it holds, we hold */
        Py_VISIT(party->in_flight);
        Py_VISIT(party->links);
        Py_VISIT(party->reply_links);
    }
    return 0;
}

/* What it stands on stays: a link may call it once more while both are collected. Other objects end the cycle. */
static int fast_path_clear(FastPath *self)
{
    self->is_closed = 1;
    while (self->oldest != NULL)
        envelope_remove(self, self->oldest);
    if (self->parties != NULL) {
        PyObject *name, *party;
        Py_ssize_t at = 0;
        fast_path_forget_all(self); /* parties and flows hold each other */
        while (PyDict_Next(self->parties, &at, &name, &party))
            Py_CLEAR(((Party *)party)->in_flight);
    }
    Py_CLEAR(self->arm);
    Py_CLEAR(self->delivered);
    Py_CLEAR(self->counted);
    Py_XSETREF(self->collect, Py_NewRef(Py_None)); /* as above: it is compared once more */
    Py_XSETREF(self->collect_room, Py_NewRef(Py_None));
    return 0;
}

static void fast_path_dealloc(FastPath *self)
{
    PyObject_GC_UnTrack(self);
    fast_path_clear(self);
    Py_CLEAR(self->parties);
    Py_CLEAR(self->chat);
    Py_CLEAR(self->recent);
    Py_CLEAR(self->collect);
    Py_CLEAR(self->collect_room);
    while (self->spare != NULL) {
        Envelope *envelope = self->spare;
        self->spare = envelope->chain;
        PyMem_Free(envelope);
    }
    PyMem_Free(self->table);
    PyMem_Free(self->touched);
    PyMem_Free(self->multipliers);
    collected_release(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef fast_path_methods[] = {
    {"route", (PyCFunction)(void (*)(void))fast_path_route, METH_FASTCALL,
     "Handle frames of a source from `start` on."},
    {"learn", (PyCFunction)fast_path_learn, METH_VARARGS, "Handle messages like this one from now on."},
    {"may_learn", (PyCFunction)fast_path_may_learn, METH_VARARGS,
     "Whether there is something to learn of a message."},
    {"learn_answer", (PyCFunction)fast_path_learn_answer, METH_VARARGS, "Know an answer that says DELIVERED."},
    {"settle", (PyCFunction)fast_path_settle, METH_O, "Hand over what is on its way to a destination."},
    {"settle_due", (PyCFunction)fast_path_settle_due, METH_VARARGS, "Hand over what was sent so long before now."},
    {"collect_into", (PyCFunction)collected_into, METH_O, "Append what is delivered to that segment of the archive's."},
    {"collected", (PyCFunction)collected_taken, METH_NOARGS,
     "Tell anew of what comes; how many entries had no room since."},
    {"due", (PyCFunction)fast_path_due, METH_O, "When `settle_due` must be called, or None."},
    {"forget", (PyCFunction)fast_path_forget, METH_NOARGS, "Handle nothing any more that is not learnt anew."},
    {"leave", (PyCFunction)fast_path_leave, METH_O, "The same of one source."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef fast_path_attributes[] = {
    {"size", (getter)fast_path_size, NULL, "Bytes on their way.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef fast_path_members[] = {
    {"is_armed", T_BOOL, offsetof(FastPath, is_armed), 0, "Whether a timer will ask `due` before anything is."},
    {"is_closed", T_BOOL, offsetof(FastPath, is_closed), 0, "Whether nothing is taken any more."},
    {NULL, 0, 0, 0, NULL},
};

static PySequenceMethods fast_path_sequence = {.sq_length = (lenfunc)fast_path_length};

PyTypeObject FastPathType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "parley.shared._core.FastPath",
    .tp_basicsize = sizeof(FastPath),
    .tp_dealloc = (destructor)fast_path_dealloc,
    .tp_as_sequence = &fast_path_sequence,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_traverse = (traverseproc)fast_path_traverse,
    .tp_clear = (inquiry)fast_path_clear,
    .tp_methods = fast_path_methods,
    .tp_getset = fast_path_attributes,
    .tp_members = fast_path_members,
    .tp_base = &FrameTakerType,
    .tp_new = fast_path_new,
};

int fast_path_type_ready(void)
{
    return PyType_Ready(&PartyType) || PyType_Ready(&FlowType) ? -1 : 0;
}
