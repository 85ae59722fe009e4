/* What the fast path and Python's half of chat both read and change: python_side.h lists it. */
#include "fast_path/python_side.h"

#include <structmember.h>

#include "names.h"

FastPathNames fast_name;

int fast_path_python_ready(void)
{
    static const Name names[] = {
        {&fast_name.link, "link"},       {&fast_name.writable, "writable"},       {&fast_name.send_run, "send_run"},
        {&fast_name.author, "author"},   {&fast_name.recipient, "recipient"},
        {&fast_name.MESSAGE, "MESSAGE"}, {&fast_name.MESSAGE_ACK, "MESSAGE_ACK"},
    };
    return make_names(names, sizeof names / sizeof *names);
}

/* ChatState ---------------------------------------------------------------------------------------------------- */

/* ChatState(links, stored_keys, delivered_keys), each or None: it has the clients and servers of another, `links`. */
static PyObject *chat_state_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *kwlist[] = {"links", "stored_keys", "delivered_keys", NULL};
    PyObject *links = Py_None, *stored_keys = Py_None, *delivered_keys = Py_None;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|OOO", kwlist, &links, &stored_keys, &delivered_keys))
        return NULL;
    if (links != Py_None && !Py_IS_TYPE(links, &ChatStateType)) {
        PyErr_SetString(PyExc_TypeError, "links are a ChatState's");
        return NULL;
    }
    ChatState *self = (ChatState *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    const ChatState *other = links == Py_None ? NULL : (const ChatState *)links;
    self->clients = other == NULL ? PyDict_New() : Py_NewRef(other->clients);
    self->servers = other == NULL ? PyDict_New() : Py_NewRef(other->servers);
    self->queues = PyDict_New();
    self->unconfirmed_statuses = PyDict_New();
    self->stored_keys = Py_NewRef(stored_keys);
    self->delivered_keys = Py_NewRef(delivered_keys);
    self->next_id = 1;
    if (self->clients == NULL || self->servers == NULL || self->queues == NULL ||
        self->unconfirmed_statuses == NULL)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static int chat_state_traverse(ChatState *self, visitproc visit, void *arg)
{
    Py_VISIT(self->clients);
    Py_VISIT(self->servers);
    Py_VISIT(self->queues);
    Py_VISIT(self->unconfirmed_statuses);
    Py_VISIT(self->stored_keys);
    Py_VISIT(self->delivered_keys);
    return 0;
}

/* No tp_clear: the containers stay what they are, and whatever is a cycle with them has a dict in it. */
static void chat_state_dealloc(ChatState *self)
{
    PyObject_GC_UnTrack(self);
    Py_XDECREF(self->clients);
    Py_XDECREF(self->servers);
    Py_XDECREF(self->queues);
    Py_XDECREF(self->unconfirmed_statuses);
    Py_XDECREF(self->stored_keys);
    Py_XDECREF(self->delivered_keys);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMemberDef chat_state_members[] = {
    {"clients", T_OBJECT_EX, offsetof(ChatState, clients), READONLY, "User → links."},
    {"servers", T_OBJECT_EX, offsetof(ChatState, servers), READONLY, "serverId → linked server."},
    {"queues", T_OBJECT_EX, offsetof(ChatState, queues), READONLY, "Destination → what waits there."},
    {"unconfirmed_statuses", T_OBJECT_EX, offsetof(ChatState, unconfirmed_statuses), READONLY,
     "Link → the latest frames."},
    {"stored_keys", T_OBJECT_EX, offsetof(ChatState, stored_keys), READONLY, NULL},
    {"delivered_keys", T_OBJECT_EX, offsetof(ChatState, delivered_keys), READONLY, NULL},
    {"next_id", T_LONGLONG, offsetof(ChatState, next_id), 0, NULL},
    {"in_flight", T_LONGLONG, offsetof(ChatState, in_flight), 0, NULL},
    {"in_flight_bytes", T_LONGLONG, offsetof(ChatState, in_flight_bytes), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyTypeObject ChatStateType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "parley.shared._core.ChatState",
    .tp_basicsize = sizeof(ChatState),
    .tp_dealloc = (destructor)chat_state_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_traverse = (traverseproc)chat_state_traverse,
    .tp_members = chat_state_members,
    .tp_new = chat_state_new,
};

/* InFlightTable ------------------------------------------------------------------------------------------------ */

static PyObject *in_flight_new(PyTypeObject *type, PyObject *Py_UNUSED(arguments), PyObject *Py_UNUSED(keywords))
{
    InFlightTable *self = (InFlightTable *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->held = PyDict_New();
    self->by_number = PyDict_New();
    self->answered_at = -Py_HUGE_VAL;
    if (self->held == NULL || self->by_number == NULL)
        Py_CLEAR(self);
    return (PyObject *)self;
}

/* InFlightTable(window, burst_window, window_bytes) */
static int in_flight_init(InFlightTable *self, PyObject *arguments, PyObject *keywords)
{
    static char *kwlist[] = {"window", "burst_window", "window_bytes", NULL};
    return PyArg_ParseTupleAndKeywords(arguments, keywords, "LLL", kwlist, &self->window, &self->burst_window,
                                       &self->window_bytes)
               ? 0
               : -1;
}

static int in_flight_traverse(InFlightTable *self, visitproc visit, void *arg)
{
    Py_VISIT(self->held);
    Py_VISIT(self->by_number);
    return 0;
}

static void in_flight_dealloc(InFlightTable *self)
{
    PyObject_GC_UnTrack(self);
    Py_XDECREF(self->held);
    Py_XDECREF(self->by_number);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMemberDef in_flight_members[] = {
    {"held", T_OBJECT_EX, offsetof(InFlightTable, held), READONLY, "What is in flight, in order."},
    {"by_number", T_OBJECT_EX, offsetof(InFlightTable, by_number), READONLY, "Snowflake → those with it."},
    {"window", T_LONGLONG, offsetof(InFlightTable, window), 0, NULL},
    {"burst_window", T_LONGLONG, offsetof(InFlightTable, burst_window), 0, NULL},
    {"window_bytes", T_LONGLONG, offsetof(InFlightTable, window_bytes), READONLY, NULL},
    {"size", T_LONGLONG, offsetof(InFlightTable, size), 0, NULL},
    {"answered_at", T_DOUBLE, offsetof(InFlightTable, answered_at), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyTypeObject InFlightTableType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "parley.shared._core.InFlightTable",
    .tp_basicsize = sizeof(InFlightTable),
    .tp_dealloc = (destructor)in_flight_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_traverse = (traverseproc)in_flight_traverse,
    .tp_members = in_flight_members,
    .tp_init = (initproc)in_flight_init,
    .tp_new = in_flight_new,
};
