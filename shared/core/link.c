/* The hot half of a link, shared/link/io.py compiled: from a read to the owner, from what is sent to one write.
 *
 * Where the owner has a quick way (express.c), messages go there first, and the owner gets what is left.
 */
#include "link.h"

#include <time.h>
#ifndef MS_WINDOWS
#include <sys/socket.h>
#endif
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* Python ignores SIGPIPE anyway */
#endif

static const double QUIET = 100e-6; /* seconds without a write: what comes then is alone in its turn of the loop */

static PyObject *word_is_closing, *word_write, *word_messages_received,
    *word_messages_left, *word_take, *word_perform, *word_failed, *word_flushed, *word_read_on, *word_join, *word_left,
    *word_hold;
PyObject *link_monotonic, *link_word_flush;

int link_ready(void)
{
    static const struct {
        PyObject **word;
        const char *text;
    } words[] = {
        {&link_word_flush, "flush"},
        {&word_is_closing, "is_closing"},
        {&word_write, "write"},
        {&word_messages_received, "messages_received"},
        {&word_messages_left, "messages_left"},
        {&word_take, "_take_frames"},
        {&word_perform, "_perform"},
        {&word_failed, "_failed"},
        {&word_flushed, "_flushed"},
        {&word_read_on, "_read_on"},
        {&word_join, "join"},
        {&word_left, "get_write_buffer_size"},
        {&word_hold, "_hold"},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if ((*words[i].word = PyUnicode_InternFromString(words[i].text)) == NULL)
            return -1;
    PyObject *time = PyImport_ImportModule("time");
    link_monotonic = time == NULL ? NULL : PyObject_GetAttrString(time, "monotonic");
    Py_XDECREF(time);
    return link_monotonic == NULL ? -1 : 0;
}

/* Call a method, for what it does. */
int link_call(PyObject *object, PyObject *method, PyObject *argument)
{
    PyObject *done = argument == NULL ? PyObject_CallMethodNoArgs(object, method)
                                      : PyObject_CallMethodOneArg(object, method, argument);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* Writing ---------------------------------------------------------------------------------------------------------- */

static double clock_monotonic(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Write past the transport what goes out after a quiet time: at once, and not at the end of the loop's turn.
 *
 * What follows soon goes by way of the transport, which gathers a turn's writes. Returns how much was written: 0 also
 * where the transport has something to write before, and where there is any fault, which it will meet, too.
 */
static Py_ssize_t write_at_once(LinkIO *self, PyObject *data)
{
#ifdef MSG_DONTWAIT
    double now = clock_monotonic(), before = self->written_at;
    self->written_at = ((Turn *)self->turn)->last = now;
    if (!self->is_plain_tcp || self->descriptor < 0 || now - before < QUIET || self->is_paused)
        return 0;
    if (self->may_wait) {
        PyObject *left = PyObject_CallMethodNoArgs(self->transport, word_left);
        if (left == NULL)
            return -1;
        self->may_wait = PyLong_AsSsize_t(left) != 0;
        Py_DECREF(left);
        if (self->may_wait)
            return PyErr_Occurred() ? -1 : 0;
    }
    Py_ssize_t sent = send(self->descriptor, PyBytes_AS_STRING(data), (size_t)PyBytes_GET_SIZE(data),
                           MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent < 0 ? 0 : sent;
#else
    return 0;
#endif
}

static int write_through(LinkIO *self, PyObject *data)
{
    Py_ssize_t sent = write_at_once(self, data);
    if (sent < 0 || sent == PyBytes_GET_SIZE(data))
        return sent < 0 ? -1 : 0;
    PyObject *rest = sent == 0 ? Py_NewRef(data)
                               : PyBytes_FromStringAndSize(PyBytes_AS_STRING(data) + sent, PyBytes_GET_SIZE(data) - sent);
    PyObject *transport = Py_NewRef(self->transport);
    self->may_wait = 1;
    ((Turn *)self->turn)->held += PyBytes_GET_SIZE(data) - sent;
    int failed = rest == NULL ? -1 : link_call(transport, word_write, rest);
    Py_DECREF(transport);
    Py_XDECREF(rest);
    return failed;
}

static int write_out(LinkIO *self)
{
    PyObject *data, *empty = NULL;
    if (PyList_GET_SIZE(self->out) == 1) {
        data = Py_NewRef(PyList_GET_ITEM(self->out, 0));
    } else {
        empty = PyBytes_FromStringAndSize(NULL, 0);
        data = empty == NULL ? NULL : PyObject_CallMethodOneArg(empty, word_join, self->out);
        Py_XDECREF(empty);
    }
    if (data == NULL)
        return -1;
    int failed = self->sent != Py_None && count_all_sent(self->out, self->sent);
    if (!failed) {
        self->bytes_sent += PyBytes_GET_SIZE(data);
        failed = write_through(self, data);
    }
    Py_DECREF(data);
    return failed;
}

int link_flush(LinkIO *self)
{
    self->is_scheduled = 0;
    if (PyList_GET_SIZE(self->out) == 0)
        return 0;
    int failed = self->transport != Py_None ? write_out(self) : 0;
    if (PyList_SetSlice(self->out, 0, PyList_GET_SIZE(self->out), NULL))
        failed = -1;
    int was_full = self->queued >= ((Turn *)self->turn)->send;
    self->queued = 0;
    if (!failed && (was_full || self->is_paused))
        failed = link_call((PyObject *)self, word_flushed, was_full ? Py_True : Py_False);
    return failed;
}

int link_send(LinkIO *self, PyObject *raw)
{
    if (!PyBytes_Check(raw)) {
        PyErr_SetString(PyExc_TypeError, "a frame is bytes");
        return -1;
    }
    if (self->transport == Py_None)
        return 0;
    if (self->descriptor < 0) { /* it may be closing: then nothing goes out any more */
        PyObject *closing = PyObject_CallMethodNoArgs(self->transport, word_is_closing);
        int is_closing = closing == NULL ? -1 : PyObject_IsTrue(closing);
        Py_XDECREF(closing);
        if (is_closing)
            return is_closing < 0 ? -1 : 0;
    }
    if (PyList_Append(self->out, raw))
        return -1;
    self->queued += PyBytes_GET_SIZE(raw);
    ((Turn *)self->turn)->produced += PyBytes_GET_SIZE(raw);
    if (self->is_scheduled)
        return 0;
    self->is_scheduled = 1;
    return turn_flush_later((Turn *)self->turn, self);
}

/* For express.c: whether `sink` is a link of this kind; then whether there is room, and sending without a call. */
int link_is_writable(PyObject *sink)
{
    if (!PyObject_TypeCheck(sink, &LinkIOType))
        return -1;
    const LinkIO *self = (const LinkIO *)sink;
    return !self->is_paused && self->queued < ((const Turn *)self->turn)->send;
}

int link_send_run(PyObject *sink, PyObject *raw, PyObject *name, Py_ssize_t count)
{
    LinkIO *self = (LinkIO *)sink;
    if (count > 1 && self->sent != Py_None)
        counts_add_name(self->sent, name, count - 1);
    return link_send(self, raw);
}

/* Reading ------------------------------------------------------------------------------------------------------------ */

double link_now(LinkIO *self)
{
    if (self->is_real_clock)
        return clock_monotonic();
    PyObject *now = PyObject_CallNoArgs(self->now);
    double seconds = now == NULL ? -1.0 : PyFloat_AsDouble(now);
    Py_XDECREF(now);
    return seconds;
}

/* How many frames the owner says that it handled: it answers with a number, or None for all. */
static Py_ssize_t handled(LinkIO *self, PyObject *answer, Py_ssize_t count)
{
    Py_ssize_t number = answer == NULL ? -1 : answer == Py_None ? count : PyLong_AsSsize_t(answer);
    Py_XDECREF(answer);
    if (number >= 0)
        ((Turn *)self->turn)->last = link_now(self);
    return PyErr_Occurred() ? -1 : Py_MIN(number, count);
}

/* To the owner; what goes the quick way first. How many of the frames were handled: the others wait. */
static Py_ssize_t hand_over(LinkIO *self, PyObject *frames, double now)
{
    Py_ssize_t at = 0, count = PyList_GET_SIZE(frames);
    if (self->express == Py_None) {
        PyObject *to[] = {self->owner, (PyObject *)self, frames};
        return handled(
            self, PyObject_VectorcallMethod(word_messages_received, to, 3 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL), count);
    }
    at = express_take_frames((Express *)self->express, self->source, &self->party, (PyObject *)self, frames, at, now);
    if (at < 0 || at == count)
        return at;
    PyObject *done = NULL, *index = PyLong_FromSsize_t(at), *when = PyFloat_FromDouble(now);
    if (index != NULL && when != NULL) {
        PyObject *to[] = {self->owner, (PyObject *)self, frames, index, when};
        done = PyObject_VectorcallMethod(word_messages_left, to, 5 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    }
    Py_XDECREF(index);
    Py_XDECREF(when);
    return handled(self, done, count);
}

/* The owner raised an error: theirs is answered, ours goes on. */
static int blame(LinkIO *self)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (value != NULL && traceback != NULL)
        PyException_SetTraceback(value, traceback);
    PyObject *is_theirs = value == NULL ? NULL : PyObject_CallMethodOneArg((PyObject *)self, word_failed, value);
    int failed = is_theirs == NULL ? -1 : is_theirs != Py_True;
    Py_XDECREF(is_theirs);
    if (failed > 0) {
        PyErr_Restore(type, value, traceback);
        return -1;
    }
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
    return failed;
}

/* Have frames wait, from the first that was not handled. */
static int hold(LinkIO *self, PyObject *frames, Py_ssize_t at)
{
    PyObject *rest = PyList_GetSlice(frames, at, PyList_GET_SIZE(frames));
    int failed = rest == NULL ? -1 : link_call((PyObject *)self, word_hold, rest);
    Py_XDECREF(rest);
    return failed;
}

int link_pass_on(LinkIO *self, PyObject *frames, double now)
{
    char outer = self->is_performing; /* whoever performs goes on with it */
    self->is_performing = 1;
    Py_ssize_t at = hand_over(self, frames, now);
    self->is_performing = outer;
    self->frames_received += at < 0 ? 1 : at;
    if (at < 0) {
        if (blame(self))
            return -1;
    } else if (at < PyList_GET_SIZE(frames) && hold(self, frames, at)) {
        return -1;
    }
    if (outer || !self->again)
        return 0;
    self->again = 0;
    return link_call((PyObject *)self, word_perform, NULL);
}

int link_receive(LinkIO *self, PyObject *data, double now)
{
    Turn *turn = (Turn *)self->turn;
    ((Reader *)self->reader)->fed_at = turn->last = now;
    PyObject *frames = reader_feed((Reader *)self->reader, data);
    if (frames == NULL)
        return -1;
    if (self->received != Py_None && count_all_frames(frames, self->received)) {
        Py_DECREF(frames);
        return -1;
    }
    const Reader *reader = (const Reader *)self->reader;
    int failed = 0;
    if (reader->buffered)
        turn->held += PyBytes_GET_SIZE(data);
    turn->is_reading = 1;
    if (!self->is_plain || reader->has_control || reader->error != Py_None)
        failed = link_call((PyObject *)self, word_take, frames);
    else if (PyList_GET_SIZE(frames))
        failed = link_pass_on(self, frames, now);
    Py_DECREF(frames);
    return turn_end(turn) || failed ? -1 : 0;
}

/* A read that has to wait, or of which a part has to. */
int link_read_on(LinkIO *self, PyObject *data)
{
    return link_call((PyObject *)self, word_read_on, data);
}
