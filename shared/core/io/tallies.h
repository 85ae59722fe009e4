/* What is counted: numbers by name, histograms, deliveries. */
#ifndef PARLEY_IO_TALLIES_H
#define PARLEY_IO_TALLIES_H

#include "bytes.h"

extern PyTypeObject CountsType;
extern PyTypeObject BucketsType;
extern PyTypeObject DeliveriesType;

void counts_add(PyObject *counts, const char *text, Py_ssize_t length, Py_ssize_t more);
void counts_add_name(PyObject *counts, PyObject *name, Py_ssize_t more);
int tally_deliveries(PyObject *tally, int is_local, double seconds, Py_ssize_t count); /* 0: it is none */

#endif
