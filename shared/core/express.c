/* The quick way of messages between people who are online: services/chat/delivery/fast_path.py says what it is for.
 *
 * `take` handles frames of one source as the router would, as long as all is simple; at the first that is not it
 * stops, and the router goes on. Until an answer comes a message is here alone; `settle` and `settle_due` hand
 * it over to the dispatcher, which treats it as its own.
 */
#include "express.h"

enum { LOOK_EVERY = 32, FEW = 256 };
/* Calls between two looks at what is on its way by the dispatcher, while little is on its way here. */
enum { LARGE = 32 * 1024 };
/* Bytes of a frame beyond which it is the router's: it may go in pieces (services/chat/delivery/lanes.py, WHOLE). */

/* Messages -------------------------------------------------------------------------------------------------------- */

Flow *express_flow_of(Party *source, const char *head, Py_ssize_t length)
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

/* Whether this message came before, or one with its number is on its way there: that one is answered first. */
static int is_known(Express *self, Flow *flow, uint64_t snowflake, const MessageKey *key)
{
    if (memory_status((Memory *)self->memory, key) != UNKNOWN_MESSAGE || item_find(self, flow->to, snowflake) != NULL)
        return 1;
    if (PyDict_GET_SIZE(flow->to->numbers)) {
        PyObject *number = PyLong_FromUnsignedLongLong(snowflake);
        int found = number == NULL ? -1 : PyDict_Contains(flow->to->numbers, number);
        Py_XDECREF(number);
        if (found)
            return found;
    }
    return recall_has(self, key);
}

/* 1: it is on its way. 0: not by the quick way. -1: an error. */
static int take_message(Express *self, Party *source, const Frame *frame)
{
    Message message;
    MessageKey key;
    Py_ssize_t size = frame->end - frame->start;
    if (size > LARGE || !read_message(frame, &message))
        return 0;
    Flow *flow = express_flow_of(source, message.head, message.head_length);
    if (flow == NULL)
        return PyErr_Occurred() ? -1 : 0;
    Party *to = flow->to;
    int outcome = express_may_send(self, to);
    if (outcome <= 0 || self->left <= 0 || self->bytes_left <= 0 || self->produced >= self->most_produced)
        return outcome < 0 ? -1 : 0;
    if (message_key(self->multipliers, &flow->pair, message.snowflake, message.kind, message.text,
                    message.text_length, &key))
        return -1;
    outcome = is_known(self, flow, message.snowflake, &key);
    if (outcome)
        return outcome < 0 ? -1 : 0;
    char *room = run_room(&to->messages, size);
    if (room == NULL || item_add(self, flow, frame, message.snowflake, &key) == NULL)
        return -1;
    memcpy(room, PyBytes_AS_STRING(frame->buffer) + frame->start, (size_t)size);
    to->messages.length += size;
    to->messages.count++;
    memory_note((Memory *)self->memory, &key, NO_STATUS);
    self->produced += size * PyList_GET_SIZE(to->ways);
    to->left--;
    to->bytes_left -= size;
    self->left--;
    self->bytes_left -= size;
    return 1;
}

/* Answers --------------------------------------------------------------------------------------------------------- */

static int tell_deliveries(Express *self)
{
    if (self->run.count == 0)
        return 0;
    const Deliveries run = self->run;
    self->run.count = 0;
    if (self->delivered == Py_None || tally_deliveries(self->delivered, run.is_local, self->now - run.arrived, run.count))
        return 0;
    PyObject *done = PyObject_CallFunction(self->delivered, "Odn", run.is_local ? Py_True : Py_False, run.arrived,
                                           run.count);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

static int count_delivery(Express *self, const Item *item)
{
    Deliveries *run = &self->run;
    if (run->count && (run->arrived != item->sent || run->is_local != item->flow->is_local))
        if (tell_deliveries(self))
            return -1;
    run->is_local = item->flow->is_local;
    run->arrived = item->sent;
    run->count++;
    return 0;
}

static int says_delivered(const Flow *flow, const char *rest, Py_ssize_t length)
{
    for (int i = 0; i < ANSWERS; i++) {
        PyObject *answer = flow->answers[i];
        if (answer != NULL && PyBytes_GET_SIZE(answer) == length &&
            memcmp(PyBytes_AS_STRING(answer), rest, (size_t)length) == 0)
            return 1;
    }
    return 0;
}

/* Whether a message is on that link: who was not given it does not answer it. A server has one link at a time. */
static int is_on(const Item *item, PyObject *link)
{
    if (link == NULL || PyUnicode_Check(item->flow->to->destination))
        return 1;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(item->ways); i++)
        if (PyList_GET_ITEM(item->ways, i) == link)
            return 1;
    return 0;
}

static int take_answer(Express *self, Party *source, PyObject *link, const Frame *frame)
{
    uint64_t snowflake;
    const char *rest;
    Py_ssize_t length;
    if (!read_answer(frame, &snowflake, &rest, &length))
        return 0;
    Item *item = item_find(self, source, snowflake);
    if (item == NULL || !is_on(item, link))
        return 0;
    Flow *flow = item->flow;
    if (!says_delivered(flow, rest, length))
        return 0;
    int outcome = express_may_tell(self, flow->hears);
    if (outcome <= 0)
        return outcome;
    if (write_status(&flow->hears->statuses, snowflake, flow->tail) || count_delivery(self, item))
        return -1;
    if (flow->is_local && recall_add(self, &item->key))
        return -1;
    memory_note((Memory *)self->memory, &item->key, 1 /* DELIVERED */);
    source->answered = self->now;
    source->trust++;
    item_remove(self, item);
    return 1;
}

/* A call ------------------------------------------------------------------------------------------------------------ */

static int take_one(Express *self, Party *source, PyObject *link, PyObject *object)
{
    const Frame *frame = (const Frame *)object;
    if (!Py_IS_TYPE(frame, &FrameType))
        return 0;
    Py_ssize_t length = PyUnicode_GET_LENGTH(frame->name);
    const void *name = PyUnicode_DATA(frame->name);
    if (length == 7 && memcmp(name, "MESSAGE", 7) == 0)
        return take_message(self, source, frame);
    if (length == 11 && memcmp(name, "MESSAGE_ACK", 11) == 0)
        return take_answer(self, source, link, frame);
    return 0;
}

static int begin(Express *self)
{
    self->call++;
    self->stage = TAKING;
    self->has_begun = 0;
    self->produced = 0;
    if (self->call % LOOK_EVERY == 1 || self->count > FEW) {
        self->others = number_of(self->dispatcher, word.count);
        self->others_size = number_of(self->dispatcher, word.size);
    }
    self->left = self->most - self->others - self->count;
    self->bytes_left = self->most_bytes - self->others_size - self->size;
    self->has_begun = !PyErr_Occurred();
    return self->has_begun ? 0 : -1;
}

/* The first error of several steps, none of which is left out for it. */
typedef struct {
    PyObject *type, *value, *traceback;
} Fault;

static void note_fault(Fault *fault)
{
    if (fault->type == NULL)
        PyErr_Fetch(&fault->type, &fault->value, &fault->traceback);
    else
        PyErr_Clear();
}

/* Send a run to one link. */
static int send_to(PyObject *sink, PyObject *chunk, PyObject *name, Py_ssize_t frames)
{
    if (link_is_writable(sink) >= 0)
        return link_send_run(sink, chunk, name, frames);
    PyObject *count = PyLong_FromSsize_t(frames), *call[] = {sink, chunk, name, count};
    PyObject *done = count == NULL ? NULL
                                   : PyObject_VectorcallMethod(word.send_run, call,
                                                               4 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    Py_XDECREF(count);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* Send a run to these links; its bytes. */
static PyObject *send_run(Run *run, PyObject *links, PyObject *name, Fault *fault)
{
    Py_ssize_t frames = run->count;
    PyObject *chunk = PyBytes_FromStringAndSize(run->bytes, run->length);
    run->length = run->count = 0;
    if (run->room > 1 << 16) {
        PyMem_Free(run->bytes);
        run->bytes = NULL;
        run->room = 0;
    }
    if (chunk == NULL)
        note_fault(fault);
    for (Py_ssize_t i = 0; chunk != NULL && i < PyList_GET_SIZE(links); i++)
        if (send_to(PyList_GET_ITEM(links, i), chunk, name, frames))
            note_fault(fault);
    return chunk;
}

static void end_party(Express *self, Party *party, Fault *fault)
{
    Py_ssize_t count = party->statuses.count;
    if (party->messages.count)
        Py_XDECREF(send_run(&party->messages, party->ways, word.MESSAGE, fault));
    if (count) {
        PyObject *chunk = send_run(&party->statuses, party->hearers, word.MESSAGE_ACK, fault);
        Py_ssize_t links = PyUnicode_Check(party->destination) || chunk == NULL ? 0 : PyList_GET_SIZE(party->hearers);
        for (Py_ssize_t i = 0; i < links; i++)
            if (unheard_add(self, PyList_GET_ITEM(party->hearers, i), chunk, count))
                note_fault(fault);
        Py_XDECREF(chunk);
    }
    Py_CLEAR(party->ways);
    Py_CLEAR(party->hearers);
}

static int set_next_id(Express *self)
{
    if (!self->has_ids)
        return 0;
    self->has_ids = 0;
    PyObject *next = PyLong_FromUnsignedLongLong(self->next_id);
    int failed = next == NULL || PyObject_SetAttr(self->mailbox, word.next_id, next);
    Py_XDECREF(next);
    return failed;
}

static int end(Express *self)
{
    Fault fault = {NULL, NULL, NULL};
    note_fault(&fault);
    recall_close(self);
    self->stage = SENDING;
    if (set_next_id(self)) /* whatever failed, none is given twice */
        note_fault(&fault);
    for (Py_ssize_t i = 0; i < self->touched_count; i++) {
        end_party(self, self->touched[i], &fault);
        Py_DECREF(self->touched[i]);
    }
    self->touched_count = 0;
    if (tell_deliveries(self))
        note_fault(&fault);
    self->stage = IDLE;
    self->has_begun = 0;
    if (fault.type != NULL)
        PyErr_Restore(fault.type, fault.value, fault.traceback);
    return fault.type != NULL ? -1 : 0;
}

Py_ssize_t express_take_frames(Express *self, PyObject *source, PyObject **kept, PyObject *link, PyObject *frames,
                               Py_ssize_t at, double now)
{
    if (self->is_closed)
        return at;
    if (express_is_in(self, SENDING))
        return -1;
    if (*kept != NULL && ((Party *)*kept)->is_gone)
        Py_CLEAR(*kept);
    Party *party = (Party *)*kept;
    if (party == NULL) {
        party = (Party *)PyDict_GetItemWithError(self->parties, source);
        if (party == NULL)
            return PyErr_Occurred() || unheard_clear(self, source, link) ? -1 : at;
        *kept = Py_NewRef(party);
    }
    Py_INCREF(party);
    self->now = now;
    if (unheard_clear(self, source, link) == 0 && begin(self) == 0)
        while (at < PyList_GET_SIZE(frames) && take_one(self, party, link, PyList_GET_ITEM(frames, at)) > 0)
            at++;
    Py_DECREF(party);
    if (end(self))
        return -1;
    if (self->count && !self->is_armed) {
        self->is_armed = 1;
        PyObject *done = PyObject_CallFunction(self->arm, "d", now);
        Py_XDECREF(done);
        if (done == NULL)
            return -1;
    }
    return at;
}

/* take(source, frames, start, now, link): the index of the first frame that is left to the router. */
PyObject *express_take(Express *self, PyObject *const *arguments, Py_ssize_t count)
{
    if (count < 4 || count > 5 || !PyList_Check(arguments[1])) {
        PyErr_SetString(PyExc_TypeError, "take(source, frames, start, now, link)");
        return NULL;
    }
    PyObject *party = NULL;
    Py_ssize_t at = PyLong_AsSsize_t(arguments[2]);
    double now = PyFloat_AsDouble(arguments[3]);
    if (at < 0 && !PyErr_Occurred())
        PyErr_SetString(PyExc_IndexError, "there is no such frame");
    if (PyErr_Occurred())
        return NULL;
    PyObject *link = count == 5 && arguments[4] != Py_None ? arguments[4] : NULL;
    at = express_take_frames(self, arguments[0], &party, link, arguments[1], at, now);
    Py_XDECREF(party);
    return at < 0 ? NULL : PyLong_FromSsize_t(at);
}
