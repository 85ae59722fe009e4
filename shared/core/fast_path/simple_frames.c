/* The shapes of frames that the fast path reads and writes. */
#include "fast_path/simple_frames.h"

#include "fast_path/protobuf.h"

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
            return 1; /* nothing of the protocol's: not by the fast path */
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
