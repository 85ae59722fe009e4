/* What Python tells the quick way, and takes back from it: whom messages like one are for, and what is on its way. */
#include "express.h"

/* Whether a call of `take` has not left that stage: what it stands on may not change meanwhile. With an error. */
int express_is_in(const Express *self, int stage)
{
    if (self->stage < stage)
        return 0;
    PyErr_SetString(PyExc_RuntimeError, "the quick way is in the midst of a batch");
    return 1;
}

static Party *party_of(Express *self, PyObject *destination)
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

static int set_outbound(Party *to, PyObject *outbound)
{
    if (to->outbound != NULL)
        return 0;
    PyObject *items = PyObject_GetAttr(outbound, word.held), *numbers = PyObject_GetAttr(outbound, word.numbers);
    int64_t window = number_of(outbound, word.window), quick_window = number_of(outbound, word.quick_window);
    int64_t window_bytes = number_of(outbound, word.window_bytes);
    if (PyErr_Occurred() || !PyDict_Check(items) || !PyDict_Check(numbers)) {
        Py_XDECREF(items);
        Py_XDECREF(numbers);
        return -1;
    }
    to->outbound = Py_NewRef(outbound);
    to->items = items;
    to->numbers = numbers;
    to->window = window;
    to->quick_window = quick_window;
    to->window_bytes = window_bytes;
    return 0;
}

/* A frame of one message alone, read as `take` would; NULL without an error: it is not of the simple shape. */
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

/* learn(source, raw, author, recipient, destination, outbound, hears, origin, tail, answers, pair, is_local, most) */
PyObject *express_learn(Express *self, PyObject *arguments)
{
    PyObject *source_name, *raw, *author, *recipient, *destination, *outbound, *hears_name, *origin, *tail, *one, *other;
    PyObject *pair_bytes;
    MessageKey pair;
    Py_ssize_t most;
    int is_local;
    if (!PyArg_ParseTuple(arguments, "OSOOOOOUS(SS)Opn", &source_name, &raw, &author, &recipient, &destination,
                          &outbound, &hears_name, &origin, &tail, &one, &other, &pair_bytes,
                          &is_local, &most) ||
        express_is_in(self, TAKING) || message_key_read(pair_bytes, &pair))
        return NULL;
    PyObject *head = head_of(raw);
    if (head == NULL)
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_False);
    Party *source = party_of(self, source_name);
    if (source != NULL && express_flow_of(source, PyBytes_AS_STRING(head), PyBytes_GET_SIZE(head)) != NULL) {
        Py_DECREF(head);
        return Py_NewRef(Py_True);
    }
    Party *to = source ? party_of(self, destination) : NULL;
    Party *hears = to ? party_of(self, hears_name) : NULL;
    Flow *flow = hears && !set_outbound(to, outbound) ? flow_new(author, recipient, to, hears) : NULL;
    if (flow == NULL) {
        Py_DECREF(head);
        return NULL;
    }
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
PyObject *express_may_learn(Express *self, PyObject *arguments)
{
    PyObject *source_name;
    Frame *frame;
    Message message;
    if (!PyArg_ParseTuple(arguments, "OO!", &source_name, &FrameType, &frame) || express_is_in(self, TAKING))
        return NULL;
    if (!read_message(frame, &message))
        return Py_NewRef(Py_False);
    Party *source = (Party *)PyDict_GetItemWithError(self->parties, source_name);
    if (source == NULL)
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_True);
    Flow *flow = express_flow_of(source, message.head, message.head_length);
    return PyErr_Occurred() ? NULL : PyBool_FromLong(flow == NULL);
}

/* learn_answer(source, head_source, raw_message, payload): what says DELIVERED of messages like this one. */
PyObject *express_learn_answer(Express *self, PyObject *arguments)
{
    PyObject *source_name, *raw, *payload;
    if (!PyArg_ParseTuple(arguments, "OSS", &source_name, &raw, &payload) || express_is_in(self, TAKING))
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
    if (flow != NULL && last > begin && *begin == 0x08 && (rest = read_varint(begin + 1, last, &snowflake)) != NULL &&
        !has_snowflake(rest, last)) {
        PyObject *answer = PyBytes_FromStringAndSize(rest, last - rest);
        if (answer == NULL)
            return NULL;
        Py_XSETREF(flow->answers[ANSWERS - 1], answer);
    }
    return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

PyObject *express_settle(Express *self, PyObject *destination)
{
    if (express_is_in(self, TAKING))
        return NULL;
    if (self->count == 0)
        return PyTuple_New(0);
    Party *party = (Party *)PyDict_GetItemWithError(self->parties, destination);
    if (party == NULL)
        return PyErr_Occurred() ? NULL : PyTuple_New(0);
    return items_of(self, party);
}

PyObject *express_settle_due(Express *self, PyObject *arguments)
{
    double now, delay;
    return PyArg_ParseTuple(arguments, "dd", &now, &delay) && !express_is_in(self, TAKING) ? items_before(self, now, delay) : NULL;
}

static void clear_flows(Party *party)
{
    Py_CLEAR(party->last);
    PyDict_Clear(party->flows);
}

void express_forget_all(Express *self)
{
    PyObject *name, *party;
    Py_ssize_t at = 0;
    while (PyDict_Next(self->parties, &at, &name, &party))
        clear_flows((Party *)party);
}

PyObject *express_forget(Express *self, PyObject *Py_UNUSED(none))
{
    if (express_is_in(self, TAKING))
        return NULL;
    express_forget_all(self);
    return Py_NewRef(Py_None);
}

/* leave(destination): it is not there any more. What is known of it goes, unless something is on its way to it. */
PyObject *express_leave(Express *self, PyObject *source)
{
    if (express_is_in(self, TAKING))
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

PyObject *express_due(Express *self, PyObject *delay)
{
    double seconds = PyFloat_AsDouble(delay);
    if (self->oldest == NULL || PyErr_Occurred())
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    double due = self->oldest->sent + seconds;
    return PyFloat_FromDouble(due < self->next_look ? self->next_look : due);
}
