/* The quick way of messages between people who are online: services/chat/express.py says what it is for.
 *
 * `take` handles frames of one source as the router would, as long as all is simple; at the first that is not it
 * stops, and the router goes on. Until an answer comes a message is here alone; `settle` and `settle_due` hand
 * it over to the dispatcher, which treats it as its own.
 */
#include "express.h"

#include <structmember.h>

enum { LOOK_EVERY = 32, FEW = 256 };
/* Calls between two looks at what is on its way by the dispatcher, while little is on its way here. */

/* Names that are looked up in each call. */
static PyObject *word_size, *word_count, *word_next_id, *word_window, *word_quick_window, *word_window_bytes, *word_queues, *word_send_run, *word_MESSAGE, *word_MESSAGE_ACK, *word_writable, *word_sink,
    *word_held, *word_numbers, *word_sorted;

int express_ready(void)
{
    static const struct {
        PyObject **word;
        const char *text;
    } words[] = {
        {&word_size, "size"},
        {&word_count, "count"},
        {&word_next_id, "next_id"},
        {&word_window, "window"},
        {&word_quick_window, "quick_window"},
        {&word_window_bytes, "window_bytes"},
        {&word_queues, "queues"},
        {&word_held, "held"},
        {&word_numbers, "numbers"},
        {&word_sorted, "sorted"},
        {&word_send_run, "send_run"},
        {&word_MESSAGE, "MESSAGE"},
        {&word_MESSAGE_ACK, "MESSAGE_ACK"},
        {&word_writable, "writable"},
        {&word_sink, "sink"},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if ((*words[i].word = PyUnicode_InternFromString(words[i].text)) == NULL)
            return -1;
    return 0;
}

/* Whether a call of `take` has not left that stage: what it stands on may not change meanwhile. With an error. */
static int is_in(const Express *self, int stage)
{
    if (self->stage < stage)
        return 0;
    PyErr_SetString(PyExc_RuntimeError, "the quick way is in the midst of a batch");
    return 1;
}

/* Looking at destinations, once a call --------------------------------------------------------------------------- */

static int touch(Express *self, Party *party)
{
    if (self->touched_count == self->touched_room) {
        Py_ssize_t room = 2 * self->touched_room + 8;
        Party **touched = PyMem_Realloc(self->touched, (size_t)room * sizeof *touched);
        if (touched == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        self->touched = touched;
        self->touched_room = room;
    }
    self->touched[self->touched_count++] = (Party *)Py_NewRef(party);
    return 0;
}

static int64_t number_of(PyObject *object, PyObject *name)
{
    PyObject *value = PyObject_GetAttr(object, name);
    int64_t number = value == NULL ? -1 : PyLong_AsLongLong(value);
    Py_XDECREF(value);
    return number;
}

static int is_writable(PyObject *sink)
{
    int writable = link_is_writable(sink);
    if (writable >= 0)
        return writable;
    PyObject *answer = PyObject_GetAttr(sink, word_writable);
    writable = answer == NULL ? -1 : PyObject_IsTrue(answer);
    Py_XDECREF(answer);
    return writable;
}

/* The links of a destination, as a new list: all, or those with room; empty: it is not there. */
static PyObject *links_of(Express *self, PyObject *destination, int with_room)
{
    PyObject *links = PyList_New(0), *sink = NULL, *sinks = NULL;
    if (links == NULL)
        return NULL;
    if (PyUnicode_Check(destination)) {
        PyObject *server = PyDict_GetItemWithError(self->servers, destination);
        sink = server == NULL ? NULL : PyObject_GetAttr(server, word_sink);
    } else {
        sinks = PyDict_GetItemWithError(self->clients, destination);
    }
    int failed = PyErr_Occurred() != NULL;
    Py_ssize_t count = sink != NULL ? 1 : sinks != NULL && PyList_Check(sinks) ? PyList_GET_SIZE(sinks) : 0;
    for (Py_ssize_t i = 0; !failed && i < count; i++) {
        PyObject *one = sink != NULL ? sink : PyList_GET_ITEM(sinks, i);
        int wanted = with_room ? is_writable(one) : 1;
        failed = wanted < 0 || (wanted && PyList_Append(links, one));
    }
    Py_XDECREF(sink);
    if (failed)
        Py_CLEAR(links);
    return links;
}

/* Whether messages may go out there at once: nothing waits, and there is a link with room; -1 with an error. */
static int may_send(Express *self, Party *to)
{
    if (to->looked_at == self->call)
        return to->ways != NULL && to->left > 0 && to->bytes_left > 0;
    to->looked_at = self->call;
    Py_CLEAR(to->ways);
    if (PyDict_GET_SIZE(self->queues)) {
        int waits = PyDict_Contains(self->queues, to->destination);
        if (waits)
            return waits < 0 ? -1 : 0;
    }
    PyObject *ways = links_of(self, to->destination, 1);
    if (ways == NULL)
        return -1;
    int64_t size = PyList_GET_SIZE(ways) ? number_of(to->outbound, word_size) : 0;
    if (PyList_GET_SIZE(ways) == 0 || PyErr_Occurred()) {
        Py_DECREF(ways);
        return PyErr_Occurred() ? -1 : 0;
    }
    to->ways = ways;
    Py_ssize_t held = PyDict_GET_SIZE(to->items);
    to->left = held < to->window ? to->quick_window - held - to->count : 0;
    to->bytes_left = to->window_bytes - size - to->size;
    if (touch(self, to))
        return -1;
    return to->left > 0 && to->bytes_left > 0;
}

/* Whether somebody hears a status at once; -1 with an error. */
static int may_tell(Express *self, Party *hears)
{
    if (hears->heard_at == self->call)
        return hears->hearers != NULL;
    hears->heard_at = self->call;
    Py_CLEAR(hears->hearers);
    PyObject *hearers = links_of(self, hears->destination, 0);
    if (hearers == NULL || PyList_GET_SIZE(hearers) == 0) {
        int failed = hearers == NULL;
        Py_XDECREF(hearers);
        return failed ? -1 : 0;
    }
    hears->hearers = hearers;
    return touch(self, hears) ? -1 : 1;
}

/* Messages -------------------------------------------------------------------------------------------------------- */

static Flow *flow_of(Party *source, const char *head, Py_ssize_t length)
{
    Flow *last = source->last;
    if (last != NULL && PyBytes_GET_SIZE(last->head) == length &&
        memcmp(PyBytes_AS_STRING(last->head), head, (size_t)length) == 0)
        return last;
    PyObject *key = PyBytes_FromStringAndSize(head, length);
    if (key == NULL)
        return NULL;
    Flow *flow = (Flow *)PyDict_GetItemWithError(source->flows, key);
    Py_DECREF(key);
    if (flow != NULL)
        Py_XSETREF(source->last, (Flow *)Py_NewRef(flow));
    return flow;
}

/* Whether this number is of a message that came before, or of one that is on its way there. */
static int is_known(Express *self, Flow *flow, uint64_t snowflake)
{
    if (memory_status((Memory *)self->memory, flow->pair, snowflake) != UNKNOWN_MESSAGE ||
        item_find(self, flow->to, snowflake) != NULL)
        return 1;
    if (PyDict_GET_SIZE(flow->to->numbers)) {
        PyObject *number = PyLong_FromUnsignedLongLong(snowflake);
        int found = number == NULL ? -1 : PyDict_Contains(flow->to->numbers, number);
        Py_XDECREF(number);
        if (found)
            return found;
    }
    return recall_has(self, flow->mark ^ snowflake);
}

/* 1: it is on its way. 0: not by the quick way. -1: an error. */
static int take_message(Express *self, Party *source, const Frame *frame)
{
    uint64_t snowflake;
    const char *head;
    Py_ssize_t head_length, size = frame->end - frame->start;
    if (!read_message(frame, &snowflake, &head, &head_length))
        return 0;
    Flow *flow = flow_of(source, head, head_length);
    if (flow == NULL)
        return PyErr_Occurred() ? -1 : 0;
    Party *to = flow->to;
    int outcome = may_send(self, to);
    if (outcome <= 0 || self->left <= 0 || self->bytes_left <= 0)
        return outcome < 0 ? -1 : 0;
    outcome = is_known(self, flow, snowflake);
    if (outcome)
        return outcome < 0 ? -1 : 0;
    char *room = run_room(&to->messages, size);
    if (room == NULL || item_add(self, flow, frame, snowflake) == NULL)
        return -1;
    memcpy(room, PyBytes_AS_STRING(frame->buffer) + frame->start, (size_t)size);
    to->messages.length += size;
    to->messages.count++;
    memory_note((Memory *)self->memory, flow->pair, snowflake, NO_STATUS);
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

static int take_answer(Express *self, Party *source, const Frame *frame)
{
    uint64_t snowflake;
    const char *rest;
    Py_ssize_t length;
    if (!read_answer(frame, &snowflake, &rest, &length))
        return 0;
    Item *item = item_find(self, source, snowflake);
    if (item == NULL)
        return 0;
    Flow *flow = item->flow;
    if (!says_delivered(flow, rest, length))
        return 0;
    int outcome = may_tell(self, flow->hears);
    if (outcome <= 0)
        return outcome;
    if (write_status(&flow->hears->statuses, snowflake, flow->tail) || count_delivery(self, item))
        return -1;
    if (flow->is_local && recall_add(self, flow->mark ^ snowflake))
        return -1;
    memory_note((Memory *)self->memory, flow->pair, snowflake, 1 /* DELIVERED */);
    source->answered = self->now;
    item_remove(self, item);
    return 1;
}

/* A call ------------------------------------------------------------------------------------------------------------ */

static int take_one(Express *self, Party *source, PyObject *object)
{
    const Frame *frame = (const Frame *)object;
    if (!Py_IS_TYPE(frame, &FrameType))
        return 0;
    Py_ssize_t length = PyUnicode_GET_LENGTH(frame->name);
    const void *name = PyUnicode_DATA(frame->name);
    if (length == 7 && memcmp(name, "MESSAGE", 7) == 0)
        return take_message(self, source, frame);
    if (length == 11 && memcmp(name, "MESSAGE_ACK", 11) == 0)
        return take_answer(self, source, frame);
    return 0;
}

static int begin(Express *self)
{
    self->call++;
    self->stage = TAKING;
    self->has_begun = 0;
    if (self->call % LOOK_EVERY == 1 || self->count > FEW) {
        self->others = number_of(self->dispatcher, word_count);
        self->others_size = number_of(self->dispatcher, word_size);
    }
    self->next_id = (uint64_t)number_of(self->mailbox, word_next_id);
    self->first_id = self->next_id;
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
                                   : PyObject_VectorcallMethod(word_send_run, call,
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
        Py_XDECREF(send_run(&party->messages, party->ways, word_MESSAGE, fault));
    if (count) {
        PyObject *chunk = send_run(&party->statuses, party->hearers, word_MESSAGE_ACK, fault);
        PyObject *told = chunk == NULL ? NULL : PyObject_CallFunction(self->told, "OOOn", party->destination,
                                                                     party->hearers, chunk, count);
        if (told == NULL)
            note_fault(fault);
        Py_XDECREF(told);
        Py_XDECREF(chunk);
    }
    Py_CLEAR(party->ways);
    Py_CLEAR(party->hearers);
}

static int set_next_id(Express *self)
{
    PyObject *next = PyLong_FromUnsignedLongLong(self->next_id);
    int failed = next == NULL || PyObject_SetAttr(self->mailbox, word_next_id, next);
    Py_XDECREF(next);
    return failed;
}

static int end(Express *self)
{
    Fault fault = {NULL, NULL, NULL};
    note_fault(&fault);
    recall_close(self);
    self->stage = SENDING;
    if (self->has_begun && self->next_id != self->first_id && set_next_id(self)) /* whatever failed, none is given twice */
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

/* A client's link lives: what it was told before has come. */
static int note_heard(Express *self, PyObject *source, PyObject *link)
{
    if (link == NULL || PyUnicode_Check(source) || PyDict_GET_SIZE(self->unheard) == 0)
        return 0;
    int is_there = PyDict_Contains(self->unheard, link);
    return is_there > 0 ? PyDict_DelItem(self->unheard, link) : is_there;
}

Py_ssize_t express_take_frames(Express *self, PyObject *source, PyObject **kept, PyObject *link, PyObject *frames,
                               Py_ssize_t at, double now)
{
    if (self->is_closed)
        return at;
    if (is_in(self, SENDING))
        return -1;
    Party *party = (Party *)*kept;
    if (party == NULL) {
        party = (Party *)PyDict_GetItemWithError(self->parties, source);
        if (party == NULL)
            return PyErr_Occurred() || note_heard(self, source, link) ? -1 : at;
        *kept = Py_NewRef(party);
    }
    Py_INCREF(party);
    self->now = now;
    if (note_heard(self, source, link) == 0 && begin(self) == 0)
        while (at < PyList_GET_SIZE(frames) && take_one(self, party, PyList_GET_ITEM(frames, at)) > 0)
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

/* take(source, frames, start, now): the index of the first frame that is left to the router. */
static PyObject *express_take(Express *self, PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 4 || !PyList_Check(arguments[1])) {
        PyErr_SetString(PyExc_TypeError, "take(source, frames, start, now)");
        return NULL;
    }
    PyObject *party = NULL;
    Py_ssize_t at = PyLong_AsSsize_t(arguments[2]);
    double now = PyFloat_AsDouble(arguments[3]);
    if (at < 0 && !PyErr_Occurred())
        PyErr_SetString(PyExc_IndexError, "there is no such frame");
    if (PyErr_Occurred())
        return NULL;
    at = express_take_frames(self, arguments[0], &party, NULL, arguments[1], at, now);
    Py_XDECREF(party);
    return at < 0 ? NULL : PyLong_FromSsize_t(at);
}

/* What Python tells -------------------------------------------------------------------------------------------------- */

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
    PyObject *items = PyObject_GetAttr(outbound, word_held), *numbers = PyObject_GetAttr(outbound, word_numbers);
    int64_t window = number_of(outbound, word_window), quick_window = number_of(outbound, word_quick_window);
    int64_t window_bytes = number_of(outbound, word_window_bytes);
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
    uint64_t snowflake;
    const char *head, *begin = PyBytes_AS_STRING(raw), *end = begin + PyBytes_GET_SIZE(raw);
    const char *body = memchr(begin, ' ', (size_t)(end - begin));
    body = body == NULL ? NULL : memchr(body + 1, ' ', (size_t)(end - body - 1));
    if (body == NULL)
        return NULL;
    Py_ssize_t length;
    Frame frame = {.buffer = raw, .body = body + 1 - begin, .end = end - begin};
    return read_message(&frame, &snowflake, &head, &length) ? PyBytes_FromStringAndSize(head, length) : NULL;
}

/* learn(source, raw, author, recipient, destination, outbound, hears, origin, tail, answers, mark, is_local, most) */
static PyObject *express_learn(Express *self, PyObject *arguments)
{
    PyObject *source_name, *raw, *author, *recipient, *destination, *outbound, *hears_name, *origin, *tail, *one, *other;
    unsigned long long mark;
    Py_ssize_t most;
    int is_local;
    if (!PyArg_ParseTuple(arguments, "OSOOOOOUS(SS)Kpn", &source_name, &raw, &author, &recipient, &destination,
                          &outbound, &hears_name, &origin, &tail, &one, &other, &mark, &is_local, &most) ||
        is_in(self, TAKING))
        return NULL;
    PyObject *head = head_of(raw);
    if (head == NULL)
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_False);
    Party *source = party_of(self, source_name);
    if (source != NULL && PyDict_Contains(source->flows, head) == 1) {
        Py_DECREF(head);
        return Py_NewRef(Py_True);
    }
    Party *to = source ? party_of(self, destination) : NULL;
    Party *hears = to ? party_of(self, hears_name) : NULL;
    Flow *flow = hears && !set_outbound(to, outbound) ? flow_new(self->memory, author, recipient, to, hears) : NULL;
    if (flow == NULL) {
        Py_DECREF(head);
        return NULL;
    }
    flow->head = head;
    flow->origin = Py_NewRef(origin);
    flow->tail = Py_NewRef(tail);
    flow->answers[0] = Py_NewRef(one);
    flow->answers[1] = Py_NewRef(other);
    flow->mark = mark;
    flow->is_local = is_local;
    if (PyDict_GET_SIZE(source->flows) >= most)
        PyDict_Clear(source->flows);
    Py_CLEAR(source->last);
    int failed = PyDict_SetItem(source->flows, head, (PyObject *)flow);
    Py_DECREF(flow);
    return failed ? NULL : Py_NewRef(Py_True);
}

/* may_learn(source, frame): whether a message is of the simple shape, and nothing like it was learnt. */
static PyObject *express_may_learn(Express *self, PyObject *arguments)
{
    PyObject *source_name;
    Frame *frame;
    uint64_t snowflake;
    const char *head;
    Py_ssize_t length;
    if (!PyArg_ParseTuple(arguments, "OO!", &source_name, &FrameType, &frame) || is_in(self, TAKING))
        return NULL;
    if (!read_message(frame, &snowflake, &head, &length))
        return Py_NewRef(Py_False);
    Party *source = (Party *)PyDict_GetItemWithError(self->parties, source_name);
    if (source == NULL)
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_True);
    Flow *flow = flow_of(source, head, length);
    return PyErr_Occurred() ? NULL : PyBool_FromLong(flow == NULL);
}

/* learn_answer(source, head_source, raw_message, payload): what says DELIVERED of messages like this one. */
static PyObject *express_learn_answer(Express *self, PyObject *arguments)
{
    PyObject *source_name, *raw, *payload;
    if (!PyArg_ParseTuple(arguments, "OSS", &source_name, &raw, &payload) || is_in(self, TAKING))
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

static PyObject *express_settle(Express *self, PyObject *destination)
{
    if (is_in(self, TAKING))
        return NULL;
    if (self->count == 0)
        return PyTuple_New(0);
    Party *party = (Party *)PyDict_GetItemWithError(self->parties, destination);
    if (party == NULL)
        return PyErr_Occurred() ? NULL : PyTuple_New(0);
    return items_of(self, party);
}

static PyObject *express_settle_due(Express *self, PyObject *arguments)
{
    double now, delay;
    return PyArg_ParseTuple(arguments, "dd", &now, &delay) && !is_in(self, TAKING) ? items_before(self, now, delay) : NULL;
}

static void clear_flows(Party *party)
{
    Py_CLEAR(party->last);
    PyDict_Clear(party->flows);
}

static void forget_all(Express *self)
{
    PyObject *name, *party;
    Py_ssize_t at = 0;
    while (PyDict_Next(self->parties, &at, &name, &party))
        clear_flows((Party *)party);
}

static PyObject *express_forget(Express *self, PyObject *Py_UNUSED(none))
{
    if (is_in(self, TAKING))
        return NULL;
    forget_all(self);
    return Py_NewRef(Py_None);
}

static PyObject *express_leave(Express *self, PyObject *source)
{
    if (is_in(self, TAKING))
        return NULL;
    Party *party = (Party *)PyDict_GetItemWithError(self->parties, source);
    if (party != NULL)
        clear_flows(party);
    return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

static PyObject *express_due(Express *self, PyObject *delay)
{
    double seconds = PyFloat_AsDouble(delay);
    if (self->oldest == NULL || PyErr_Occurred())
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    double due = self->oldest->sent + seconds;
    return PyFloat_FromDouble(due < self->next_look ? self->next_look : due);
}

static PyObject *express_size(Express *self, void *Py_UNUSED(closure))
{
    return PyLong_FromLongLong(self->size);
}

static Py_ssize_t express_length(Express *self)
{
    return self->count;
}

/* The type ------------------------------------------------------------------------------------------------------------ */

static PyObject *express_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *words[] = {"memory", "mailbox", "dispatcher", "on_disk", "at_once", "clients", "servers", "unheard",
                            "delivered", "told", "arm", "most", "most_bytes", NULL};
    PyObject *memory, *mailbox, *dispatcher, *on_disk, *at_once, *clients, *servers, *unheard, *delivered, *told, *arm;
    long long most, most_bytes;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!OOOOO!O!O!OOOLL", words, &MemoryType, &memory, &mailbox,
                                     &dispatcher, &on_disk, &at_once, &PyDict_Type, &clients, &PyDict_Type, &servers,
                                     &PyDict_Type, &unheard, &delivered, &told, &arm, &most, &most_bytes))
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
    self->told = Py_NewRef(told);
    self->arm = Py_NewRef(arm);
    self->most = most;
    self->most_bytes = most_bytes;
    self->parties = PyDict_New();
    self->queues = PyObject_GetAttr(mailbox, word_queues);
    self->sorted = PyObject_GetAttr(on_disk, word_sorted);
    if (self->parties == NULL || self->queues == NULL || !PyDict_Check(self->queues) || self->sorted == NULL)
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
    Py_VISIT(self->sorted);
    Py_VISIT(self->delivered);
    Py_VISIT(self->told);
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
        forget_all(self); /* parties and flows hold each other */
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
    Py_CLEAR(self->told);
    return 0;
}

static void express_dealloc(Express *self)
{
    PyObject_GC_UnTrack(self);
    express_clear(self);
    Py_CLEAR(self->parties);
    Py_CLEAR(self->queues);
    Py_CLEAR(self->sorted);
    Py_CLEAR(self->memory);
    while (self->spare != NULL) {
        Item *item = self->spare;
        self->spare = item->chain;
        PyMem_Free(item);
    }
    PyMem_Free(self->table);
    PyMem_Free(self->touched);
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
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "shared._core.Express",
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
