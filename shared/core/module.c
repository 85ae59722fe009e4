/* parley.shared._core: all that is compiled of Parley. Everything here has a twin in Python, which is used where
 * this is absent; the twin of FastPath is the router with its dispatcher.
 *
 * What is below knows nothing of what is above: module.c, fast_path/, quotas/, deduplication/ and io/, in this order. In
 * each folder python_side.h lists all that it touches of Python's. tests/unit/test_core_layers.py looks after both.
 */
#include "deduplication/keys.h"
#include "deduplication/python_side.h"
#include "deduplication/recent.h"
#include "deduplication/stored.h"
#include "fast_path/collected.h"
#include "fast_path/fast_path_type.h"
#include "fast_path/plain.h"
#include "fast_path/python_side.h"
#include "fast_path/read_entries.h"
#include "fast_path/read_statuses.h"
#include "fast_path/simple_frames.h"
#include "io/frame_taker.h"
#include "io/frames.h"
#include "io/link_type.h"
#include "io/python_side.h"
#include "io/secure_io.h"
#include "io/tallies.h"
#include "io/turn.h"
#include "quotas/mail_tally.h"

#define INTERFACE 2039186909 /* shared/compiled.py has the same; tests/unit/test_compiled.py says which it has to be */

static PyMethodDef functions[] = {
    {"count_frames", (PyCFunction)(void (*)(void))count_frames, METH_FASTCALL, "Count a list of Frames by name."},
    {"count_sent", (PyCFunction)(void (*)(void))count_sent, METH_FASTCALL, "Count a list of framed bytes by name."},
    {"key_of", (PyCFunction)key_of, METH_VARARGS, "The key of a message: pair, number, kind, content."},
    {"read_entries", read_entries, METH_O, "The archive's entries in a record, and where they end."},
    {"read_plain", (PyCFunction)(void (*)(void))read_plain, METH_FASTCALL, "Read a plain message of a known head."},
    {"read_statuses", (PyCFunction)(void (*)(void))read_statuses, METH_FASTCALL, "Who has which status."},
    {"status_frame", (PyCFunction)(void (*)(void))status_frame, METH_FASTCALL, "The frame of a status: number, tail."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "parley.shared._core", .m_size = -1, .m_methods = functions,
};

/* What Python has written once more: compiled.py compares them when a twin is imported. */
static PyObject *constants(void)
{
    return Py_BuildValue("{s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i}", "LONGEST_NAME", LONGEST_NAME,
                         "MOST_DIGITS", MOST_DIGITS, "KEY_LONG", KEY_LONG, "KEY_IS_LONG", KEY_IS_LONG, "KEY_DIGEST",
                         KEY_DIGEST, "KEY_HEAD", KEY_HEAD, "KEY_TO_PRIME", KEY_TO_PRIME, "KEYS_PER_BUCKET",
                         KEYS_PER_BUCKET, "PART_BITS", PART_BITS, "SNOWFLAKE", SNOWFLAKE, "AUTHOR", AUTHOR, "USER",
                         USER, "TEXT", TEXT, "AUTHOR_PROOF", AUTHOR_PROOF, "STATUS_PROOF", STATUS_PROOF,
                         "TLS_PIECE", TLS_PIECE, "TLS_RECORDS", TLS_RECORDS, "TLS_RECORD", TLS_RECORD, "TLS_BARREN",
                         TLS_BARREN, "ENTRY_HEAD", ENTRY_HEAD, "ENTRY_MESSAGE", ENTRY_MESSAGE, "ENTRY_SENT", ENTRY_SENT,
                         "ENTRY_RECEIVED", ENTRY_RECEIVED, "SEGMENT_HEAD", SEGMENT_HEAD, "SEGMENT_USED", SEGMENT_USED,
                         "SEGMENT_RESERVE", SEGMENT_RESERVE);
}

static int add_type(PyObject *module, PyTypeObject *type)
{
    return PyType_Ready(type) < 0
               ? -1
               : PyModule_AddObjectRef(module, strrchr(type->tp_name, '.') + 1, (PyObject *)type);
}

static int fill(PyObject *module)
{
    PyTypeObject *types[] = {&FrameType,          &ReaderType,    &CountsType,        &BucketsType,
                             &DeliveriesType,     &TurnType,      &LinkIOType,        &SecureIOType,   &FrameTakerType,
                             &RecentMessagesType, &MailTallyType, &ChatStateType,     &InFlightTableType, &FastPathType};
    if (io_python_ready() || dedup_python_ready() || fast_path_python_ready() || fast_path_type_ready())
        return -1;
    link_type_ready();
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (add_type(module, types[i]))
            return -1;
    PyObject *found = constants();
    int failed = found == NULL || PyModule_AddObjectRef(module, "CONSTANTS", found);
    Py_XDECREF(found);
    return failed || PyModule_AddIntMacro(module, INTERFACE) ? -1 : 0;
}

PyMODINIT_FUNC PyInit__core(void)
{
    PyObject *module = PyModule_Create(&definition);
    if (module != NULL && fill(module))
        Py_CLEAR(module);
    return module;
}
