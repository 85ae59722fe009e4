/* The hot half of TLS below a link, as a Python type: shared/link/secure_io.py is its twin. */
#ifndef PARLEY_IO_SECURE_IO_H
#define PARLEY_IO_SECURE_IO_H

#include "bytes.h"

/* secure_io.py has the same. */
enum { TLS_PIECE = 16 * 1024, TLS_RECORDS = 256, TLS_RECORD = 22, TLS_BARREN = 256 * 1024 };

extern PyTypeObject SecureIOType;

#endif
