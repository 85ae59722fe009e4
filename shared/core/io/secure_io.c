/* The hot half of TLS below a link, shared/link/secure_io.py compiled: from a read to the link, from what the link
 * writes to one write. OpenSSL is Python's: its methods are called, and nothing of it is linked.
 */
#include "io/secure_io.h"

#include "io/past_transport.h"
#include "io/python_side.h"

#include <structmember.h>

typedef struct {
    PyObject_HEAD
    PyObject *link;                /* None: the connection is gone */
    PyObject *incoming, *outgoing; /* MemoryBIO */
    PyObject *decrypt, *encrypt;   /* the read and write of the connection's SSL object */
    PyObject *raw;                 /* the connection's transport, or None */
    double written_at;
    long long fed; /* bytes of the handshake; after it, those that brought no data */
    int descriptor;
    char is_secured, is_broken, is_resting, is_paused;
    char has_part; /* OpenSSL may have the beginning of a record */
    char may_wait; /* something may wait in the transport */
} SecureIO;

/* Reading ------------------------------------------------------------------------------------------------------ */

/* How many bytes wait in a buffer; -1 with an error. */
static Py_ssize_t pending(PyObject *buffer)
{
    PyObject *found = PyObject_GetAttr(buffer, io_name.pending);
    Py_ssize_t count = found == NULL ? -1 : PyLong_AsSsize_t(found);
    Py_XDECREF(found);
    return count;
}

/* What ended the reading of records: OVER, FAULT (then `fault` is an error of TLS), or -1 with an error of ours. */
enum { OVER, FAULT };

static int fault_found(PyObject **fault)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    *fault = Py_XNewRef(value);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
    return *fault == NULL ? -1 : FAULT;
}

/* One record's data, whole: of less nobody would ask for the rest. It is shorter than its record, which is of what
 * waits unless OpenSSL has its beginning; a buffer of that size is cheaper to make than one for the longest.
 */
static PyObject *decrypt_record(SecureIO *self, Py_ssize_t waits)
{
    PyObject *most = PyLong_FromSsize_t(self->has_part || waits > TLS_PIECE ? TLS_PIECE : waits);
    PyObject *part = most == NULL ? NULL : PyObject_CallOneArg(self->decrypt, most);
    Py_XDECREF(most);
    self->has_part = part == NULL;
    return part;
}

/* Read records until the buffer is empty, or there are enough; what brings no data is counted. `waits`: bytes in the
 * buffer, or -1 where that is to be asked.
 */
static int read_records(SecureIO *self, PyObject *found, PyObject **fault, Py_ssize_t waits)
{
    for (;;) {
        if (waits < 0 && (waits = pending(self->incoming)) < 0)
            return -1;
        if (waits == 0 || PyList_GET_SIZE(found) >= TLS_RECORDS)
            return OVER;
        PyObject *part = decrypt_record(self, waits);
        if (part == NULL) {
            if (PyErr_ExceptionMatches(io_tls.want_read)) {
                PyErr_Clear();
                return OVER;
            }
            return PyErr_ExceptionMatches(io_tls.error) ? fault_found(fault) : -1;
        }
        if (!PyBytes_Check(part) || PyBytes_GET_SIZE(part) == 0) {
            Py_DECREF(part);
            *fault = PyObject_CallNoArgs(io_tls.is_over);
            return *fault == NULL ? -1 : FAULT;
        }
        Py_ssize_t record = PyBytes_GET_SIZE(part) + TLS_RECORD;
        long long fed = self->fed - record;
        self->fed = fed < -TLS_PIECE ? -TLS_PIECE : fed;
        waits = record == waits ? 0 : -1;
        int failed = PyList_Append(found, part);
        Py_DECREF(part);
        if (failed)
            return -1;
    }
}

/* Nothing behind a fault (NULL: there was none), after which OpenSSL neither tells nor encrypts. */
static int hand_on(SecureIO *self, PyObject *found, PyObject *fault)
{
    if (PyList_GET_SIZE(found) == 0 || self->link == Py_None || self->is_broken)
        return 0;
    if (fault != NULL && !PyErr_GivenExceptionMatches(fault, io_tls.is_over))
        return 0;
    PyObject *data = io_joined(found), *link = Py_NewRef(self->link); /* which the link may let go of */
    int failed = data == NULL ? -1 : io_call(link, io_name.data_received, data);
    Py_XDECREF(data);
    Py_DECREF(link);
    return failed;
}

/* Whether something came besides data, or is left for the next turn. */
static int has_more(SecureIO *self, PyObject *data, PyObject *found)
{
    Py_ssize_t others = PyBytes_GET_SIZE(data);
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(found); i++)
        others -= PyBytes_GET_SIZE(PyList_GET_ITEM(found, i)) + TLS_RECORD;
    if (others == 0) /* whole records of data, and all of them: most reads */
        return 0;
    Py_ssize_t in = pending(self->incoming), out = in < 0 ? -1 : pending(self->outgoing);
    return out < 0 ? -1 : in > 0 || out > 0 || self->fed > TLS_BARREN;
}

static int decrypt_read(SecureIO *self, PyObject *data)
{
    PyObject *found = PyList_New(0), *fault = NULL;
    int failed = found == NULL ? -1 : io_call(self->incoming, io_name.write, data);
    self->fed += PyBytes_GET_SIZE(data);
    int end = failed ? -1 : read_records(self, found, &fault, self->has_part ? -1 : PyBytes_GET_SIZE(data));
    if (end >= 0 && hand_on(self, found, fault))
        end = -1;
    if (end == FAULT)
        end = io_call((PyObject *)self, io_name.at_fault, fault);
    else if (end == OVER && (end = has_more(self, data, found)) > 0)
        end = io_call((PyObject *)self, io_name.after_read, NULL);
    Py_XDECREF(found);
    Py_XDECREF(fault);
    return end;
}

static PyObject *py_data_received(SecureIO *self, PyObject *data)
{
    int failed;
    if (self->is_secured && !self->is_broken && !self->is_paused && !self->is_resting && PyBytes_Check(data) &&
        PyBytes_GET_SIZE(data) <= TLS_PIECE)
        failed = decrypt_read(self, data);
    else
        failed = io_call((PyObject *)self, io_name.read_otherwise, data);
    return failed ? NULL : Py_NewRef(Py_None);
}

/* Writing ------------------------------------------------------------------------------------------------------ */

/* Whether the connection is not closing, and nothing waits in its transport; -1 with an error. */
static int is_clear(SecureIO *self)
{
    PyObject *closing = PyObject_CallMethodNoArgs(self->raw, io_name.is_closing);
    int is_closing = closing == NULL ? -1 : PyObject_IsTrue(closing);
    Py_XDECREF(closing);
    if (is_closing)
        return is_closing < 0 ? -1 : 0;
    if (!self->may_wait)
        return 1;
    PyObject *left = PyObject_CallMethodNoArgs(self->raw, io_name.get_write_buffer_size);
    Py_ssize_t waits = left == NULL ? -1 : PyLong_AsSsize_t(left);
    Py_XDECREF(left);
    self->may_wait = waits != 0;
    return waits < 0 ? -1 : waits == 0;
}

/* Write to the connection: after a quiet time at once, as a plain link does (link.c). */
static int pass_on(SecureIO *self, PyObject *data)
{
    PyObject *raw = Py_NewRef(self->raw);
    double now = clock_monotonic(), before = self->written_at;
    self->written_at = now;
    int past = self->descriptor >= 0 && now - before >= QUIET ? is_clear(self) : 0;
    Py_ssize_t size = PyBytes_GET_SIZE(data);
    Py_ssize_t sent = past > 0 ? write_to_socket(self->descriptor, PyBytes_AS_STRING(data), size) : 0;
    int failed = past < 0 ? -1 : 0;
    if (!failed && sent < size) {
        self->may_wait = 1;
        PyObject *rest =
            sent ? PyBytes_FromStringAndSize(PyBytes_AS_STRING(data) + sent, size - sent) : Py_NewRef(data);
        failed = rest == NULL ? -1 : io_call(raw, io_name.write, rest);
        Py_XDECREF(rest);
    }
    Py_DECREF(raw);
    return failed;
}

static int encrypt_and_send(SecureIO *self, PyObject *data)
{
    PyObject *done = PyObject_CallOneArg(self->encrypt, data);
    Py_XDECREF(done);
    PyObject *encrypted = done == NULL ? NULL : PyObject_CallMethodNoArgs(self->outgoing, io_name.read);
    int failed = encrypted == NULL ? -1 : !PyBytes_Check(encrypted) ? io_no_bytes() : pass_on(self, encrypted);
    Py_XDECREF(encrypted);
    return failed;
}

static PyObject *py_write(SecureIO *self, PyObject *data)
{
    if (!self->is_secured || self->is_broken || self->raw == Py_None)
        return Py_NewRef(Py_None);
    int failed = PyBytes_Check(data) && PyBytes_GET_SIZE(data) <= TLS_PIECE
                     ? encrypt_and_send(self, data)
                     : io_call((PyObject *)self, io_name.write_pieces, data);
    return failed ? NULL : Py_NewRef(Py_None);
}

/* The type ----------------------------------------------------------------------------------------------------- */

static int secure_init(SecureIO *self, PyObject *arguments, PyObject *keywords)
{
    static char *kwlist[] = {"link", "incoming", "outgoing", "tls", NULL};
    PyObject *link, *incoming, *outgoing, *tls;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OOOO", kwlist, &link, &incoming, &outgoing, &tls))
        return -1;
    PyObject *compiled = io_compiled_tls(tls);
    if (compiled == NULL)
        return -1;
    Py_XSETREF(self->decrypt, PyObject_GetAttr(compiled, io_name.read));
    Py_XSETREF(self->encrypt, PyObject_GetAttr(compiled, io_name.write));
    Py_DECREF(compiled);
    if (self->decrypt == NULL || self->encrypt == NULL)
        return -1;
    Py_XSETREF(self->link, Py_NewRef(link));
    Py_XSETREF(self->incoming, Py_NewRef(incoming));
    Py_XSETREF(self->outgoing, Py_NewRef(outgoing));
    Py_XSETREF(self->raw, Py_NewRef(Py_None));
    self->descriptor = -1;
    self->has_part = self->may_wait = 1;
    return 0;
}

static int secure_traverse(SecureIO *self, visitproc visit, void *arg)
{
    Py_VISIT(self->link);
    Py_VISIT(self->incoming);
    Py_VISIT(self->outgoing);
    Py_VISIT(self->decrypt);
    Py_VISIT(self->encrypt);
    Py_VISIT(self->raw);
    return 0;
}

static int secure_clear(SecureIO *self)
{
    /* Everything that the methods look at stays an object: one may be called once more while it is collected. */
    Py_XSETREF(self->link, Py_NewRef(Py_None));
    Py_XSETREF(self->raw, Py_NewRef(Py_None));
    return 0;
}

static void secure_dealloc(SecureIO *self)
{
    PyObject_GC_UnTrack(self);
    Py_CLEAR(self->link);
    Py_CLEAR(self->incoming);
    Py_CLEAR(self->outgoing);
    Py_CLEAR(self->decrypt);
    Py_CLEAR(self->encrypt);
    Py_CLEAR(self->raw);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

/* Python's half needs this one too, for what is not of one piece: None, or the fault. */
static PyObject *py_read_records(SecureIO *self, PyObject *found)
{
    PyObject *fault = NULL;
    if (!PyList_Check(found)) {
        PyErr_SetString(PyExc_TypeError, "what is found goes to a list");
        return NULL;
    }
    int end = read_records(self, found, &fault, -1);
    return end < 0 ? NULL : end == FAULT ? fault : Py_NewRef(Py_None);
}

static PyObject *py_hand_on(SecureIO *self, PyObject *arguments)
{
    PyObject *found, *fault;
    if (!PyArg_ParseTuple(arguments, "O!O", &PyList_Type, &found, &fault))
        return NULL;
    return hand_on(self, found, fault == Py_None ? NULL : fault) ? NULL : Py_NewRef(Py_None);
}

static PyMethodDef secure_methods[] = {
    {"data_received", (PyCFunction)py_data_received, METH_O, "Decrypt a read, and hand it on: what asyncio calls."},
    {"_read_records", (PyCFunction)py_read_records, METH_O, "Decrypt what waits into a list; the fault, or None."},
    {"_hand_on", (PyCFunction)py_hand_on, METH_VARARGS, "Give the link what was found."},
    {"write", (PyCFunction)py_write, METH_O, "Encrypt and send."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef secure_members[] = {
    {"_link", T_OBJECT, offsetof(SecureIO, link), 0, NULL},
    {"_raw", T_OBJECT, offsetof(SecureIO, raw), 0, NULL},
    {"_incoming", T_OBJECT, offsetof(SecureIO, incoming), READONLY, NULL},
    {"_outgoing", T_OBJECT, offsetof(SecureIO, outgoing), READONLY, NULL},
    {"_decrypt_record", T_OBJECT, offsetof(SecureIO, decrypt), READONLY, NULL},
    {"_encrypt", T_OBJECT, offsetof(SecureIO, encrypt), READONLY, NULL},
    {"_fed", T_LONGLONG, offsetof(SecureIO, fed), 0, NULL},
    {"_descriptor", T_INT, offsetof(SecureIO, descriptor), 0, NULL},
    {"_is_secured", T_BOOL, offsetof(SecureIO, is_secured), 0, NULL},
    {"_is_broken", T_BOOL, offsetof(SecureIO, is_broken), 0, NULL},
    {"_is_resting", T_BOOL, offsetof(SecureIO, is_resting), 0, NULL},
    {"_is_paused", T_BOOL, offsetof(SecureIO, is_paused), 0, NULL},
    {"_may_wait", T_BOOL, offsetof(SecureIO, may_wait), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyTypeObject SecureIOType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "parley.shared._core.SecureIO",
    .tp_basicsize = sizeof(SecureIO),
    .tp_dealloc = (destructor)secure_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_traverse = (traverseproc)secure_traverse,
    .tp_clear = (inquiry)secure_clear,
    .tp_methods = secure_methods,
    .tp_members = secure_members,
    .tp_init = (initproc)secure_init,
    .tp_new = PyType_GenericNew,
};
