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

/* What both proofs begin with: field 140, a key and a signature. */
enum { PROOF_HEAD = 3 + 35 + 67 };

/* Whether that many bytes are field 140 of this shape: `size` bytes of a key, a signature, then numbers of eight
 * bytes. The bytes within are for who verifies them. The last is a time's highest, so 0: no 0x0A. */
static int has_shape(const char *at, Py_ssize_t size)
{
    static const char first[] = "\xE2\x08", key[] = "\xE2\x08\x20", signature[] = "\xEA\x08\x40";
    return memcmp(at, first, 2) == 0 && at[2] == (char)(size - 3) && memcmp(at + 3, key, 3) == 0 &&
           memcmp(at + 38, signature, 3) == 0 && memcmp(at + PROOF_HEAD, "\xF1\x08", 2) == 0 &&
           at[size - 1] == 0;
}

static int is_author_proof(const char *at, Py_ssize_t size)
{
    return size == AUTHOR_PROOF && has_shape(at, size) && memcmp(at + PROOF_HEAD + 10, "\xF9\x08", 2) == 0;
}

const char *proof_of_answer(const char *rest, Py_ssize_t length)
{
    const char *at = rest + length - STATUS_PROOF;
    return length > STATUS_PROOF && has_shape(at, STATUS_PROOF) ? at : NULL;
}

int read_message(const Frame *frame, Message *message)
{
    Py_ssize_t length;
    const char *at = frame_payload(frame, &length);
    return read_payload(at, length, message);
}

int read_payload(const char *at, Py_ssize_t length, Message *message)
{
    uint64_t text_length;
    const char *end = at + length;
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
    message->text_length = (Py_ssize_t)text_length;
    message->kind = TEXT >> 3;
    if (text_length != (uint64_t)(end - at) &&
        (text_length > (uint64_t)(end - at) ||
         !is_author_proof(at + text_length, end - at - (Py_ssize_t)text_length)))
        return 0;
    return is_utf8(at, (Py_ssize_t)text_length);
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

/* Begin a MESSAGE_ACK with its number, of which `more` bytes follow; where they are to stand, or NULL. */
static inline char *begin_status(Run *run, uint64_t snowflake, Py_ssize_t more)
{
    static const char name[] = "MESSAGE_ACK ";
    char number[11] = {SNOWFLAKE}, *number_end = number;
    if (snowflake) /* protobuf does not write a 0 */
        number_end = write_varint(number + 1, snowflake);
    Py_ssize_t number_length = number_end - number;
    char *at = run_room(run, (Py_ssize_t)sizeof name + 12 + number_length + more);
    if (at == NULL)
        return NULL;
    memcpy(at, name, sizeof name - 1);
    at = write_number(at + sizeof name - 1, (unsigned)(number_length + more));
    *at++ = ' ';
    memcpy(at, number, (size_t)number_length);
    return at + number_length;
}

static inline void end_status(Run *run, char *at)
{
    *at++ = '\n';
    run->length = at - run->bytes;
    run->count++;
}

int write_status(Run *run, uint64_t snowflake, PyObject *tail)
{
    Py_ssize_t length = PyBytes_GET_SIZE(tail);
    char *at = begin_status(run, snowflake, length);
    if (at == NULL)
        return -1;
    memcpy(at, PyBytes_AS_STRING(tail), (size_t)length);
    end_status(run, at + length);
    return 0;
}

int write_proven_status(Run *run, uint64_t snowflake, PyObject *tail, const char *proof)
{
    Py_ssize_t length = PyBytes_GET_SIZE(tail);
    char *at = begin_status(run, snowflake, length + STATUS_PROOF);
    if (at == NULL)
        return -1;
    memcpy(at, PyBytes_AS_STRING(tail), (size_t)length);
    memcpy(at + length, proof, STATUS_PROOF);
    end_status(run, at + length + STATUS_PROOF);
    return 0;
}
