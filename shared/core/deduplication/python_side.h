/* All that this folder touches of Python's.
 *
 * The library:              hashlib.blake2b(content, digest_size=…).digest()
 * RecentMessages:               find(key), which it was made with: the status of a message that is, or was, on disk
 * stored_keys.py:           StoredKeys.tables, a list of lists of arrays
 * delivered_keys.py:        DeliveredKeys.table, a buffer
 *
 * The last two are looked up anew in each batch: whoever sets them to another table is understood at once.
 */
#ifndef PARLEY_DEDUPLICATION_PYTHON_SIDE_H
#define PARLEY_DEDUPLICATION_PYTHON_SIDE_H

#include "bytes.h"

extern PyObject *dedup_name_table, *dedup_name_tables;

int dedup_python_ready(void);
PyObject *dedup_digest(const char *content, Py_ssize_t length, int size); /* bytes; NULL with an error */

#endif
