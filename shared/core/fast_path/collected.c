/* What was delivered on the fast path, for the archive: gathered as bytes, and taken by Python now and then. */
#include "fast_path/collected.h"

enum { MUCH = 1 << 18, ROOM = 1 << 16 };
/* Bytes beyond which Python is told again, and with which the room begins. */

static char *room_for(Collected *collected, Py_ssize_t more)
{
    if (collected->length + more > collected->room) {
        Py_ssize_t room = collected->room ? collected->room : ROOM;
        while (room < collected->length + more)
            room *= 2;
        char *bytes = PyMem_Realloc(collected->bytes, (size_t)room);
        if (bytes == NULL) {
            PyErr_NoMemory();
            return NULL;
        }
        collected->bytes = bytes;
        collected->room = room;
    }
    return collected->bytes + collected->length;
}

/* A message was delivered: length (4 bytes), kind, marks, status, nothing, when (a double), key, the message. */
int collected_add(FastPath *self, const Envelope *envelope)
{
    Collected *collected = &self->collected;
    Py_ssize_t size = envelope->end - envelope->start;
    char *at = room_for(collected, ENTRY_HEAD + size);
    if (at == NULL)
        return -1;
    const int is_sent_here = PyUnicode_GET_LENGTH(envelope->flow->origin) == 0;
    for (int i = 0; i < 4; i++)
        at[i] = (char)((size_t)size >> 8 * i);
    at[4] = ENTRY_MESSAGE;
    at[5] = (char)((is_sent_here ? ENTRY_SENT : 0) | (envelope->flow->is_local ? ENTRY_RECEIVED : 0));
    at[6] = (char)self->limits.delivered;
    at[7] = 0;
    uint64_t when;
    memcpy(&when, &envelope->sent, sizeof when);
    write64(at + 8, when);
    message_key_write(&envelope->key, (unsigned char *)at + 16);
    memcpy(at + ENTRY_HEAD, PyBytes_AS_STRING(envelope->buffer) + envelope->start, (size_t)size);
    collected->length += ENTRY_HEAD + size;
    return 0;
}

int collected_tell(FastPath *self)
{
    Collected *collected = &self->collected;
    if (collected->length == 0 || (collected->is_announced && collected->length < MUCH))
        return 0;
    collected->is_announced = 1;
    PyObject *done = PyObject_CallNoArgs(self->collect);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

PyObject *collected_take(FastPath *self, PyObject *Py_UNUSED(none))
{
    Collected *collected = &self->collected;
    PyObject *taken = PyBytes_FromStringAndSize(collected->bytes, collected->length);
    if (taken == NULL)
        return NULL;
    collected->length = 0;
    collected->is_announced = 0;
    if (collected->room > 4 * MUCH) { /* a burst is over */
        PyMem_Free(collected->bytes);
        collected->bytes = NULL;
        collected->room = 0;
    }
    return taken;
}
