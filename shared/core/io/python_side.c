/* What io/ touches of Python's: python_side.h lists it. */
#include "io/python_side.h"

#include "names.h"

IoNames io_name;
IoTls io_tls;
PyObject *io_monotonic;

static int tls_ready(void)
{
    PyObject *ssl = PyImport_ImportModule("ssl");
    if (ssl == NULL)
        return -1;
    io_tls.want_read = PyObject_GetAttrString(ssl, "SSLWantReadError");
    io_tls.error = PyObject_GetAttrString(ssl, "SSLError");
    io_tls.is_over = PyObject_GetAttrString(ssl, "SSLZeroReturnError");
    Py_DECREF(ssl);
    return io_tls.want_read == NULL || io_tls.error == NULL || io_tls.is_over == NULL ? -1 : 0;
}

int io_python_ready(void)
{
    static const Name names[] = {
        {&io_name.messages_received, "messages_received"},
        {&io_name.messages_left, "messages_left"},
        {&io_name.take_frames, "_take_frames"},
        {&io_name.perform, "_perform"},
        {&io_name.failed, "_failed"},
        {&io_name.flushed, "_flushed"},
        {&io_name.read_on, "_read_on"},
        {&io_name.hold, "_hold"},
        {&io_name.flush, "flush"},
        {&io_name.is_closing, "is_closing"},
        {&io_name.get_write_buffer_size, "get_write_buffer_size"},
        {&io_name.write, "write"},
        {&io_name.join, "join"},
        {&io_name.reader, "reader"},
        {&io_name.read_otherwise, "_read_otherwise"},
        {&io_name.after_read, "_after_read"},
        {&io_name.at_fault, "_at_fault"},
        {&io_name.write_pieces, "_write_pieces"},
        {&io_name.data_received, "data_received"},
        {&io_name.read, "read"},
        {&io_name.pending, "pending"},
        {&io_name.compiled, "_sslobj"},
    };
    if (make_names(names, sizeof names / sizeof *names))
        return -1;
    PyObject *time = PyImport_ImportModule("time");
    io_monotonic = time == NULL ? NULL : PyObject_GetAttrString(time, "monotonic");
    Py_XDECREF(time);
    return io_monotonic == NULL ? -1 : tls_ready();
}

/* Call a method, for what it does. */
int io_call(PyObject *object, PyObject *method, PyObject *argument)
{
    PyObject *done = argument == NULL ? PyObject_CallMethodNoArgs(object, method)
                                      : PyObject_CallMethodOneArg(object, method, argument);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* The error, in words, of bytes that are no frame. */
PyObject *io_find_fault(PyObject *data, int64_t limit)
{
    PyObject *module = PyImport_ImportModule("parley.shared.wire.framing");
    PyObject *error =
        module == NULL ? NULL : PyObject_CallMethod(module, "find_fault", "OL", data, (long long)limit);
    Py_XDECREF(module);
    return error;
}

/* A list of bytes, at least one, as one. */
PyObject *io_joined(PyObject *parts)
{
    if (PyList_GET_SIZE(parts) == 1)
        return Py_NewRef(PyList_GET_ITEM(parts, 0));
    PyObject *empty = PyBytes_FromStringAndSize(NULL, 0);
    PyObject *data = empty == NULL ? NULL : PyObject_CallMethodOneArg(empty, io_name.join, parts);
    Py_XDECREF(empty);
    return data;
}

/* What an ssl.SSLObject's methods call, or that itself where it is another's. */
PyObject *io_compiled_tls(PyObject *tls)
{
    PyObject *compiled = PyObject_GetAttr(tls, io_name.compiled);
    if (compiled == NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear();
        return Py_NewRef(tls);
    }
    return compiled;
}

int io_no_bytes(void)
{
    PyErr_SetString(PyExc_TypeError, "what was encrypted is bytes");
    return -1;
}
