/* The hot half of a link, shared/link/io.py compiled: from a read to the owner, from what is sent to one write.
 *
 * Where somebody takes frames first (frame_taker.h), messages go there, and the owner gets what is left.
 */
#include "io/link.h"

#include "io/frame_taker.h"
#include "io/frames.h"
#include "io/past_transport.h"
#include "io/python_side.h"
#include "io/tallies.h"

/* Writing ------------------------------------------------------------------------------------------------------ */

/* Write past the transport what goes out after a quiet time: at once, and not at the end of the loop's turn.
 *
 * What follows soon goes by way of the transport, which gathers a turn's writes. Returns how much was written: 0
 * also where the transport has something to write before, and where there is any fault, which it will meet, too.
 */
static Py_ssize_t write_past_transport(LinkIO *self, PyObject *data)
{
    double now = clock_monotonic(), before = self->written_at;
    self->written_at = ((Turn *)self->turn)->last = now;
    if (!self->is_plain_tcp || self->descriptor < 0 || now - before < QUIET || self->is_paused)
        return 0;
    if (self->may_wait) {
        PyObject *left = PyObject_CallMethodNoArgs(self->transport, io_name.get_write_buffer_size);
        if (left == NULL)
            return -1;
        self->may_wait = PyLong_AsSsize_t(left) != 0;
        Py_DECREF(left);
        if (self->may_wait)
            return PyErr_Occurred() ? -1 : 0;
    }
    return write_to_socket(self->descriptor, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data));
}

static int write_through(LinkIO *self, PyObject *data)
{
    Py_ssize_t sent = write_past_transport(self, data);
    if (sent < 0 || sent == PyBytes_GET_SIZE(data))
        return sent < 0 ? -1 : 0;
    PyObject *rest = sent == 0
                         ? Py_NewRef(data)
                         : PyBytes_FromStringAndSize(PyBytes_AS_STRING(data) + sent, PyBytes_GET_SIZE(data) - sent);
    PyObject *transport = Py_NewRef(self->transport);
    self->may_wait = 1;
    ((Turn *)self->turn)->held += PyBytes_GET_SIZE(data) - sent;
    int failed = rest == NULL ? -1 : io_call(transport, io_name.write, rest);
    Py_DECREF(transport);
    Py_XDECREF(rest);
    return failed;
}

static int write_out(LinkIO *self)
{
    PyObject *data = io_joined(self->out);
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
        failed = io_call((PyObject *)self, io_name.flushed, was_full ? Py_True : Py_False);
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
        PyObject *closing = PyObject_CallMethodNoArgs(self->transport, io_name.is_closing);
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
    return turn_flush_later((Turn *)self->turn, (PyObject *)self);
}

/* The same in the other side's dialect; nothing where that is written later. */
int link_send_translated(LinkIO *self, PyObject *raw)
{
    if (self->translate == Py_None || self->transport == Py_None)
        return link_send(self, raw);
    PyObject *translated = PyObject_CallOneArg(self->translate, raw);
    if (translated == NULL)
        return -1;
    int failed = PyBytes_Check(translated) && PyBytes_GET_SIZE(translated) == 0 ? 0 : link_send(self, translated);
    Py_DECREF(translated);
    return failed;
}

/* Reading ------------------------------------------------------------------------------------------------------ */

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

/* To the owner, after whoever takes frames first. How many of the frames were handled: the others wait. */
static Py_ssize_t hand_over(LinkIO *self, PyObject *frames, double now)
{
    Py_ssize_t at = 0, count = PyList_GET_SIZE(frames);
    if (self->taker == Py_None) {
        PyObject *to[] = {self->owner, (PyObject *)self, frames};
        return handled(
            self,
            PyObject_VectorcallMethod(io_name.messages_received, to, 3 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL),
            count);
    }
    FrameTaker *taker = (FrameTaker *)self->taker;
    at = taker->take(taker, self->source, &self->kept, (PyObject *)self, frames, at, now);
    if (at < 0 || at == count)
        return at;
    PyObject *done = NULL, *index = PyLong_FromSsize_t(at), *when = PyFloat_FromDouble(now);
    if (index != NULL && when != NULL) {
        PyObject *to[] = {self->owner, (PyObject *)self, frames, index, when};
        done = PyObject_VectorcallMethod(io_name.messages_left, to, 5 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
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
    PyObject *is_theirs = value == NULL ? NULL : PyObject_CallMethodOneArg((PyObject *)self, io_name.failed, value);
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
    int failed = rest == NULL ? -1 : io_call((PyObject *)self, io_name.hold, rest);
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
    return io_call((PyObject *)self, io_name.perform, NULL);
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
        failed = io_call((PyObject *)self, io_name.take_frames, frames);
    else if (PyList_GET_SIZE(frames))
        failed = link_pass_on(self, frames, now);
    Py_DECREF(frames);
    return turn_end(turn) || failed ? -1 : 0;
}

/* A read that has to wait, or of which a part has to. */
int link_read_on(LinkIO *self, PyObject *data)
{
    return io_call((PyObject *)self, io_name.read_on, data);
}
