/* The fast path of messages between people who are online: services/chat/delivery/fast_path.py says what it is for.
 *
 * `route` handles frames of one source as the router would, as long as all is simple; at the first that is not it
 * stops, and the router goes on. Until an answer comes a message is here alone; `settle` and `settle_due` hand
 * it over to the dispatcher, which treats it as its own.
 */
#include "fast_path/fast_path.h"

#include "fast_path/collected.h"
#include "fast_path/destinations.h"
#include "fast_path/envelopes.h"
#include "fast_path/unconfirmed.h"
#include "io/link_type.h"
#include "io/tallies.h"

/* Messages ----------------------------------------------------------------------------------------------------- */

/* Whether this message came before, or one with its number is on its way there: that one is answered first. */
static int is_known(FastPath *self, Flow *flow, uint64_t snowflake, const MessageKey *key)
{
    if (recent_status(self->recent, key) != UNKNOWN_MESSAGE || envelope_find(self, flow->to, snowflake) != NULL)
        return 1;
    if (PyDict_GET_SIZE(flow->to->in_flight->by_number)) {
        PyObject *number = PyLong_FromUnsignedLongLong(snowflake);
        int found = number == NULL ? -1 : PyDict_Contains(flow->to->in_flight->by_number, number);
        Py_XDECREF(number);
        if (found)
            return found;
    }
    return stored_has(&self->stored, key);
}

/* Whether an author has many unanswered messages at a server that does not just say DELIVERED: the dispatcher is to
 * count them. 1: so it is. 0: it is not. -1: an error. */
static int has_many(const FastPath *self, const Flow *flow)
{
    if (!PyUnicode_Check(flow->to->destination))
        return 0;
    if (flow->count >= self->limits.of_author &&
        PyDict_GET_SIZE(flow->to->in_flight->held) >= self->limits.of_author / 4)
        return 1;
    if (self->counted == NULL || !PyDict_GET_SIZE(self->counted))
        return 0;
    PyObject *mine = PyDict_GetItemWithError(self->counted, flow->author);
    if (mine == NULL || !PyDict_Check(mine))
        return PyErr_Occurred() ? -1 : 0;
    return flow->count + PyDict_GET_SIZE(mine) >= self->limits.of_author;
}

/* 1: it is on its way. 0: not by the fast path. -1: an error. */
static int take_message(FastPath *self, Party *source, const Frame *frame)
{
    Message message;
    MessageKey key;
    Py_ssize_t size = frame->end - frame->start;
    if (size > self->limits.largest || !read_message(frame, &message))
        return 0;
    Flow *flow = flow_of(source, message.head, message.head_length);
    if (flow == NULL)
        return PyErr_Occurred() ? -1 : 0;
    Party *to = flow->to;
    int outcome = has_many(self, flow);
    if (outcome)
        return outcome < 0 ? -1 : 0;
    outcome = may_send(self, to);
    if (outcome <= 0 || self->left <= 0 || self->bytes_left <= 0 || self->produced >= self->limits.most_produced)
        return outcome < 0 ? -1 : 0;
    if (message_key(self->multipliers, &flow->pair, message.snowflake, message.kind, message.text,
                    message.text_length, &key))
        return -1;
    outcome = is_known(self, flow, message.snowflake, &key);
    if (outcome)
        return outcome < 0 ? -1 : 0;
    char *room = run_room(&to->messages, size);
    if (room == NULL || envelope_add(self, flow, frame, message.snowflake, &key) == NULL)
        return -1;
    memcpy(room, PyBytes_AS_STRING(frame->buffer) + frame->start, (size_t)size);
    to->messages.length += size;
    to->messages.count++;
    recent_note(self->recent, &key, NO_STATUS);
    self->produced += size * PyList_GET_SIZE(to->links);
    to->left--;
    to->bytes_left -= size;
    self->left--;
    self->bytes_left -= size;
    return 1;
}

/* Answers ------------------------------------------------------------------------------------------------------ */

static int count_deliveries(FastPath *self)
{
    if (self->run.count == 0)
        return 0;
    const DeliveryRun run = self->run;
    self->run.count = 0;
    if (self->delivered == Py_None ||
        tally_deliveries(self->delivered, run.is_local, self->now - run.arrived, run.count))
        return 0;
    PyObject *done = PyObject_CallFunction(self->delivered, "Odn", run.is_local ? Py_True : Py_False, run.arrived,
                                           run.count);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

static int count_delivery(FastPath *self, const Envelope *envelope)
{
    DeliveryRun *run = &self->run;
    if (run->count && (run->arrived != envelope->sent || run->is_local != envelope->flow->is_local))
        if (count_deliveries(self))
            return -1;
    run->is_local = envelope->flow->is_local;
    run->arrived = envelope->sent;
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
static int is_on(const Envelope *envelope, PyObject *link)
{
    if (link == NULL || PyUnicode_Check(envelope->flow->to->destination))
        return 1;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(envelope->links); i++)
        if (PyList_GET_ITEM(envelope->links, i) == link)
            return 1;
    return 0;
}

/* Whether two attributes are those of a flow: who wrote, and for whom; -1 with an error. */
static int is_of(PyObject *envelope, const Flow *flow)
{
    PyObject *author = PyObject_GetAttr(envelope, fast_name.author);
    int is_its = author == NULL ? -1 : PyObject_RichCompareBool(author, flow->author, Py_EQ);
    Py_XDECREF(author);
    if (is_its <= 0)
        return is_its;
    PyObject *recipient = PyObject_GetAttr(envelope, fast_name.recipient);
    is_its = recipient == NULL ? -1 : PyObject_RichCompareBool(recipient, flow->recipient, Py_EQ);
    Py_XDECREF(recipient);
    return is_its;
}

/* Whether nothing in flight was written before it by the same author to the same recipient: that would have to
 * come first in the author's list. What the dispatcher has in flight was sent before; its oldest are looked at.
 * -1 with an error. */
static int is_first(FastPath *self, const Envelope *envelope)
{
    Flow *flow = envelope->flow;
    if (flow->oldest != envelope)
        return 0;
    if (PyDict_GET_SIZE(flow->to->in_flight->held) == 0 || flow->looked_for == self->call)
        return 1;
    PyObject *held = flow->to->in_flight->held, *each = NULL;
    Py_ssize_t at = 0;
    for (Py_ssize_t i = 0; i < self->limits.looked_at && PyDict_Next(held, &at, &each, NULL); i++) {
        int is_its = is_of(each, flow);
        if (is_its)
            return is_its < 0 ? -1 : 0;
    }
    flow->looked_for = self->call;
    return 1;
}

static int take_answer(FastPath *self, Party *source, PyObject *link, const Frame *frame)
{
    uint64_t snowflake;
    const char *rest;
    Py_ssize_t length;
    if (!read_answer(frame, &snowflake, &rest, &length))
        return 0;
    Envelope *envelope = envelope_find(self, source, snowflake);
    if (envelope == NULL || !is_on(envelope, link))
        return 0;
    Flow *flow = envelope->flow;
    const int is_sent_here = PyUnicode_GET_LENGTH(flow->origin) == 0;
    const char *proof = NULL;
    if (!says_delivered(flow, rest, length) &&
        ((proof = proof_of_answer(rest, length)) == NULL || !says_delivered(flow, rest, proof - rest)))
        return 0;
    int outcome = self->collect == Py_None || !is_sent_here ? 1 : is_first(self, envelope);
    if (outcome > 0)
        outcome = may_reply(self, flow->reply_to);
    if (outcome <= 0)
        return outcome;
    Run *statuses = &flow->reply_to->statuses;
    if ((proof == NULL ? write_status(statuses, snowflake, flow->tail)
                       : write_proven_status(statuses, snowflake, flow->tail, proof)) ||
        count_delivery(self, envelope))
        return -1;
    if (flow->is_local && stored_add(&self->stored, &envelope->key))
        return -1;
    recent_note(self->recent, &envelope->key, self->limits.delivered);
    if (self->collect != Py_None && (flow->is_local || is_sent_here) && collected_add(self, envelope))
        return -1;
    source->in_flight->answered_at = self->now;
    source->trust++;
    envelope_remove(self, envelope);
    return 1;
}

/* A call ------------------------------------------------------------------------------------------------------- */

static int take_one(FastPath *self, Party *source, PyObject *link, PyObject *object)
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

static void begin(FastPath *self)
{
    self->call++;
    self->stage = TAKING;
    self->produced = 0;
    self->left = self->limits.most - self->chat->in_flight - self->count;
    self->bytes_left = self->limits.most_bytes - self->chat->in_flight_bytes - self->size;
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
static int send_to(PyObject *link, PyObject *chunk, PyObject *name, Py_ssize_t frames)
{
    if (link_is_writable(link) >= 0)
        return link_send_run(link, chunk, name, frames);
    PyObject *count = PyLong_FromSsize_t(frames), *call[] = {link, chunk, name, count};
    PyObject *done = count == NULL ? NULL
                                   : PyObject_VectorcallMethod(fast_name.send_run, call,
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

static void end_party(FastPath *self, Party *party, Fault *fault)
{
    Py_ssize_t count = party->statuses.count;
    if (party->messages.count)
        Py_XDECREF(send_run(&party->messages, party->links, fast_name.MESSAGE, fault));
    if (count) {
        PyObject *chunk = send_run(&party->statuses, party->reply_links, fast_name.MESSAGE_ACK, fault);
        Py_ssize_t links =
            PyUnicode_Check(party->destination) || chunk == NULL ? 0 : PyList_GET_SIZE(party->reply_links);
        for (Py_ssize_t i = 0; i < links; i++)
            if (unconfirmed_add(self, PyList_GET_ITEM(party->reply_links, i), chunk, count))
                note_fault(fault);
        Py_XDECREF(chunk);
    }
    Py_CLEAR(party->links);
    Py_CLEAR(party->reply_links);
}

static int end(FastPath *self)
{
    Fault fault = {NULL, NULL, NULL};
    note_fault(&fault);
    stored_close(&self->stored);
    self->stage = SENDING;
    for (Py_ssize_t i = 0; i < self->touched_count; i++) {
        end_party(self, self->touched[i], &fault);
        Py_DECREF(self->touched[i]);
    }
    self->touched_count = 0;
    if (count_deliveries(self))
        note_fault(&fault);
    self->stage = IDLE;
    if (fault.type != NULL)
        PyErr_Restore(fault.type, fault.value, fault.traceback);
    return fault.type != NULL ? -1 : 0;
}

Py_ssize_t fast_path_take_frames(FrameTaker *taker, PyObject *source, PyObject **kept, PyObject *link,
                                 PyObject *frames, Py_ssize_t at, double now)
{
    FastPath *self = (FastPath *)taker;
    if (self->is_closed)
        return at;
    if (fast_path_is_in(self, SENDING))
        return -1;
    if (*kept != NULL && ((Party *)*kept)->is_gone)
        Py_CLEAR(*kept);
    Party *party = (Party *)*kept;
    if (party == NULL) {
        party = (Party *)PyDict_GetItemWithError(self->parties, source);
        if (party == NULL)
            return PyErr_Occurred() || unconfirmed_clear(self, source, link) ? -1 : at;
        *kept = Py_NewRef(party);
    }
    Py_INCREF(party);
    self->now = now;
    begin(self);
    if (unconfirmed_clear(self, source, link) == 0)
        while (at < PyList_GET_SIZE(frames) && take_one(self, party, link, PyList_GET_ITEM(frames, at)) > 0)
            at++;
    Py_DECREF(party);
    if (end(self) || collected_tell(self))
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

/* route(source, frames, start, now, link): the index of the first frame that is left to the router. */
PyObject *fast_path_route(FastPath *self, PyObject *const *arguments, Py_ssize_t count)
{
    if (count < 4 || count > 5 || !PyList_Check(arguments[1])) {
        PyErr_SetString(PyExc_TypeError, "route(source, frames, start, now, link)");
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
    at = fast_path_take_frames(&self->taker, arguments[0], &party, link, arguments[1], at, now);
    Py_XDECREF(party);
    return at < 0 ? NULL : PyLong_FromSsize_t(at);
}
