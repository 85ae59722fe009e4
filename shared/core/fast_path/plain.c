/* Plain messages that are the router's, as their recipients are away: shared/wire/plain_messages.py. */
#include "fast_path/plain.h"

#include "deduplication/keys.h"
#include "fast_path/simple_frames.h"

/* (author, recipient, number, key) of a message of one whose head is known. */
static PyObject *described(PyObject *known, const Message *message, PyObject *multipliers_bytes)
{
    MessageKey pair, key;
    if (!PyTuple_Check(known) || PyTuple_GET_SIZE(known) != 3) {
        PyErr_SetString(PyExc_TypeError, "what is known of a head is (author, recipient, pair)");
        return NULL;
    }
    const MessageKey *multipliers = multipliers_of(multipliers_bytes);
    if (multipliers == NULL || message_key_read(PyTuple_GET_ITEM(known, 2), &pair) ||
        message_key(multipliers, &pair, message->snowflake, message->kind, message->text, message->text_length,
                    &key))
        return NULL;
    unsigned char bytes[16];
    message_key_write(&key, bytes);
    return Py_BuildValue("OOKy#", PyTuple_GET_ITEM(known, 0), PyTuple_GET_ITEM(known, 1),
                         (unsigned long long)message->snowflake, (const char *)bytes, (Py_ssize_t)sizeof bytes);
}

/* read_plain(frame, known, multipliers): None, where it is of another shape; its head, where that is not known. */
PyObject *read_plain(PyObject *Py_UNUSED(module), PyObject *const *arguments, Py_ssize_t count)
{
    Message message;
    if (count != 3 || !PyDict_Check(arguments[1])) {
        PyErr_SetString(PyExc_TypeError, "read_plain(frame, known, multipliers)");
        return NULL;
    }
    if (!Py_IS_TYPE(arguments[0], &FrameType) || !read_message((const Frame *)arguments[0], &message))
        Py_RETURN_NONE;
    PyObject *head = PyBytes_FromStringAndSize(message.head, message.head_length);
    PyObject *known = head == NULL ? NULL : PyDict_GetItemWithError(arguments[1], head);
    if (known == NULL) {
        if (PyErr_Occurred())
            Py_CLEAR(head);
        return head;
    }
    Py_DECREF(head);
    return described(known, &message, arguments[2]);
}

/* status_frame(number, tail): a MESSAGE_ACK's frame. */
PyObject *status_frame(PyObject *Py_UNUSED(module), PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 2 || !PyBytes_Check(arguments[1])) {
        PyErr_SetString(PyExc_TypeError, "status_frame(number, tail)");
        return NULL;
    }
    uint64_t snowflake = PyLong_AsUnsignedLongLong(arguments[0]);
    Run run = {NULL, 0, 0, 0};
    if (PyErr_Occurred() || write_status(&run, snowflake, arguments[1]))
        return NULL;
    PyObject *frame = PyBytes_FromStringAndSize(run.bytes, run.length);
    PyMem_Free(run.bytes);
    return frame;
}
