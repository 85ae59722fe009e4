/* Writing to a connection past its transport: what goes out after a quiet time goes at once. */
#ifndef PARLEY_IO_PAST_TRANSPORT_H
#define PARLEY_IO_PAST_TRANSPORT_H

#include "bytes.h"

#include <time.h>
#ifndef MS_WINDOWS
#include <sys/socket.h>
#endif
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* Python ignores SIGPIPE anyway */
#endif

static const double QUIET = 100e-6; /* seconds without a write: what comes then is alone in its turn of the loop */

static inline double clock_monotonic(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* How much was written: 0 also where there is any fault, which the transport will meet, too. */
static inline Py_ssize_t write_to_socket(int descriptor, const char *bytes, Py_ssize_t size)
{
#ifdef MSG_DONTWAIT
    Py_ssize_t sent = send(descriptor, bytes, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent < 0 ? 0 : sent;
#else
    (void)descriptor, (void)bytes, (void)size;
    return 0;
#endif
}

#endif
