/* All that this folder touches of Python's: nothing else of a Python object is read, set or called in io/.
 *
 * The owner of a link:      messages_received(link, frames), messages_left(link, frames, index, now)
 * The link's other half:    _take_frames, _perform, _failed, _flushed, _read_on, _hold, flush (shared/link/)
 * Its dialect:              _translate(raw), where it is not a Parley's (shared/dialects/)
 * Its session:              reader, once, when the link is made
 * Its transport:            is_closing, get_write_buffer_size, write
 * TLS below it (shared/link/secure_transport.py): _read_otherwise, _after_read, _at_fault, _write_pieces; the link's
 *                           data_received; of `ssl`: SSLObject._sslobj, read, write, pending, and three exceptions
 * The loop:                 call_soon, which the turn was given, and `look`, which it may be given
 * The library:              time.monotonic, bytes.join
 * shared/wire/framing.py:   find_fault, which says in words what is wrong with a frame
 */
#ifndef PARLEY_IO_PYTHON_SIDE_H
#define PARLEY_IO_PYTHON_SIDE_H

#include "bytes.h"

typedef struct {
    PyObject *messages_received, *messages_left;
    PyObject *take_frames, *perform, *failed, *flushed, *read_on, *hold, *flush;
    PyObject *is_closing, *get_write_buffer_size, *write, *join, *reader;
    PyObject *read_otherwise, *after_read, *at_fault, *write_pieces, *data_received, *read, *pending, *compiled;
} IoNames;

/* SSLWantReadError, SSLError, SSLZeroReturnError. */
typedef struct {
    PyObject *want_read, *error, *is_over;
} IoTls;

extern IoNames io_name;
extern IoTls io_tls;
extern PyObject *io_monotonic; /* time.monotonic */

int io_python_ready(void);
int io_call(PyObject *object, PyObject *method, PyObject *argument);
PyObject *io_find_fault(PyObject *data, int64_t limit);
PyObject *io_joined(PyObject *parts);
PyObject *io_compiled_tls(PyObject *tls);
int io_no_bytes(void);

#endif
