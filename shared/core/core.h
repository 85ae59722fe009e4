/* What the parts of the compiled core know of each other. What each is for stands at the head of its file. */
#ifndef PARLEY_CORE_H
#define PARLEY_CORE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

/* A message as it came: a part of the bytes of one read. */
typedef struct {
    PyObject_HEAD
    PyObject *name;
    PyObject *buffer;
    Py_ssize_t start, body, end;
} Frame;

typedef struct {
    PyObject_HEAD
    PyObject *error;
    PyObject *control;
    int64_t limit, allowed;
    char *rest;
    Py_ssize_t buffered, room, wanted;
    double fed_at;
    char has_control;
} Reader;

extern PyTypeObject FrameType;
extern PyTypeObject ReaderType;

PyObject *reader_feed(Reader *reader, PyObject *data);
PyObject *frame_name(const char *text, Py_ssize_t length);
int count_all_sent(PyObject *raws, PyObject *counts);
int count_all_frames(PyObject *frames, PyObject *counts);
PyObject *count_sent(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
PyObject *count_frames(PyObject *module, PyObject *const *arguments, Py_ssize_t count);

/* What is counted: tallies.c. */
extern PyTypeObject CountsType;
extern PyTypeObject BucketsType;
extern PyTypeObject DeliveriesType;

void counts_add(PyObject *counts, const char *text, Py_ssize_t length, Py_ssize_t more);
void counts_add_name(PyObject *counts, PyObject *name, Py_ssize_t more);
int tally_deliveries(PyObject *tally, int is_local, double seconds, Py_ssize_t count); /* 0: it is none */

static inline const char *frame_payload(const Frame *frame, Py_ssize_t *length)
{
    *length = frame->end - frame->body - 1;
    return PyBytes_AS_STRING(frame->buffer) + frame->body;
}

/* For tables of what others number: whoever chooses the numbers cannot make them meet (splitmix64's finish). */
static inline uint64_t mixed(uint64_t number)
{
    number = (number ^ (number >> 30)) * 0xBF58476D1CE4E5B9u;
    number = (number ^ (number >> 27)) * 0x94D049BB133111EBu;
    return number ^ (number >> 31);
}

/* By what a message is recognised: keys.c. */
typedef struct {
    uint64_t low, high;
} MessageKey;

int keys_ready(void);
MessageKey *multipliers_read(PyObject *bytes); /* PyMem_Free it; NULL: with an error */
int message_key(const MessageKey *multipliers, const MessageKey *pair, uint64_t number, int kind, const char *content,
                Py_ssize_t length, MessageKey *key);
int message_key_read(PyObject *bytes, MessageKey *key); /* -1: with an error */
void message_key_write(const MessageKey *key, unsigned char bytes[16]);
PyObject *key_of(PyObject *module, PyObject *arguments);

typedef struct Memory Memory;

extern PyTypeObject MemoryType;

enum { NO_STATUS = -1, UNKNOWN_MESSAGE = -2 };

int memory_status(Memory *memory, const MessageKey *key);
void memory_note(Memory *memory, const MessageKey *key, int status);

/* Eight bytes, the first of them the lowest of the number. */
static inline uint64_t read64(const char *at)
{
    uint64_t number;
    memcpy(&number, at, sizeof number);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    number = __builtin_bswap64(number);
#endif
    return number;
}

static inline void write64(char *at, uint64_t number)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    number = __builtin_bswap64(number);
#endif
    memcpy(at, &number, sizeof number);
}

/* Protobuf, as much of it as the quick way reads. Each returns the byte behind, or NULL. */
const char *read_long_varint(const char *at, const char *end, uint64_t *value);

/* Read a number below 2^64: most have one byte. */
static inline const char *read_varint(const char *at, const char *end, uint64_t *value)
{
    if (at < end && !((unsigned char)*at & 0x80)) {
        *value = (unsigned char)*at;
        return at + 1;
    }
    return read_long_varint(at, end, value);
}

char *write_varint(char *at, uint64_t value);
int is_utf8(const char *text, Py_ssize_t length);

int express_ready(void);
int recall_ready(void);
/* Links: link.c. */
int link_ready(void);
int link_is_writable(PyObject *sink); /* -1: it is no such link */
int link_send_run(PyObject *sink, PyObject *raw, PyObject *name, Py_ssize_t count);
extern PyTypeObject LinkIOType;
extern PyTypeObject TurnType;

extern PyTypeObject ExpressType;
extern PyTypeObject PartyType;
extern PyTypeObject FlowType;

#endif
