/* Numbers in bytes, and numbers of others mixed: what every part of the compiled core uses. */
#ifndef PARLEY_BYTES_H
#define PARLEY_BYTES_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

/* For tables of what others number: whoever chooses the numbers cannot make them meet (splitmix64's finish). */
static inline uint64_t mixed(uint64_t number)
{
    number = (number ^ (number >> 30)) * 0xBF58476D1CE4E5B9u;
    number = (number ^ (number >> 27)) * 0x94D049BB133111EBu;
    return number ^ (number >> 31);
}

/* Eight bytes, the first of them the lowest of the number. */
static inline uint64_t read64(const char *at)
{
    uint64_t number;
    memcpy(&number, at, sizeof number);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    number = __builtin_bswap64(number);
#endif
    return number;
}

static inline void write64(char *at, uint64_t number)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    number = __builtin_bswap64(number);
#endif
    memcpy(at, &number, sizeof number);
}

#endif
