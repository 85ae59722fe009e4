/* Bytes in, frames out. */
#ifndef PARLEY_IO_FRAMES_H
#define PARLEY_IO_FRAMES_H

#include "bytes.h"

enum { LONGEST_NAME = 64, MOST_DIGITS = 20 };

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
int count_all_sent(PyObject *raws, PyObject *counts);
int count_all_frames(PyObject *frames, PyObject *counts);
PyObject *count_sent(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
PyObject *count_frames(PyObject *module, PyObject *const *arguments, Py_ssize_t count);

static inline const char *frame_payload(const Frame *frame, Py_ssize_t *length)
{
    *length = frame->end - frame->body - 1;
    return PyBytes_AS_STRING(frame->buffer) + frame->body;
}

#endif
