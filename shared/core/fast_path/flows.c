/* Destinations, and who writes to whom. */
#include "fast_path/flows.h"

/* Parties ------------------------------------------------------------------------------------------------------ */

Party *party_new(PyObject *destination)
{
    Party *self = PyObject_New(Party, &PartyType);
    if (self == NULL)
        return NULL;
    memset((char *)self + sizeof(PyObject), 0, sizeof *self - sizeof(PyObject));
    self->destination = Py_NewRef(destination);
    self->flows = PyDict_New();
    if (self->flows == NULL)
        Py_CLEAR(self);
    return self;
}

static void party_dealloc(Party *self)
{
    Py_XDECREF(self->destination);
    Py_XDECREF(self->flows);
    Py_XDECREF(self->last);
    Py_XDECREF(self->in_flight);
    Py_XDECREF(self->links);
    Py_XDECREF(self->reply_links);
    PyMem_Free(self->messages.bytes);
    PyMem_Free(self->statuses.bytes);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

PyTypeObject PartyType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "parley.shared._core.Party",
    .tp_basicsize = sizeof(Party),
    .tp_dealloc = (destructor)party_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT,
};

/* Flows -------------------------------------------------------------------------------------------------------- */

Flow *flow_new(PyObject *author, PyObject *recipient, Party *to, Party *reply_to)
{
    Flow *self = PyObject_New(Flow, &FlowType);
    if (self == NULL)
        return NULL;
    memset((char *)self + sizeof(PyObject), 0, sizeof *self - sizeof(PyObject));
    self->to = (Party *)Py_NewRef(to);
    self->reply_to = (Party *)Py_NewRef(reply_to);
    self->author = Py_NewRef(author);
    self->recipient = Py_NewRef(recipient);
    return self;
}

static void flow_dealloc(Flow *self)
{
    Py_DECREF(self->to);
    Py_DECREF(self->reply_to);
    Py_DECREF(self->author);
    Py_DECREF(self->recipient);
    Py_XDECREF(self->head);
    Py_XDECREF(self->origin);
    Py_XDECREF(self->tail);
    for (int i = 0; i < ANSWERS; i++)
        Py_XDECREF(self->answers[i]);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

PyTypeObject FlowType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "parley.shared._core.Flow",
    .tp_basicsize = sizeof(Flow),
    .tp_dealloc = (destructor)flow_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT,
};

/* What a message with this head belongs to; NULL, perhaps with an error: it was not learnt. */
Flow *flow_of(Party *source, const char *head, Py_ssize_t length)
{
    Flow *last = source->last;
    if (last != NULL && !last->to->is_gone && PyBytes_GET_SIZE(last->head) == length &&
        memcmp(PyBytes_AS_STRING(last->head), head, (size_t)length) == 0)
        return last;
    PyObject *key = PyBytes_FromStringAndSize(head, length);
    if (key == NULL)
        return NULL;
    Flow *flow = (Flow *)PyDict_GetItemWithError(source->flows, key);
    if (flow != NULL && flow->to->is_gone) {
        Py_CLEAR(source->last);
        PyDict_DelItem(source->flows, key);
        flow = NULL;
    }
    Py_DECREF(key);
    if (flow != NULL)
        Py_XSETREF(source->last, (Flow *)Py_NewRef(flow));
    return flow;
}
