/* All that counting mail touches of Python's: its own arguments, which are tuples, integers and floats. */
#ifndef PARLEY_QUOTAS_PYTHON_SIDE_H
#define PARLEY_QUOTAS_PYTHON_SIDE_H

#include "bytes.h"

#endif
