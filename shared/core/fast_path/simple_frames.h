/* The shapes of frames that the fast path reads and writes. */
#ifndef PARLEY_FAST_PATH_SIMPLE_FRAMES_H
#define PARLEY_FAST_PATH_SIMPLE_FRAMES_H

#include "io/frames.h"

enum { SNOWFLAKE = 0x08, AUTHOR = 0x12, USER = 0x1A, TEXT = 0x5A };
/* Protobuf's tags: the fields' numbers and types (protocol.md, "Messages"). */
enum { AUTHOR_PROOF = 125, STATUS_PROOF = 115 };
/* Bytes of a proof (shared/trust/authors.py), which has one shape only and stands last. */

/* Frames of one name, gathered for one destination in one call. */
typedef struct {
    char *bytes;
    Py_ssize_t length, room, count;
} Run;

char *run_room(Run *run, Py_ssize_t more);

/* A message's payload of the simple shape: a number, the head (author and recipient), a text; perhaps a proof. */
typedef struct {
    uint64_t snowflake;
    const char *head, *text;
    Py_ssize_t head_length, text_length;
    int kind; /* of its content: message_keys.py */
} Message;

int read_message(const Frame *frame, Message *message);
/* The same of a payload alone. */
int read_payload(const char *at, Py_ssize_t length, Message *message);
/* An acknowledgement's: a number, and the rest. */
int read_answer(const Frame *frame, uint64_t *snowflake, const char **rest, Py_ssize_t *rest_length);
int has_snowflake(const char *at, const char *end);
/* The proof at an acknowledgement's end; NULL: there is none, or of another shape. */
const char *proof_of_answer(const char *rest, Py_ssize_t length);
int write_status(Run *run, uint64_t snowflake, PyObject *tail);
/* The same, with a proof of the status behind it. */
int write_proven_status(Run *run, uint64_t snowflake, PyObject *tail, const char *proof);

#endif
