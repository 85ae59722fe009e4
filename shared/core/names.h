/* Names of Python's, made once: attributes and methods that are looked up often. */
#ifndef PARLEY_NAMES_H
#define PARLEY_NAMES_H

#include "bytes.h"

typedef struct {
    PyObject **name;
    const char *text;
} Name;

/* 0, or -1 with an error. */
static inline int make_names(const Name *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if ((*names[i].name = PyUnicode_InternFromString(names[i].text)) == NULL)
            return -1;
    return 0;
}

#endif
