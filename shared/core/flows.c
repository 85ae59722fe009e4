/* Destinations, who writes to whom, and the shapes of frames that the quick way reads and writes. */
#include "flows.h"

enum { SNOWFLAKE = 0x08, AUTHOR = 0x12, USER = 0x1A, TEXT = 0x5A };
/* Protobuf's tags: the fields' numbers and types (protocol.md, "Messages"). */

/* Frames ------------------------------------------------------------------------------------------------------- */

/* Skip a short submessage of that tag. */
static const char *skip(const char *at, const char *end, unsigned char tag)
{
    if (end - at < 2 || (unsigned char)at[0] != tag || (unsigned char)at[1] & 0x80)
        return NULL;
    return end - at - 2 < at[1] ? NULL : at + 2 + at[1];
}

int read_message(const Frame *frame, Message *message)
{
    Py_ssize_t length;
    uint64_t text_length;
    const char *at = frame_payload(frame, &length), *end = at + length;
    if (length < 1 || *at != SNOWFLAKE || (at = read_varint(at + 1, end, &message->snowflake)) == NULL ||
        message->snowflake == 0)
        return 0;
    message->head = at;
    if ((at = skip(at, end, AUTHOR)) == NULL || (at = skip(at, end, USER)) == NULL)
        return 0;
    message->head_length = at - message->head;
    message->text = at;
    message->text_length = 0;
    message->kind = 0;
    if (at == end)
        return 1;
    if ((unsigned char)*at != TEXT || (at = read_varint(at + 1, end, &text_length)) == NULL)
        return 0;
    message->text = at;
    message->text_length = end - at;
    message->kind = TEXT >> 3;
    return text_length == (uint64_t)(end - at) && is_utf8(at, end - at);
}

int read_answer(const Frame *frame, uint64_t *snowflake, const char **rest, Py_ssize_t *rest_length)
{
    Py_ssize_t length;
    const char *at = frame_payload(frame, &length), *end = at + length;
    if (length < 1 || *at != SNOWFLAKE || (at = read_varint(at + 1, end, snowflake)) == NULL)
        return 0;
    *rest = at;
    *rest_length = end - at;
    return 1;
}

/* Whether a payload's part names the message's number (once more): the last one counts, not the one we read. */
int has_snowflake(const char *at, const char *end)
{
    uint64_t tag, length;
    while (at < end) {
        if ((at = read_varint(at, end, &tag)) == NULL || tag >> 3 == SNOWFLAKE >> 3)
            return 1;
        switch (tag & 7) {
        case 0:
            at = read_varint(at, end, &length);
            break;
        case 2:
            at = read_varint(at, end, &length);
            at = at == NULL || length > (uint64_t)(end - at) ? NULL : at + length;
            break;
        default:
            return 1; /* nothing of the protocol's: not by the quick way */
        }
        if (at == NULL)
            return 1;
    }
    return 0;
}

char *run_room(Run *run, Py_ssize_t more)
{
    if (run->length + more > run->room) {
        Py_ssize_t room = 2 * (run->length + more);
        char *bytes = PyMem_Realloc(run->bytes, (size_t)room);
        if (bytes == NULL) {
            PyErr_NoMemory();
            return NULL;
        }
        run->bytes = bytes;
        run->room = room;
    }
    return run->bytes + run->length;
}

static char *write_number(char *at, unsigned number)
{
    char digits[10];
    int count = 0;
    do
        digits[count++] = (char)('0' + number % 10);
    while (number /= 10);
    while (count)
        *at++ = digits[--count];
    return at;
}

int write_status(Run *run, uint64_t snowflake, PyObject *tail)
{
    static const char name[] = "MESSAGE_ACK ";
    char number[11], *number_end;
    number[0] = SNOWFLAKE;
    number_end = write_varint(number + 1, snowflake);
    Py_ssize_t tail_length = PyBytes_GET_SIZE(tail), number_length = number_end - number;
    char *begin = run_room(run, (Py_ssize_t)sizeof name + 12 + number_length + tail_length), *at = begin;
    if (begin == NULL)
        return -1;
    memcpy(at, name, sizeof name - 1);
    at = write_number(at + sizeof name - 1, (unsigned)(number_length + tail_length));
    *at++ = ' ';
    memcpy(at, number, (size_t)number_length);
    at += number_length;
    memcpy(at, PyBytes_AS_STRING(tail), (size_t)tail_length);
    at += tail_length;
    *at++ = '\n';
    run->length += at - begin;
    run->count++;
    return 0;
}

/* Parties -------------------------------------------------------------------------------------------------------- */

Party *party_new(PyObject *destination)
{
    Party *self = PyObject_New(Party, &PartyType);
    if (self == NULL)
        return NULL;
    memset((char *)self + sizeof(PyObject), 0, sizeof *self - sizeof(PyObject));
    self->destination = Py_NewRef(destination);
    self->flows = PyDict_New();
    if (self->flows == NULL)
        Py_CLEAR(self);
    return self;
}

static void party_dealloc(Party *self)
{
    Py_XDECREF(self->destination);
    Py_XDECREF(self->flows);
    Py_XDECREF(self->last);
    Py_XDECREF(self->outbound);
    Py_XDECREF(self->items);
    Py_XDECREF(self->numbers);
    Py_XDECREF(self->ways);
    Py_XDECREF(self->hearers);
    PyMem_Free(self->messages.bytes);
    PyMem_Free(self->statuses.bytes);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

PyTypeObject PartyType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "parley.shared._core.Party",
    .tp_basicsize = sizeof(Party),
    .tp_dealloc = (destructor)party_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT,
};

/* Flows ---------------------------------------------------------------------------------------------------------- */

Flow *flow_new(PyObject *author, PyObject *recipient, Party *to, Party *hears)
{
    Flow *self = PyObject_New(Flow, &FlowType);
    if (self == NULL)
        return NULL;
    memset((char *)self + sizeof(PyObject), 0, sizeof *self - sizeof(PyObject));
    self->to = (Party *)Py_NewRef(to);
    self->hears = (Party *)Py_NewRef(hears);
    self->author = Py_NewRef(author);
    self->recipient = Py_NewRef(recipient);
    return self;
}

static void flow_dealloc(Flow *self)
{
    Py_DECREF(self->to);
    Py_DECREF(self->hears);
    Py_DECREF(self->author);
    Py_DECREF(self->recipient);
    Py_XDECREF(self->head);
    Py_XDECREF(self->origin);
    Py_XDECREF(self->tail);
    for (int i = 0; i < ANSWERS; i++)
        Py_XDECREF(self->answers[i]);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

PyTypeObject FlowType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "parley.shared._core.Flow",
    .tp_basicsize = sizeof(Flow),
    .tp_dealloc = (destructor)flow_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT,
};
