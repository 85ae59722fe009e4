/* What io/ touches of Python's: python_side.h lists it. */
#include "io/python_side.h"

#include "names.h"

IoNames io_name;
PyObject *io_monotonic;

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
    };
    if (make_names(names, sizeof names / sizeof *names))
        return -1;
    PyObject *time = PyImport_ImportModule("time");
    io_monotonic = time == NULL ? NULL : PyObject_GetAttrString(time, "monotonic");
    Py_XDECREF(time);
    return io_monotonic == NULL ? -1 : 0;
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
