/* Who has which status, of a MESSAGE_ACK that tells many: shared/wire/statuses.py is the twin, and describes it. */
#include "fast_path/read_statuses.h"

#include "fast_path/protobuf.h"

enum { STATUSES = 0x12, STATUS_USER = 0x0A, STATUS_NUMBER = 0x10, USER_ID = 0x0A, SERVER_ID = 0x12 };
enum { VARINT = 0, EIGHT_BYTES = 1, LENGTH = 2, FOUR_BYTES = 5 };

typedef struct {
    PyTypeObject *user_type;
    const char *server; /* the serverId before, and its text: most have the same */
    Py_ssize_t server_length;
    PyObject *server_text;
} Reading;

/* A field of so many bytes, its tag read already; the byte behind it, or NULL. */
static const char *read_bytes(const char *at, const char *end, const char **bytes, Py_ssize_t *length)
{
    uint64_t size;
    at = read_varint(at, end, &size);
    if (at == NULL || size > (uint64_t)(end - at))
        return NULL;
    *bytes = at;
    *length = (Py_ssize_t)size;
    return at + size;
}

/* The byte behind a field that is of no interest; NULL: it has no end, or is a group. */
static const char *skip(const char *at, const char *end, uint64_t tag)
{
    uint64_t number;
    const char *bytes;
    Py_ssize_t length;
    switch (tag & 7) {
    case VARINT:
        return read_varint(at, end, &number);
    case LENGTH:
        return read_bytes(at, end, &bytes, &length);
    case EIGHT_BYTES:
        return end - at < 8 ? NULL : at + 8;
    case FOUR_BYTES:
        return end - at < 4 ? NULL : at + 4;
    default:
        return NULL;
    }
}

static PyObject *server_text(Reading *reading, const char *text, Py_ssize_t length)
{
    if (reading->server_text == NULL || reading->server_length != length || memcmp(reading->server, text, length)) {
        PyObject *read = PyUnicode_DecodeUTF8(text, length, NULL);
        if (read == NULL)
            return NULL;
        Py_XSETREF(reading->server_text, read);
        reading->server = text;
        reading->server_length = length;
    }
    return Py_NewRef(reading->server_text);
}

/* A User of these fields, each of them once at most and in order; NULL without an error: it is of another shape. */
static PyObject *read_user(Reading *reading, const char *at, Py_ssize_t size)
{
    const char *end = at + size, *user = at, *server = at;
    Py_ssize_t user_length = 0, server_length = 0;
    if (at < end && *at == USER_ID && (at = read_bytes(at + 1, end, &user, &user_length)) == NULL)
        return NULL;
    if (at < end && *at == SERVER_ID && (at = read_bytes(at + 1, end, &server, &server_length)) == NULL)
        return NULL;
    if (at != end)
        return NULL;
    PyObject *user_text = PyUnicode_DecodeUTF8(user, user_length, NULL);
    PyObject *text = user_text == NULL ? NULL : server_text(reading, server, server_length);
    PyObject *pair = text == NULL ? NULL : PyTuple_Pack(2, user_text, text);
    PyObject *arguments = pair == NULL ? NULL : PyTuple_Pack(1, pair);
    /* As tuple.__new__ does it, which knows what a tuple has inside: newer Pythons' have their hash there. */
    PyObject *found = arguments == NULL ? NULL : PyTuple_Type.tp_new(reading->user_type, arguments, NULL);
    Py_XDECREF(user_text);
    Py_XDECREF(text);
    Py_XDECREF(pair);
    Py_XDECREF(arguments);
    return found;
}

/* One status, as (user, number); NULL without an error: it is of another shape. */
static PyObject *read_status(Reading *reading, const char *at, Py_ssize_t size)
{
    const char *end = at + size, *user = NULL;
    Py_ssize_t length = 0;
    uint64_t number = 0;
    if (at < end && *at == STATUS_USER && (at = read_bytes(at + 1, end, &user, &length)) == NULL)
        return NULL;
    if (at < end && *at == STATUS_NUMBER && (at = read_varint(at + 1, end, &number)) == NULL)
        return NULL;
    if (at != end || number > INT32_MAX)
        return NULL;
    PyObject *whose = user == NULL ? Py_NewRef(Py_None) : read_user(reading, user, length);
    return whose == NULL ? NULL : Py_BuildValue("(Ni)", whose, (int)number);
}

static PyObject *read_all(Reading *reading, const char *at, const char *end, Py_ssize_t most)
{
    PyObject *found = PyList_New(0);
    while (found != NULL && at < end && PyList_GET_SIZE(found) < most) {
        uint64_t tag;
        const char *bytes;
        Py_ssize_t length;
        if ((at = read_varint(at, end, &tag)) == NULL)
            break;
        if (tag != STATUSES) {
            if ((at = skip(at, end, tag)) == NULL)
                break;
            continue;
        }
        if ((at = read_bytes(at, end, &bytes, &length)) == NULL)
            break;
        PyObject *status = read_status(reading, bytes, length);
        if (status == NULL)
            at = NULL;
        if (status == NULL || PyList_Append(found, status))
            Py_CLEAR(found);
        Py_XDECREF(status);
    }
    if (at == NULL)
        Py_CLEAR(found);
    return found;
}

/* read_statuses(payload, most, User): the first statuses, `most` of them; None: one has another shape. */
PyObject *read_statuses(PyObject *Py_UNUSED(module), PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 3 || !PyBytes_Check(arguments[0]) || !PyType_Check(arguments[2]) ||
        !PyType_IsSubtype((PyTypeObject *)arguments[2], &PyTuple_Type)) {
        PyErr_SetString(PyExc_TypeError, "read_statuses(payload, most, User)");
        return NULL;
    }
    const Py_ssize_t most = PyLong_AsSsize_t(arguments[1]);
    if (most == -1 && PyErr_Occurred())
        return NULL;
    Reading reading = {(PyTypeObject *)arguments[2], NULL, 0, NULL};
    const char *at = PyBytes_AS_STRING(arguments[0]);
    PyObject *found = read_all(&reading, at, at + PyBytes_GET_SIZE(arguments[0]), most);
    Py_XDECREF(reading.server_text);
    if (found == NULL && (!PyErr_Occurred() || PyErr_ExceptionMatches(PyExc_UnicodeDecodeError))) {
        PyErr_Clear();
        Py_RETURN_NONE;
    }
    return found;
}
