/* The quick way as a Python type. */
#include "express.h"

#include <structmember.h>

static PyObject *express_size(Express *self, void *Py_UNUSED(closure))
{
    return PyLong_FromLongLong(self->size);
}

static Py_ssize_t express_length(Express *self)
{
    return self->count;
}

static PyObject *express_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *words[] = {"memory", "mailbox", "dispatcher", "on_disk", "at_once", "clients", "servers", "unheard",
                            "delivered", "arm", "most", "most_bytes", "most_unheard", "most_produced", "first_window",
                            "multipliers", NULL};
    PyObject *memory, *mailbox, *dispatcher, *on_disk, *at_once, *clients, *servers, *unheard, *delivered, *arm;
    PyObject *multipliers;
    long long most, most_bytes, most_produced, first_window;
    Py_ssize_t most_unheard;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!OOOOO!O!O!OOLLnLLO", words, &MemoryType, &memory, &mailbox,
                                     &dispatcher, &on_disk, &at_once, &PyDict_Type, &clients, &PyDict_Type, &servers,
                                     &PyDict_Type, &unheard, &delivered, &arm, &most, &most_bytes,
                                     &most_unheard, &most_produced, &first_window, &multipliers))
        return NULL;
    Express *self = (Express *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->memory = Py_NewRef(memory);
    self->mailbox = Py_NewRef(mailbox);
    self->dispatcher = Py_NewRef(dispatcher);
    self->on_disk = Py_NewRef(on_disk);
    self->at_once = Py_NewRef(at_once);
    self->clients = Py_NewRef(clients);
    self->servers = Py_NewRef(servers);
    self->unheard = Py_NewRef(unheard);
    self->delivered = Py_NewRef(delivered);
    self->arm = Py_NewRef(arm);
    self->most = most;
    self->most_bytes = most_bytes;
    self->most_produced = most_produced;
    self->first_window = first_window;
    self->most_unheard = most_unheard;
    self->multipliers = multipliers_read(multipliers);
    self->parties = PyDict_New();
    self->queues = PyObject_GetAttr(mailbox, word.queues);
    self->tables = PyObject_GetAttr(on_disk, word.tables);
    if (self->multipliers == NULL || self->parties == NULL || self->queues == NULL || !PyDict_Check(self->queues) ||
        self->tables == NULL)
        Py_CLEAR(self);
    if (self == NULL && !PyErr_Occurred())
        PyErr_SetString(PyExc_TypeError, "the mailbox's queues are a dict");
    return (PyObject *)self;
}

static int express_traverse(Express *self, visitproc visit, void *arg)
{
    Py_VISIT(self->memory);
    Py_VISIT(self->mailbox);
    Py_VISIT(self->dispatcher);
    Py_VISIT(self->on_disk);
    Py_VISIT(self->at_once);
    Py_VISIT(self->clients);
    Py_VISIT(self->servers);
    Py_VISIT(self->unheard);
    Py_VISIT(self->arm);
    Py_VISIT(self->queues);
    Py_VISIT(self->tables);
    Py_VISIT(self->delivered);
    for (const Item *item = self->oldest; item != NULL; item = item->younger)
        Py_VISIT(item->ways);
    PyObject *name, *each;
    Py_ssize_t at = 0;
    while (self->parties != NULL && PyDict_Next(self->parties, &at, &name, &each)) {
        const Party *party = (const Party *)each; /* ours, and links' that hold us, too: what it holds, we hold */
        Py_VISIT(party->outbound);
        Py_VISIT(party->items);
        Py_VISIT(party->numbers);
        Py_VISIT(party->ways);
        Py_VISIT(party->hearers);
    }
    return 0;
}

static int express_clear(Express *self)
{
    self->is_closed = 1;
    while (self->oldest != NULL)
        item_remove(self, self->oldest);
    if (self->parties != NULL) {
        PyObject *name, *party;
        Py_ssize_t at = 0;
        express_forget_all(self); /* parties and flows hold each other */
        while (PyDict_Next(self->parties, &at, &name, &party))
            Py_CLEAR(((Party *)party)->outbound);
    }
    Py_CLEAR(self->mailbox);
    Py_CLEAR(self->dispatcher);
    Py_CLEAR(self->on_disk);
    Py_CLEAR(self->at_once);
    Py_CLEAR(self->clients);
    Py_CLEAR(self->servers);
    Py_CLEAR(self->unheard);
    Py_CLEAR(self->arm);
    Py_CLEAR(self->delivered);
    return 0;
}

static void express_dealloc(Express *self)
{
    PyObject_GC_UnTrack(self);
    express_clear(self);
    Py_CLEAR(self->parties);
    Py_CLEAR(self->queues);
    Py_CLEAR(self->tables);
    Py_CLEAR(self->memory);
    while (self->spare != NULL) {
        Item *item = self->spare;
        self->spare = item->chain;
        PyMem_Free(item);
    }
    PyMem_Free(self->table);
    PyMem_Free(self->touched);
    PyMem_Free(self->multipliers);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef express_methods[] = {
    {"take", (PyCFunction)(void (*)(void))express_take, METH_FASTCALL, "Handle frames of a source from `start` on."},
    {"learn", (PyCFunction)express_learn, METH_VARARGS, "Handle messages like this one from now on."},
    {"may_learn", (PyCFunction)express_may_learn, METH_VARARGS, "Whether there is something to learn of a message."},
    {"learn_answer", (PyCFunction)express_learn_answer, METH_VARARGS, "Know an answer that says DELIVERED."},
    {"settle", (PyCFunction)express_settle, METH_O, "Hand over what is on its way to a destination."},
    {"settle_due", (PyCFunction)express_settle_due, METH_VARARGS, "Hand over what was sent so long before now."},
    {"due", (PyCFunction)express_due, METH_O, "When `settle_due` must be called, or None."},
    {"forget", (PyCFunction)express_forget, METH_NOARGS, "Handle nothing any more that is not learnt anew."},
    {"leave", (PyCFunction)express_leave, METH_O, "The same of one source."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef express_attributes[] = {
    {"size", (getter)express_size, NULL, "Bytes on their way.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef express_members[] = {
    {"is_armed", T_BOOL, offsetof(Express, is_armed), 0, "Whether a timer will ask `due` before anything is."},
    {"is_closed", T_BOOL, offsetof(Express, is_closed), 0, "Whether nothing is taken any more."},
    {NULL, 0, 0, 0, NULL},
};

static PySequenceMethods express_sequence = {.sq_length = (lenfunc)express_length};

PyTypeObject ExpressType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "parley.shared._core.Express",
    .tp_basicsize = sizeof(Express),
    .tp_dealloc = (destructor)express_dealloc,
    .tp_as_sequence = &express_sequence,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_traverse = (traverseproc)express_traverse,
    .tp_clear = (inquiry)express_clear,
    .tp_methods = express_methods,
    .tp_getset = express_attributes,
    .tp_members = express_members,
    .tp_new = express_new,
};
