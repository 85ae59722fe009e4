/* Who takes a link's frames before its owner does, with no call into Python: the fast path is one.
 *
 * A link knows of it no more than this, so nothing in io/ depends on what takes its frames.
 */
#ifndef PARLEY_IO_FRAME_TAKER_H
#define PARLEY_IO_FRAME_TAKER_H

#include "bytes.h"

typedef struct FrameTaker FrameTaker;

/* Handle frames of a source from `start` on; the index of the first that is left to the owner, -1 with an error.
 *
 * `*kept` is the caller's to keep for the next call: what the taker knows of the source. `link` is where the frames
 * came from, or NULL.
 */
typedef Py_ssize_t (*TakeFrames)(FrameTaker *self, PyObject *source, PyObject **kept, PyObject *link,
                                 PyObject *frames, Py_ssize_t start, double now);

struct FrameTaker {
    PyObject_HEAD
    TakeFrames take;
};

extern PyTypeObject FrameTakerType; /* the base of all that are */

#endif
