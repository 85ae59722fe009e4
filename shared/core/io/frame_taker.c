/* The type of all who take a link's frames first. */
#include "io/frame_taker.h"

PyTypeObject FrameTakerType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "parley.shared._core.FrameTaker",
    .tp_basicsize = sizeof(FrameTaker),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
};
