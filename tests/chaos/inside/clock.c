/* A wall clock that is wrong by the seconds in the file `offset` (8 bytes, a double) beside this library.

   Loaded with LD_PRELOAD, it moves what time(), gettimeofday() and clock_gettime() tell of the wall clock, and no
   monotonic clock: all of a process sees it, Python and SQLite too. The file is mapped: a step is seen at once. The
   kernel is asked by system calls, so that nothing newer than the oldest C library is needed to load it. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <math.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#ifndef OFFSET
#define OFFSET "/chaos/clock/offset"
#endif

static const double truth = 0.0;
static const volatile double *offset = &truth;

__attribute__((constructor)) static void begin(void)
{
    int file = open(OFFSET, O_RDONLY | O_CLOEXEC);
    void *mapped = MAP_FAILED;

    if (file >= 0) {
        mapped = mmap(NULL, sizeof(double), PROT_READ, MAP_SHARED, file, 0);
        close(file);
    }
    if (mapped != MAP_FAILED)
        offset = mapped;
}

int clock_gettime(clockid_t clock, struct timespec *found)
{
    int failed = (int)syscall(SYS_clock_gettime, clock, found);
    double whole, part;

    if (failed || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
        return failed;
    part = modf(*offset, &whole);
    found->tv_sec += (time_t)whole;
    found->tv_nsec += (long)(part * 1e9);
    if (found->tv_nsec < 0) {
        found->tv_nsec += 1000000000;
        found->tv_sec--;
    } else if (found->tv_nsec >= 1000000000) {
        found->tv_nsec -= 1000000000;
        found->tv_sec++;
    }
    return 0;
}

int gettimeofday(struct timeval *found, void *zone)
{
    struct timespec now;

    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    found->tv_sec = now.tv_sec;
    found->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *found)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (found)
        *found = now.tv_sec;
    return now.tv_sec;
}
