/* Bytes in, frames out: shared/wire/framing.py, compiled. It knows what is right; framing.py says what is wrong. */
#include "io/frames.h"

#include <structmember.h>

#include "io/python_side.h"
#include "io/tallies.h"

enum { NAMES = 64 };

/* Names ---------------------------------------------------------------------------------------------- */

static PyObject *names[NAMES];

/* The name as a str; the same object for the same name, as long as it is used often. */
static PyObject *frame_name(const char *text, Py_ssize_t length)
{
    unsigned slot = (unsigned)(length * 7 + text[0] + 3 * text[length - 1]) % NAMES;
    PyObject *name = names[slot];
    if (name != NULL && PyUnicode_GET_LENGTH(name) == length &&
        memcmp(PyUnicode_1BYTE_DATA(name), text, (size_t)length) == 0)
        return Py_NewRef(name);
    name = PyUnicode_FromStringAndSize(text, length);
    /* Not interned: any side could fill the memory with names of its own. */
    if (name != NULL && PyUnicode_IS_ASCII(name))
        Py_XSETREF(names[slot], Py_NewRef(name));
    return name;
}

/* Frame ---------------------------------------------------------------------------------------------- */

static PyObject *frame_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *kwlist[] = {"name", "raw", "start", NULL};
    PyObject *name, *raw;
    Py_ssize_t start;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "USn", kwlist, &name, &raw, &start))
        return NULL;
    if (start < 0 || start >= PyBytes_GET_SIZE(raw)) {
        PyErr_SetString(PyExc_ValueError, "the payload begins outside of the frame");
        return NULL;
    }
    Frame *self = (Frame *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->name = Py_NewRef(name);
    self->buffer = Py_NewRef(raw);
    self->body = start;
    self->end = PyBytes_GET_SIZE(raw);
    return (PyObject *)self;
}

static void frame_dealloc(Frame *self)
{
    Py_XDECREF(self->name);
    Py_XDECREF(self->buffer);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyObject *frame_get_name(Frame *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(self->name);
}

static PyObject *frame_get_raw(Frame *self, void *Py_UNUSED(closure))
{
    if (self->start == 0 && self->end == PyBytes_GET_SIZE(self->buffer))
        return Py_NewRef(self->buffer);
    return PyBytes_FromStringAndSize(PyBytes_AS_STRING(self->buffer) + self->start, self->end - self->start);
}

static PyObject *frame_get_payload(Frame *self, void *Py_UNUSED(closure))
{
    Py_ssize_t length;
    const char *payload = frame_payload(self, &length);
    return PyBytes_FromStringAndSize(payload, length);
}

static PyObject *frame_repr(Frame *self)
{
    return PyUnicode_FromFormat("<Frame %U, %zd bytes of payload>", self->name, self->end - self->body - 1);
}

static PyGetSetDef frame_attributes[] = {
    {"name", (getter)frame_get_name, NULL, NULL, NULL},
    {"raw", (getter)frame_get_raw, NULL, NULL, NULL},
    {"payload", (getter)frame_get_payload, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject FrameType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "parley.shared._core.Frame",
    .tp_basicsize = sizeof(Frame),
    .tp_dealloc = (destructor)frame_dealloc,
    .tp_repr = (reprfunc)frame_repr,
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_getset = frame_attributes,
    .tp_new = frame_new,
};

/* FrameReader ------------------------------------------------------------------------------------------ */

static PyObject *reader_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *kwlist[] = {"limit", "control", NULL};
    long long limit;
    PyObject *control = NULL;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "L|O!", kwlist, &limit, &PyFrozenSet_Type, &control))
        return NULL;
    Reader *self = (Reader *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->limit = self->allowed = limit;
    self->error = Py_NewRef(Py_None);
    self->control = control != NULL ? Py_NewRef(control) : PyFrozenSet_New(NULL);
    if (self->control == NULL)
        Py_CLEAR(self);
    return (PyObject *)self;
}

/* An error holds the frames that it was raised in, and these, by way of a link, this reader. */
static int reader_traverse(Reader *self, visitproc visit, void *arg)
{
    Py_VISIT(self->error);
    return 0;
}

static int reader_clear(Reader *self)
{
    Py_XSETREF(self->error, Py_NewRef(Py_None));
    return 0;
}

static void reader_dealloc(Reader *self)
{
    PyObject_GC_UnTrack(self);
    Py_XDECREF(self->error);
    Py_XDECREF(self->control);
    PyMem_Free(self->rest);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static int reader_keep(Reader *self, const char *data, Py_ssize_t length)
{
    Py_ssize_t needed = self->buffered + length;
    if (needed > self->room) {
        Py_ssize_t room = self->wanted > needed ? self->wanted : needed;
        if (room > 2 * needed)
            room = 2 * needed; /* nobody gets memory for what they only announce */
        char *rest = PyMem_Realloc(self->rest, (size_t)room);
        if (rest == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        self->rest = rest;
        self->room = room;
    }
    memcpy(self->rest + self->buffered, data, (size_t)length);
    self->buffered = needed;
    return 0;
}

enum { CUT, INCOMPLETE, WRONG, BROKEN };

/* Read one frame of `data` at `position` into `frame`. */
static int cut_one(Reader *self, PyObject *data, Py_ssize_t position, int is_first, Frame **found)
{
    const char *text = PyBytes_AS_STRING(data), *end = text + PyBytes_GET_SIZE(data);
    const char *begin = text + position, *at = begin;
    uint64_t length = 0;
    self->wanted = 0;
    if (*at < 'A' || *at > 'Z')
        return WRONG;
    do
        at++;
    while (at < end && at - begin < LONGEST_NAME &&
           ((*at >= 'A' && *at <= 'Z') || *at == '_' || (*at >= '0' && *at <= '9')));
    Py_ssize_t name_length = at - begin;
    if (at == end)
        return INCOMPLETE;
    if (*at++ != ' ')
        return WRONG;
    const char *digits = at;
    for (; at < end && *at >= '0' && *at <= '9'; at++) {
        if (at - digits == MOST_DIGITS)
            return WRONG;
        length = length > UINT64_MAX / 10 - 1 ? UINT64_MAX : length * 10 + (uint64_t)(*at - '0');
    }
    if (at == end)
        return INCOMPLETE;
    if (*at++ != ' ' || at - digits == 1 || length > (uint64_t)self->limit)
        return WRONG;
    if (length > (uint64_t)self->allowed) /* what came before it may change that */
        return is_first ? WRONG : INCOMPLETE;
    if ((uint64_t)(end - at) < length + 1) {
        uint64_t wanted = (uint64_t)(at - begin) + length + 1; /* a limit may be the largest number there is */
        self->wanted = wanted < PY_SSIZE_T_MAX ? (Py_ssize_t)wanted : PY_SSIZE_T_MAX;
        return INCOMPLETE;
    }
    if (at[length] != '\n')
        return WRONG;
    PyObject *name = frame_name(begin, name_length);
    Frame *frame = name == NULL ? NULL : PyObject_New(Frame, &FrameType);
    if (frame == NULL) {
        Py_XDECREF(name);
        return BROKEN;
    }
    frame->name = name;
    frame->buffer = Py_NewRef(data);
    frame->start = position;
    frame->body = at - text;
    frame->end = frame->body + (Py_ssize_t)length + 1;
    *found = frame;
    return CUT;
}

/* What is wrong there, in words, as framing.py says it. */
static int reader_fault(Reader *self, PyObject *data, Py_ssize_t position)
{
    PyObject *rest =
        PyBytes_FromStringAndSize(PyBytes_AS_STRING(data) + position, PyBytes_GET_SIZE(data) - position);
    PyObject *error = rest == NULL ? NULL : io_find_fault(rest, Py_MIN(self->limit, self->allowed));
    Py_XDECREF(rest);
    if (error == NULL)
        return -1;
    Py_SETREF(self->error, error);
    return 0;
}

static int reader_cut(Reader *self, PyObject *data, PyObject *frames)
{
    Py_ssize_t position = 0, size = PyBytes_GET_SIZE(data);
    PyObject *checked = NULL;
    while (position < size) {
        Frame *frame = NULL;
        int outcome = cut_one(self, data, position, PyList_GET_SIZE(frames) == 0, &frame);
        if (outcome == BROKEN)
            return -1;
        if (outcome == WRONG)
            return reader_fault(self, data, position);
        if (outcome == INCOMPLETE)
            return reader_keep(self, PyBytes_AS_STRING(data) + position, size - position);
        if (frame->name != checked) {
            checked = frame->name;
            int is_control = PySet_Contains(self->control, checked);
            if (is_control < 0) {
                Py_DECREF(frame);
                return -1;
            }
            self->has_control |= (char)is_control;
        }
        position = frame->end;
        int failed = PyList_Append(frames, (PyObject *)frame);
        Py_DECREF(frame);
        if (failed)
            return -1;
    }
    return 0;
}

PyObject *reader_feed(Reader *self, PyObject *data)
{
    PyObject *frames = PyList_New(0);
    self->has_control = 0;
    if (frames == NULL || self->error != Py_None)
        return frames;
    data = PyBytes_FromObject(data);
    if (data == NULL)
        goto failed;
    if (self->buffered) {
        if (reader_keep(self, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data)))
            goto failed;
        if (self->buffered < self->wanted)
            goto done;
        Py_SETREF(data, PyBytes_FromStringAndSize(self->rest, self->buffered));
        PyMem_Free(self->rest);
        self->rest = NULL;
        self->buffered = self->room = 0;
        if (data == NULL)
            goto failed;
    }
    if (reader_cut(self, data, frames))
        goto failed;
done:
    Py_DECREF(data);
    return frames;
failed:
    Py_XDECREF(data);
    Py_DECREF(frames);
    return NULL;
}

static PyObject *reader_error(Reader *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(self->error);
}

static PyObject *reader_buffered(Reader *self, void *Py_UNUSED(closure))
{
    return PyLong_FromSsize_t(self->buffered);
}

static PyObject *reader_has_control(Reader *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(self->has_control);
}

/* Let go of what is no whole frame. */
static PyObject *reader_close(Reader *self, PyObject *Py_UNUSED(none))
{
    PyMem_Free(self->rest);
    self->rest = NULL;
    self->buffered = self->room = self->wanted = 0;
    return Py_NewRef(Py_None);
}

static PyMethodDef reader_methods[] = {
    {"feed", (PyCFunction)reader_feed, METH_O, "Take what was read; return the frames that it completes."},
    {"close", (PyCFunction)reader_close, METH_NOARGS, "Let go of what is no whole frame: nothing more is read."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef reader_attributes[] = {
    {"error", (getter)reader_error, NULL, NULL, NULL},
    {"buffered", (getter)reader_buffered, NULL, NULL, NULL},
    {"has_control", (getter)reader_has_control, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef reader_members[] = {
    {"allowed", T_LONGLONG, offsetof(Reader, allowed), 0, NULL},
    {"fed_at", T_DOUBLE, offsetof(Reader, fed_at), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyTypeObject ReaderType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "parley.shared._core.FrameReader",
    .tp_basicsize = sizeof(Reader),
    .tp_dealloc = (destructor)reader_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_traverse = (traverseproc)reader_traverse,
    .tp_clear = (inquiry)reader_clear,
    .tp_methods = reader_methods,
    .tp_getset = reader_attributes,
    .tp_members = reader_members,
    .tp_new = reader_new,
};

/* Counting ------------------------------------------------------------------------------------------------ */

int count_all_sent(PyObject *raws, PyObject *counts)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(raws); i++) {
        PyObject *raw = PyList_GET_ITEM(raws, i);
        if (!PyBytes_Check(raw)) {
            PyErr_SetString(PyExc_TypeError, "count_sent counts bytes");
            return -1;
        }
        const char *text = PyBytes_AS_STRING(raw);
        const char *end = memchr(text, ' ', (size_t)Py_MIN(LONGEST_NAME + 1, PyBytes_GET_SIZE(raw)));
        counts_add(counts, text, end == NULL ? 0 : end - text, 1);
    }
    return 0;
}

int count_all_frames(PyObject *frames, PyObject *counts)
{
    PyObject *name = NULL;
    Py_ssize_t run = 0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(frames); i++) {
        Frame *frame = (Frame *)PyList_GET_ITEM(frames, i);
        if (!Py_IS_TYPE(frame, &FrameType)) {
            PyErr_SetString(PyExc_TypeError, "count_frames counts compiled frames");
            return -1;
        }
        if (frame->name != name && run) {
            counts_add_name(counts, name, run);
            run = 0;
        }
        name = frame->name;
        run++;
    }
    if (run)
        counts_add_name(counts, name, run);
    return 0;
}

static PyObject *count_with(int (*count_all)(PyObject *, PyObject *), PyObject *const *arguments, Py_ssize_t count)
{
    if (count == 2 && PyList_Check(arguments[0]) && Py_IS_TYPE(arguments[1], &CountsType))
        return count_all(arguments[0], arguments[1]) ? NULL : Py_NewRef(Py_None);
    PyErr_SetString(PyExc_TypeError, "a list and Counts are wanted");
    return NULL;
}

/* count_sent(raws, counts): count frames as bytes, each by the name that it begins with. */
PyObject *count_sent(PyObject *Py_UNUSED(module), PyObject *const *arguments, Py_ssize_t count)
{
    return count_with(count_all_sent, arguments, count);
}

/* count_frames(frames, counts): count a list of Frames by name. */
PyObject *count_frames(PyObject *Py_UNUSED(module), PyObject *const *arguments, Py_ssize_t count)
{
    return count_with(count_all_frames, arguments, count);
}
