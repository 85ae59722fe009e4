/* What Python tells the fast path, and takes back: whom messages like one are for, and what is in flight. */
#include "fast_path/learning.h"

#include "fast_path/envelopes.h"
#include "fast_path/protobuf.h"

static Party *party_of(FastPath *self, PyObject *destination)
{
    Party *party = (Party *)PyDict_GetItemWithError(self->parties, destination);
    if (party != NULL || PyErr_Occurred())
        return party;
    party = party_new(destination);
    if (party == NULL)
        return NULL;
    int failed = PyDict_SetItem(self->parties, destination, (PyObject *)party);
    Py_DECREF(party); /* the table's */
    return failed ? NULL : party;
}

/* A frame of one message alone, read as `route` would; NULL without an error: it is not of the simple shape. */
static PyObject *head_of(PyObject *raw)
{
    Message message;
    const char *begin = PyBytes_AS_STRING(raw), *end = begin + PyBytes_GET_SIZE(raw);
    const char *body = memchr(begin, ' ', (size_t)(end - begin));
    body = body == NULL ? NULL : memchr(body + 1, ' ', (size_t)(end - body - 1));
    if (body == NULL)
        return NULL;
    Frame frame = {.buffer = raw, .body = body + 1 - begin, .end = end - begin};
    return read_message(&frame, &message) ? PyBytes_FromStringAndSize(message.head, message.head_length) : NULL;
}

/* learn(source, raw, author, recipient, destination, in_flight, reply_to, origin, tail, answers, pair, is_local,
 *       most) */
PyObject *fast_path_learn(FastPath *self, PyObject *arguments)
{
    PyObject *source_name, *raw, *author, *recipient, *destination, *in_flight, *reply_to_name, *origin;
    PyObject *tail, *one, *other, *pair_bytes;
    MessageKey pair;
    Py_ssize_t most;
    int is_local;
    if (!PyArg_ParseTuple(arguments, "OSOOOO!OUS(SS)Opn", &source_name, &raw, &author, &recipient, &destination,
                          &InFlightTableType, &in_flight, &reply_to_name, &origin, &tail, &one, &other, &pair_bytes,
                          &is_local, &most) ||
        fast_path_is_in(self, TAKING) || message_key_read(pair_bytes, &pair))
        return NULL;
    PyObject *head = head_of(raw);
    if (head == NULL)
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_False);
    Party *source = party_of(self, source_name);
    if (source != NULL && flow_of(source, PyBytes_AS_STRING(head), PyBytes_GET_SIZE(head)) != NULL) {
        Py_DECREF(head);
        return Py_NewRef(Py_True);
    }
    Party *to = source ? party_of(self, destination) : NULL;
    Party *reply_to = to ? party_of(self, reply_to_name) : NULL;
    Flow *flow = reply_to ? flow_new(author, recipient, to, reply_to) : NULL;
    if (flow == NULL) {
        Py_DECREF(head);
        return NULL;
    }
    Py_XSETREF(to->in_flight, (InFlightTable *)Py_NewRef(in_flight));
    flow->head = head;
    flow->origin = Py_NewRef(origin);
    flow->tail = Py_NewRef(tail);
    flow->answers[0] = Py_NewRef(one);
    flow->answers[1] = Py_NewRef(other);
    flow->pair = pair;
    flow->is_local = is_local;
    if (PyDict_GET_SIZE(source->flows) >= most)
        PyDict_Clear(source->flows);
    Py_CLEAR(source->last);
    int failed = PyDict_SetItem(source->flows, head, (PyObject *)flow);
    Py_DECREF(flow);
    return failed ? NULL : Py_NewRef(Py_True);
}

/* may_learn(source, frame): whether a message is of the simple shape, and nothing like it was learnt. */
PyObject *fast_path_may_learn(FastPath *self, PyObject *arguments)
{
    PyObject *source_name;
    Frame *frame;
    Message message;
    if (!PyArg_ParseTuple(arguments, "OO!", &source_name, &FrameType, &frame) || fast_path_is_in(self, TAKING))
        return NULL;
    if (!read_message(frame, &message))
        return Py_NewRef(Py_False);
    Party *source = (Party *)PyDict_GetItemWithError(self->parties, source_name);
    if (source == NULL)
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_True);
    Flow *flow = flow_of(source, message.head, message.head_length);
    return PyErr_Occurred() ? NULL : PyBool_FromLong(flow == NULL);
}

/* learn_answer(source, head_source, raw_message, payload): what says DELIVERED of messages like this one. */
PyObject *fast_path_learn_answer(FastPath *self, PyObject *arguments)
{
    PyObject *source_name, *raw, *payload;
    if (!PyArg_ParseTuple(arguments, "OSS", &source_name, &raw, &payload) || fast_path_is_in(self, TAKING))
        return NULL;
    Party *source = (Party *)PyDict_GetItemWithError(self->parties, source_name);
    if (source == NULL)
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    PyObject *head = head_of(raw);
    if (head == NULL)
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    Flow *flow = (Flow *)PyDict_GetItemWithError(source->flows, head);
    Py_DECREF(head);
    uint64_t snowflake;
    const char *begin = PyBytes_AS_STRING(payload), *last = begin + PyBytes_GET_SIZE(payload), *rest;
    if (flow != NULL && last > begin && *begin == SNOWFLAKE &&
        (rest = read_varint(begin + 1, last, &snowflake)) != NULL && !has_snowflake(rest, last)) {
        const char *proof = proof_of_answer(rest, last - rest);
        PyObject *answer = PyBytes_FromStringAndSize(rest, (proof == NULL ? last : proof) - rest);
        if (answer == NULL)
            return NULL;
        Py_XSETREF(flow->answers[ANSWERS - 1], answer);
    }
    return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

PyObject *fast_path_settle(FastPath *self, PyObject *destination)
{
    if (fast_path_is_in(self, TAKING))
        return NULL;
    if (self->count == 0)
        return PyTuple_New(0);
    Party *party = (Party *)PyDict_GetItemWithError(self->parties, destination);
    if (party == NULL)
        return PyErr_Occurred() ? NULL : PyTuple_New(0);
    return envelopes_of(self, party);
}

PyObject *fast_path_settle_due(FastPath *self, PyObject *arguments)
{
    double now, delay;
    return PyArg_ParseTuple(arguments, "dd", &now, &delay) && !fast_path_is_in(self, TAKING)
               ? envelopes_before(self, now, delay)
               : NULL;
}

static void clear_flows(Party *party)
{
    Py_CLEAR(party->last);
    PyDict_Clear(party->flows);
}

void fast_path_forget_all(FastPath *self)
{
    PyObject *name, *party;
    Py_ssize_t at = 0;
    while (PyDict_Next(self->parties, &at, &name, &party))
        clear_flows((Party *)party);
}

PyObject *fast_path_forget(FastPath *self, PyObject *Py_UNUSED(none))
{
    if (fast_path_is_in(self, TAKING))
        return NULL;
    fast_path_forget_all(self);
    return Py_NewRef(Py_None);
}

/* leave(destination): it is not there any more. What is known of it goes, unless something is on its way to it. */
PyObject *fast_path_leave(FastPath *self, PyObject *source)
{
    if (fast_path_is_in(self, TAKING))
        return NULL;
    Party *party = (Party *)PyDict_GetItemWithError(self->parties, source);
    if (party == NULL)
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    clear_flows(party);
    if (party->count == 0) {
        party->is_gone = 1;
        if (PyDict_DelItem(self->parties, source))
            return NULL;
    }
    return Py_NewRef(Py_None);
}

PyObject *fast_path_due(FastPath *self, PyObject *delay)
{
    double seconds = PyFloat_AsDouble(delay);
    if (self->oldest == NULL || PyErr_Occurred())
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    double due = self->oldest->sent + seconds;
    return PyFloat_FromDouble(due < self->next_look ? self->next_look : due);
}
