/* parley.shared._core: what is compiled of Parley. Everything here has a twin in Python, which is used where this is absent. */
#include "core.h"

#define INTERFACE 1423957137 /* shared/compiled.py has the same; tests/unit/test_compiled.py says which it has to be */

static PyMethodDef functions[] = {
    {"count_frames", (PyCFunction)(void (*)(void))count_frames, METH_FASTCALL, "Count a list of Frames by name."},
    {"count_sent", (PyCFunction)(void (*)(void))count_sent, METH_FASTCALL, "Count a list of framed bytes by name."},
    {"key_of", (PyCFunction)key_of, METH_VARARGS, "The key of a message: pair, number, kind, content."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "parley.shared._core", .m_size = -1, .m_methods = functions,
};

static int add_type(PyObject *module, PyTypeObject *type)
{
    return PyType_Ready(type) < 0 ? -1 : PyModule_AddObjectRef(module, strrchr(type->tp_name, '.') + 1, (PyObject *)type);
}

PyMODINIT_FUNC PyInit__core(void)
{
    PyObject *module = PyModule_Create(&definition);
    if (module == NULL)
        return NULL;
    if (add_type(module, &FrameType) || add_type(module, &ReaderType) || add_type(module, &MemoryType) ||
        add_type(module, &ExpressType) || add_type(module, &CountsType) || add_type(module, &BucketsType) ||
        add_type(module, &DeliveriesType) || add_type(module, &LinkIOType) || add_type(module, &TurnType) ||
        PyType_Ready(&PartyType) ||
        PyType_Ready(&FlowType) || express_ready() || keys_ready() || recall_ready() || link_ready() ||
        PyModule_AddIntMacro(module, INTERFACE)) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}
