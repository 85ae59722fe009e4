/* What a user's links were told and may not have heard: statuses.py's `unheard`, link → the latest frames. */
#include "express.h"

/* Final statuses were told over a link, as one run: `count` of them. */
int unheard_add(Express *self, PyObject *link, PyObject *raw, Py_ssize_t count)
{
    PyObject *kept = PyDict_GetItemWithError(self->unheard, link);
    if (kept == NULL) {
        PyObject *fresh = PyErr_Occurred() ? NULL : PyList_New(1);
        if (fresh == NULL)
            return -1;
        PyList_SET_ITEM(fresh, 0, Py_NewRef(raw));
        int failed = PyDict_SetItem(self->unheard, link, fresh);
        Py_DECREF(fresh);
        return failed;
    }
    if (!PyList_Check(kept)) {
        PyErr_SetString(PyExc_TypeError, "what a link was told is a list");
        return -1;
    }
    Py_ssize_t size = PyList_GET_SIZE(kept), most = self->most_unheard;
    Py_ssize_t gone = count >= most ? size : size >= most ? size - most + 1 : 0;
    if (gone && PyList_SetSlice(kept, 0, gone, NULL))
        return -1;
    return PyList_Append(kept, raw);
}

/* Something came over a user's link: what it was told before has come. */
int unheard_clear(Express *self, PyObject *source, PyObject *link)
{
    if (link == NULL || PyUnicode_Check(source) || PyDict_GET_SIZE(self->unheard) == 0)
        return 0;
    int is_there = PyDict_Contains(self->unheard, link);
    return is_there > 0 ? PyDict_DelItem(self->unheard, link) : is_there;
}
