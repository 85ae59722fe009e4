/* Final statuses that a user's links were given and nothing was heard on since: link → the latest frames. */
#include "fast_path/unconfirmed.h"

/* Final statuses went out over a link, as one run: `count` of them. */
int unconfirmed_add(FastPath *self, PyObject *link, PyObject *raw, Py_ssize_t count)
{
    PyObject *kept = PyDict_GetItemWithError(self->chat->unconfirmed_statuses, link);
    if (kept == NULL) {
        PyObject *fresh = PyErr_Occurred() ? NULL : PyList_New(1);
        if (fresh == NULL)
            return -1;
        PyList_SET_ITEM(fresh, 0, Py_NewRef(raw));
        int failed = PyDict_SetItem(self->chat->unconfirmed_statuses, link, fresh);
        Py_DECREF(fresh);
        return failed;
    }
    if (!PyList_Check(kept)) {
        PyErr_SetString(PyExc_TypeError, "a link's statuses are a list");
        return -1;
    }
    Py_ssize_t size = PyList_GET_SIZE(kept), most = self->limits.most_unconfirmed;
    Py_ssize_t gone = count >= most ? size : size >= most ? size - most + 1 : 0;
    if (gone && PyList_SetSlice(kept, 0, gone, NULL))
        return -1;
    return PyList_Append(kept, raw);
}

/* Something came over a user's link: what it was given before has come. */
int unconfirmed_clear(FastPath *self, PyObject *source, PyObject *link)
{
    if (link == NULL || PyUnicode_Check(source) || PyDict_GET_SIZE(self->chat->unconfirmed_statuses) == 0)
        return 0;
    int is_there = PyDict_Contains(self->chat->unconfirmed_statuses, link);
    return is_there > 0 ? PyDict_DelItem(self->chat->unconfirmed_statuses, link) : is_there;
}
