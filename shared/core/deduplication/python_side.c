/* What deduplication/ touches of Python's: python_side.h lists it. */
#include "deduplication/python_side.h"

#include "names.h"

PyObject *dedup_name_table, *dedup_name_tables;
static PyObject *blake2b, *name_digest;

int dedup_python_ready(void)
{
    static const Name names[] = {
        {&dedup_name_table, "table"}, {&dedup_name_tables, "tables"}, {&name_digest, "digest"}};
    if (make_names(names, sizeof names / sizeof *names))
        return -1;
    PyObject *hashlib = PyImport_ImportModule("hashlib");
    blake2b = hashlib == NULL ? NULL : PyObject_GetAttrString(hashlib, "blake2b");
    Py_XDECREF(hashlib);
    return blake2b == NULL ? -1 : 0;
}

/* The content's BLAKE2b, which is compiled elsewhere. */
PyObject *dedup_digest(const char *content, Py_ssize_t length, int size)
{
    PyObject *kwlist = Py_BuildValue("{s:i}", "digest_size", size);
    PyObject *call = kwlist == NULL ? NULL : Py_BuildValue("(y#)", content, length);
    PyObject *hash = call == NULL ? NULL : PyObject_Call(blake2b, call, kwlist);
    PyObject *made = hash == NULL ? NULL : PyObject_CallMethodNoArgs(hash, name_digest);
    Py_XDECREF(kwlist);
    Py_XDECREF(call);
    Py_XDECREF(hash);
    return made;
}
