/* Journals what a process does to the files below a directory, so that a power cut can be played afterwards.

   Loaded with LD_PRELOAD, it writes one record for each change of a file or a directory below POWER_ROOT to the file
   POWER_JOURNAL, in order, and one for each fsync that is over (disk.py reads them). The names are the C library's,
   which Python and SQLite call. An fsync here only waits for POWER_DELAY microseconds: nothing depends on it but what
   is told, and so whoever tells too early is seen for longer.

   A change and its record are one step for all threads of a process, so that records of a file are in the order of its
   changes. An fsync notes where the journal ended when it began: what came later may not be on the disk.

   What is mapped into memory is not seen here; whoever plays the cut takes pages of such a file now and then. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { CREATED = 1, WRITE, TRUNCATE, ALLOCATE, SYNC, RENAME, UNLINK, LINK, MKDIR, RMDIR };

struct head {
    uint32_t magic;
    uint32_t op;
    double when;
    uint64_t inode;
    int64_t offset;
    uint32_t name, data; /* bytes that follow */
};

#define MAGIC 0x52574f50u
#define BOTH (2 * PATH_MAX)
#define EXPORT __attribute__((visibility("default")))

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static const char *root, *journal;
static size_t root_length;
static long delay;

static void lock(void) { pthread_mutex_lock(&mutex); }
static void unlock(void) { pthread_mutex_unlock(&mutex); }

/* A process that sets its title writes over its environment. */
static const char *kept(const char *value) { return value == NULL ? NULL : strdup(value); }

__attribute__((constructor)) static void begin(void)
{
    const char *wait = getenv("POWER_DELAY");

    root = kept(getenv("POWER_ROOT"));
    journal = kept(getenv("POWER_JOURNAL"));
    if (root == NULL || journal == NULL)
        root = NULL;
    else
        root_length = strlen(root);
    delay = wait == NULL ? 0 : atol(wait);
    pthread_atfork(lock, unlock, unlock);
}

static int is_watched(const char *path)
{
    return root != NULL && strncmp(path, root, root_length) == 0 && (path[root_length] == '/' || !path[root_length]);
}

static void record(uint32_t op, uint64_t inode, int64_t offset, const char *name, size_t length, const void *data,
                   size_t size)
{
    struct head head = {MAGIC, op, 0.0, inode, offset, (uint32_t)length, (uint32_t)size};
    struct iovec parts[3] = {{&head, sizeof head}, {(void *)name, length}, {(void *)data, size}};
    struct timespec now;
    int kept = errno, file = (int)syscall(SYS_openat, AT_FDCWD, journal, O_WRONLY | O_APPEND | O_CLOEXEC, 0);

    clock_gettime(CLOCK_MONOTONIC, &now);
    head.when = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
    if (file < 0 || syscall(SYS_writev, file, parts, 3) != (long)(sizeof head + length + size)) {
        static const char said[] = "the journal of the power cut cannot be written\n";
        (void)!syscall(SYS_write, 2, said, sizeof said - 1);
        abort();
    }
    syscall(SYS_close, file);
    errno = kept;
}

/* The path of an open file below the root; 0: it is none of ours. */
static size_t path_of(int file, char *path)
{
    char link[64];
    long length;

    if (root == NULL)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    length = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    if (length <= 0)
        return 0;
    path[length] = 0;
    return is_watched(path) ? (size_t)length : 0;
}

/* The same, of a regular file only; others are asked for often, and quickly told. */
static size_t regular(int file, char *path, struct stat *found)
{
    int kept = errno;
    size_t length = 0;

    if (root != NULL && fstat(file, found) == 0 && S_ISREG(found->st_mode))
        length = path_of(file, path);
    errno = kept;
    return length;
}

/* An absolute path, of a name as it is given to the system; 0: it is none of ours. */
static size_t absolute(int directory, const char *name, char *path)
{
    char at[PATH_MAX];

    if (root == NULL)
        return 0;
    if (name[0] == '/')
        snprintf(path, PATH_MAX, "%s", name);
    else if (directory == AT_FDCWD && getcwd(at, sizeof at) != NULL)
        snprintf(path, PATH_MAX, "%.*s/%s", PATH_MAX - 300, at, name);
    else if (directory != AT_FDCWD && path_of(directory, at))
        snprintf(path, PATH_MAX, "%.*s/%s", PATH_MAX - 300, at, name);
    else
        return 0;
    return is_watched(path) ? strlen(path) : 0;
}

static uint64_t inode_at(const char *path)
{
    struct stat found;

    return lstat(path, &found) == 0 ? found.st_ino : 0;
}

/* Opening ------------------------------------------------------------------------------------------------ */

static int open_at(int directory, const char *name, int flags, mode_t mode)
{
    char path[PATH_MAX];
    struct stat found;
    int file, was_there;

    if (!(flags & (O_CREAT | O_TRUNC)) || (flags & O_TMPFILE) == O_TMPFILE || !absolute(directory, name, path))
        return (int)syscall(SYS_openat, directory, name, flags, mode);
    lock();
    was_there = inode_at(path) != 0;
    file = (int)syscall(SYS_openat, directory, name, flags, mode);
    if (file >= 0 && regular(file, path, &found)) {
        if (!was_there)
            record(CREATED, found.st_ino, 0, path, strlen(path), NULL, 0);
        else if (flags & O_TRUNC)
            record(TRUNCATE, found.st_ino, 0, path, strlen(path), NULL, 0);
    }
    unlock();
    return file;
}

#define OPEN_AT(directory)                                                                                             \
    mode_t mode = 0;                                                                                                   \
    if (flags & (O_CREAT | O_TMPFILE)) {                                                                               \
        va_list more;                                                                                                  \
        va_start(more, flags);                                                                                         \
        mode = (mode_t)va_arg(more, int);                                                                              \
        va_end(more);                                                                                                  \
    }                                                                                                                  \
    return open_at(directory, name, flags, mode);

EXPORT int open(const char *name, int flags, ...) { OPEN_AT(AT_FDCWD) }
EXPORT int open64(const char *name, int flags, ...) { OPEN_AT(AT_FDCWD) }
EXPORT int openat(int directory, const char *name, int flags, ...) { OPEN_AT(directory) }
EXPORT int openat64(int directory, const char *name, int flags, ...) { OPEN_AT(directory) }

EXPORT int creat(const char *name, mode_t mode) { return open_at(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode); }
EXPORT int creat64(const char *name, mode_t mode) { return creat(name, mode); }

/* Writing ------------------------------------------------------------------------------------------------ */

static ssize_t written(int file, const void *data, size_t size, off_t offset, int is_placed)
{
    char path[PATH_MAX];
    struct stat found;
    size_t length = regular(file, path, &found);
    ssize_t count;

    if (length)
        lock();
    count = is_placed ? syscall(SYS_pwrite64, file, data, size, offset) : syscall(SYS_write, file, data, size);
    if (length) {
        if (count > 0) {
            if (!is_placed)
                offset = syscall(SYS_lseek, file, 0, SEEK_CUR) - count;
            record(WRITE, found.st_ino, offset, path, length, data, (size_t)count);
        }
        unlock();
    }
    return count;
}

EXPORT ssize_t write(int file, const void *data, size_t size) { return written(file, data, size, 0, 0); }

EXPORT ssize_t pwrite(int file, const void *data, size_t size, off_t offset)
{
    return written(file, data, size, offset, 1);
}

EXPORT ssize_t pwrite64(int file, const void *data, size_t size, off64_t offset)
{
    return written(file, data, size, offset, 1);
}

/* Of several parts the first is written: who calls goes on with the rest. */
static ssize_t some_of(int file, const struct iovec *parts, int count, off_t offset, int is_placed)
{
    while (count > 1 && !parts->iov_len)
        parts++, count--;
    return count < 1 ? 0 : written(file, parts->iov_base, parts->iov_len, offset, is_placed);
}

EXPORT ssize_t writev(int file, const struct iovec *parts, int count)
{
    char path[PATH_MAX];
    struct stat found;

    if (regular(file, path, &found))
        return some_of(file, parts, count, 0, 0);
    return syscall(SYS_writev, file, parts, count);
}

EXPORT ssize_t pwritev(int file, const struct iovec *parts, int count, off_t offset)
{
    char path[PATH_MAX];
    struct stat found;

    if (regular(file, path, &found))
        return some_of(file, parts, count, offset, 1);
    return syscall(SYS_pwritev, file, parts, count, offset, 0);
}

EXPORT ssize_t pwritev64(int file, const struct iovec *parts, int count, off64_t offset)
{
    return pwritev(file, parts, count, offset);
}

/* Whoever copies within the system reads and writes instead. */
EXPORT ssize_t sendfile(int out, int in, off_t *offset, size_t size)
{
    char path[PATH_MAX];
    struct stat found;

    if (regular(out, path, &found)) {
        errno = EINVAL;
        return -1;
    }
    return syscall(SYS_sendfile, out, in, offset, size);
}

EXPORT ssize_t sendfile64(int out, int in, off64_t *offset, size_t size) { return sendfile(out, in, offset, size); }

EXPORT ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t size, unsigned int flags)
{
    char path[PATH_MAX];
    struct stat found;

    if (regular(out, path, &found)) {
        errno = EXDEV;
        return -1;
    }
    return syscall(SYS_copy_file_range, in, from, out, to, size, flags);
}

static int sized(uint32_t op, int file, off_t offset, off_t size)
{
    char path[PATH_MAX];
    struct stat found;
    size_t length = regular(file, path, &found);
    long failed;

    if (length)
        lock();
    failed = op == TRUNCATE ? syscall(SYS_ftruncate, file, size) : syscall(SYS_fallocate, file, 0, offset, size);
    if (length) {
        if (!failed)
            record(op, found.st_ino, offset + size, path, length, NULL, 0);
        unlock();
    }
    return (int)failed;
}

EXPORT int ftruncate(int file, off_t size) { return sized(TRUNCATE, file, 0, size); }
EXPORT int ftruncate64(int file, off64_t size) { return sized(TRUNCATE, file, 0, size); }

EXPORT int truncate(const char *name, off_t size)
{
    int file = open(name, O_WRONLY | O_CLOEXEC), failed;

    if (file < 0)
        return -1;
    failed = ftruncate(file, size);
    syscall(SYS_close, file);
    return failed;
}

EXPORT int truncate64(const char *name, off64_t size) { return truncate(name, size); }

EXPORT int posix_fallocate(int file, off_t offset, off_t size)
{
    int kept = errno, failed = sized(ALLOCATE, file, offset, size) ? errno : 0;

    errno = kept;
    return failed;
}

EXPORT int posix_fallocate64(int file, off64_t offset, off64_t size) { return posix_fallocate(file, offset, size); }

EXPORT int fallocate(int file, int mode, off_t offset, off_t size)
{
    char path[PATH_MAX];
    struct stat found;

    if (!regular(file, path, &found))
        return (int)syscall(SYS_fallocate, file, mode, offset, size);
    if (mode) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return sized(ALLOCATE, file, offset, size);
}

EXPORT int fallocate64(int file, int mode, off64_t offset, off64_t size) { return fallocate(file, mode, offset, size); }

/* On the disk for certain -------------------------------------------------------------------------------- */

static int synced(int file, long call)
{
    char path[PATH_MAX];
    struct stat found, so_far;
    size_t length;
    struct timespec pause = {delay / 1000000, delay % 1000000 * 1000};

    if (root == NULL || fstat(file, &found) || !(S_ISREG(found.st_mode) || S_ISDIR(found.st_mode)) ||
        !(length = path_of(file, path)))
        return (int)syscall(call, file);
    if (stat(journal, &so_far))
        abort();
    nanosleep(&pause, NULL);
    record(SYNC, found.st_ino, so_far.st_size, path, length, NULL, 0);
    return 0;
}

EXPORT int fsync(int file) { return synced(file, SYS_fsync); }
EXPORT int fdatasync(int file) { return synced(file, SYS_fdatasync); }

/* Names --------------------------------------------------------------------------------------------------- */

static int renamed(int from, const char *old, int to, const char *new, unsigned int flags)
{
    char names[BOTH], path[PATH_MAX];
    size_t one = absolute(from, old, names), other = absolute(to, new, path);
    uint64_t inode;
    long failed;

    if (!one || !other)
        return (int)syscall(SYS_renameat2, from, old, to, new, flags);
    lock();
    inode = inode_at(names);
    failed = syscall(SYS_renameat2, from, old, to, new, flags);
    if (!failed) {
        memcpy(names + one + 1, path, other);
        record(RENAME, inode, 0, names, one + 1 + other, NULL, 0);
    }
    unlock();
    return (int)failed;
}

EXPORT int rename(const char *old, const char *new) { return renamed(AT_FDCWD, old, AT_FDCWD, new, 0); }

EXPORT int renameat(int from, const char *old, int to, const char *new) { return renamed(from, old, to, new, 0); }

EXPORT int renameat2(int from, const char *old, int to, const char *new, unsigned int flags)
{
    return renamed(from, old, to, new, flags);
}

static int linked(int from, const char *old, int to, const char *new, int flags)
{
    char names[BOTH], path[PATH_MAX];
    size_t one = absolute(from, old, names), other = absolute(to, new, path);
    long failed;

    if (!one || !other)
        return (int)syscall(SYS_linkat, from, old, to, new, flags);
    lock();
    failed = syscall(SYS_linkat, from, old, to, new, flags);
    if (!failed) {
        memcpy(names + one + 1, path, other);
        record(LINK, inode_at(path), 0, names, one + 1 + other, NULL, 0);
    }
    unlock();
    return (int)failed;
}

EXPORT int link(const char *old, const char *new) { return linked(AT_FDCWD, old, AT_FDCWD, new, 0); }

EXPORT int linkat(int from, const char *old, int to, const char *new, int flags)
{
    return linked(from, old, to, new, flags);
}

static int removed(int directory, const char *name, int flags)
{
    char path[PATH_MAX];
    size_t length = absolute(directory, name, path);
    uint64_t inode;
    long failed;

    if (!length)
        return (int)syscall(SYS_unlinkat, directory, name, flags);
    lock();
    inode = inode_at(path);
    failed = syscall(SYS_unlinkat, directory, name, flags);
    if (!failed)
        record(flags & AT_REMOVEDIR ? RMDIR : UNLINK, inode, 0, path, length, NULL, 0);
    unlock();
    return (int)failed;
}

EXPORT int unlink(const char *name) { return removed(AT_FDCWD, name, 0); }
EXPORT int unlinkat(int directory, const char *name, int flags) { return removed(directory, name, flags); }
EXPORT int rmdir(const char *name) { return removed(AT_FDCWD, name, AT_REMOVEDIR); }

static int made(int directory, const char *name, mode_t mode)
{
    char path[PATH_MAX];
    size_t length = absolute(directory, name, path);
    long failed;

    if (!length)
        return (int)syscall(SYS_mkdirat, directory, name, mode);
    lock();
    failed = syscall(SYS_mkdirat, directory, name, mode);
    if (!failed)
        record(MKDIR, inode_at(path), 0, path, length, NULL, 0);
    unlock();
    return (int)failed;
}

EXPORT int mkdir(const char *name, mode_t mode) { return made(AT_FDCWD, name, mode); }
EXPORT int mkdirat(int directory, const char *name, mode_t mode) { return made(directory, name, mode); }
