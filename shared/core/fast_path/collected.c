/* What was delivered on the fast path, for the archive: appended to the segment of its journal, which outlives us. */
#include "fast_path/collected.h"

enum { MUCH = 1 << 18 };
/* Bytes beyond which Python is told again. */

/* Where the next entry of that size goes; NULL: there is no room. */
static char *place_in(const Collected *collected, Py_ssize_t size)
{
    char *bytes = collected->segment.buf;
    if (bytes == NULL)
        return NULL;
    uint64_t used = read64(bytes + SEGMENT_USED);
    uint64_t room = (uint64_t)(collected->segment.len - SEGMENT_HEAD - SEGMENT_RESERVE);
    return used > room || (uint64_t)size > room - used ? NULL : bytes + SEGMENT_HEAD + used;
}

/* The same, in another segment if this one has no room. NULL without an error: nobody has room. */
static char *room_for(FastPath *self, Py_ssize_t size)
{
    char *at = place_in(&self->collected, size);
    if (at != NULL)
        return at;
    PyObject *done = PyObject_CallFunction(self->collect_room, "n", size);
    if (done == NULL)
        return NULL;
    Py_DECREF(done);
    return place_in(&self->collected, size);
}

/* A message was delivered: length (4 bytes), kind, marks, status, nothing, when (a double), key, the message. */
int collected_add(FastPath *self, const Envelope *envelope)
{
    Collected *collected = &self->collected;
    Py_ssize_t size = envelope->end - envelope->start;
    char *at = room_for(self, ENTRY_HEAD + size);
    if (at == NULL) {
        collected->dropped++;
        return PyErr_Occurred() ? -1 : 0;
    }
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
    /* Whoever reads the segment after we were killed believes what is used: so the entry comes first. */
    char *segment = collected->segment.buf;
    __atomic_signal_fence(__ATOMIC_RELEASE);
    write64(segment + SEGMENT_USED, (uint64_t)(at - segment - SEGMENT_HEAD + ENTRY_HEAD + size));
    collected->unannounced += ENTRY_HEAD + size;
    return 0;
}

int collected_tell(FastPath *self)
{
    Collected *collected = &self->collected;
    if (collected->unannounced == 0 || (collected->is_announced && collected->unannounced < MUCH))
        return 0;
    collected->is_announced = 1;
    PyObject *done = PyObject_CallNoArgs(self->collect);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

PyObject *collected_into(FastPath *self, PyObject *segment)
{
    Py_buffer found;
    if (PyObject_GetBuffer(segment, &found, PyBUF_WRITABLE) < 0)
        return NULL;
    if (found.len < SEGMENT_HEAD + SEGMENT_RESERVE) {
        PyBuffer_Release(&found);
        PyErr_SetString(PyExc_ValueError, "a segment has a head");
        return NULL;
    }
    collected_release(self);
    self->collected.segment = found;
    Py_RETURN_NONE;
}

void collected_release(FastPath *self)
{
    if (self->collected.segment.buf != NULL)
        PyBuffer_Release(&self->collected.segment);
    self->collected.segment.buf = NULL;
}

PyObject *collected_taken(FastPath *self, PyObject *Py_UNUSED(none))
{
    self->collected.unannounced = 0;
    self->collected.is_announced = 0;
    PyObject *dropped = PyLong_FromSsize_t(self->collected.dropped);
    if (dropped != NULL)
        self->collected.dropped = 0;
    return dropped;
}
