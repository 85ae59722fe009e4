/* The archive's entries, read to be put into lists: services/chat/archive/plain.py is the twin, and describes it. */
#include "fast_path/read_entries.h"

#include "fast_path/collected.h"
#include "fast_path/simple_frames.h"

enum { FRAME_DIGITS = 9 };

/* The payload of a frame that is a MESSAGE, whole and alone in these bytes; NULL: it is none. */
static const char *payload_of(const char *at, const char *end, Py_ssize_t *length)
{
    static const char name[] = "MESSAGE ";
    if (end - at < (Py_ssize_t)sizeof name || memcmp(at, name, sizeof name - 1) || end[-1] != '\n')
        return NULL;
    Py_ssize_t size = 0;
    at += sizeof name - 1;
    const char *digits = at;
    for (; at < end && at - digits < FRAME_DIGITS && *at >= '0' && *at <= '9'; at++)
        size = 10 * size + (*at - '0');
    if (at == digits || at == end || *at != ' ' || end - at - 2 != size)
        return NULL;
    *length = size;
    return at + 1;
}

/* One entry as a tuple; `data` has `length` bytes. */
static PyObject *entry_tuple(Py_ssize_t offset, const char *head, const char *data, Py_ssize_t length)
{
    Message message;
    Py_ssize_t size;
    PyObject *pair = NULL, *content = NULL;
    const char *payload = head[4] == ENTRY_MESSAGE ? payload_of(data, data + length, &size) : NULL;
    if (payload != NULL && read_payload(payload, size, &message)) {
        pair = PyBytes_FromStringAndSize(message.head, message.head_length);
        content = PyUnicode_DecodeUTF8(message.text, message.text_length, NULL);
    } else {
        pair = Py_NewRef(Py_None);
        content = PyBytes_FromStringAndSize(data, length);
    }
    if (pair == NULL || content == NULL) {
        Py_XDECREF(pair);
        Py_XDECREF(content);
        return NULL;
    }
    return Py_BuildValue("(niiiy#NN)", offset, (unsigned char)head[4], (unsigned char)head[5],
                         (unsigned char)head[6], head + 16, (Py_ssize_t)16, pair, content);
}

/* read_entries(record): the entries, and the bytes up to the first that is cut off. */
PyObject *read_entries(PyObject *Py_UNUSED(module), PyObject *record)
{
    if (!PyBytes_Check(record)) {
        PyErr_SetString(PyExc_TypeError, "a record is bytes");
        return NULL;
    }
    const char *bytes = PyBytes_AS_STRING(record);
    const Py_ssize_t end = PyBytes_GET_SIZE(record);
    Py_ssize_t at = 0;
    PyObject *found = PyList_New(0);
    while (found != NULL && end - at >= ENTRY_HEAD) {
        const Py_ssize_t length = (Py_ssize_t)(read64(bytes + at) & 0xFFFFFFFFu);
        if (length > end - at - ENTRY_HEAD)
            break;
        PyObject *entry = entry_tuple(at, bytes + at, bytes + at + ENTRY_HEAD, length);
        if (entry == NULL || PyList_Append(found, entry))
            Py_CLEAR(found);
        Py_XDECREF(entry);
        at += ENTRY_HEAD + length;
    }
    return found == NULL ? NULL : Py_BuildValue("(Nn)", found, at);
}
