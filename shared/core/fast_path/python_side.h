/* All that this folder touches of Python's: nothing else of a Python object is read, set or called in fast_path/.
 *
 * ChatState:       what the router and the fast path both read and change, of one chat engine
 * InFlightTable:   the same of one destination; the base of in_flight.py's class
 * A link:          writable, send_run, where it is not the core's own LinkIO (in tests)
 * A linked server: link
 * Callbacks:       arm(now); and delivered(is_local, arrived, count), where it is not the core's own Deliveries
 *
 * The containers of both types are made with them and cannot be set: there is no other dict to read by mistake.
 */
#ifndef PARLEY_FAST_PATH_PYTHON_SIDE_H
#define PARLEY_FAST_PATH_PYTHON_SIDE_H

#include "bytes.h"

typedef struct {
    PyObject_HEAD
    PyObject *clients;         /* dict: user → list of links */
    PyObject *servers;         /* dict: serverId → linked server */
    PyObject *queues;         /* dict: destination → what waits in the mailbox */
    PyObject *unconfirmed_statuses; /* dict: link → list of the last frames of final statuses */
    PyObject *stored_keys, *delivered_keys; /* deduplication/python_side.h */
    long long next_id;                      /* of the next message: its place in the order in which they came */
    long long in_flight, in_flight_bytes;   /* the dispatcher's messages; not the fast path's */
} ChatState;

typedef struct {
    PyObject_HEAD
    PyObject *held;      /* dict: the dispatcher's messages in flight, in order */
    PyObject *by_number; /* dict: snowflake → list of them */
    long long window, burst_window, window_bytes;
    long long size;     /* bytes of what is held */
    double answered_at; /* when the destination answered last, whichever way (seconds, monotonic) */
} InFlightTable;

extern PyTypeObject ChatStateType;
extern PyTypeObject InFlightTableType;

typedef struct {
    PyObject *link, *writable, *send_run, *author, *recipient, *MESSAGE, *MESSAGE_ACK;
} FastPathNames;

extern FastPathNames fast_name;

int fast_path_python_ready(void);

#endif
