/* What comes at one of the generator's ends: where a record ends, and whether it is what it must be. */
#ifndef RECORDS_H
#define RECORDS_H
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { FIXED, DELIMITED, NATS, PARLEY_ACK };
enum { DIGITS = 8 };

/* How one end's records look. */
struct records {
    int32_t kind;
    int32_t number; /* 1: a text begins with its message's number, and goes on with `fill` */
    const uint8_t *pattern, *mask; /* FIXED: (byte ^ pattern) & mask is 0 */
    uint64_t length, offset;       /* FIXED: of the record, and where the text is */
    const uint8_t *marker, *end;   /* DELIMITED: what stands before the text, and ends the record */
    uint64_t marker_length, end_length;
    const uint8_t *fill;
    uint64_t fill_length;
    uint64_t first; /* PARLEY_ACK: the snowflake of message 0 */
};

/* What a look at the bytes found. */
struct record {
    size_t length;  /* 0: not whole yet */
    int counts;     /* 1: it is one of the messages, 0: another thing, -1: wrong */
    uint64_t number;
    const uint8_t *reply;
    size_t reply_length;
};

static void read_text(const struct records *r, const uint8_t *text, size_t length, struct record *found) {
    found->counts = 1;
    if (!r->number) return;
    if (length < DIGITS + r->fill_length || memcmp(text + DIGITS, r->fill, r->fill_length)) {
        found->counts = -1;
        return;
    }
    found->number = 0;
    for (int i = 0; i < DIGITS; i++) {
        if (text[i] < '0' || text[i] > '9') found->counts = -1;
        found->number = found->number * 10 + (text[i] - '0');
    }
}

static void look_fixed(const struct records *r, const uint8_t *at, size_t left, struct record *found) {
    if (left < r->length) return;
    uint8_t differs = 0;
    for (size_t i = 0; i < r->length; i++) differs |= (at[i] ^ r->pattern[i]) & r->mask[i];
    read_text(r, at + r->offset, r->length - r->offset, found);
    if (differs) found->counts = -1;
    found->length = r->length;
}

static void look_delimited(const struct records *r, const uint8_t *at, size_t left, struct record *found) {
    const uint8_t *end = memmem(at, left, r->end, r->end_length);
    if (!end) return;
    const uint8_t *text = memmem(at, end - at, r->marker, r->marker_length);
    found->counts = 0;
    found->length = end - at + r->end_length;
    if (text) read_text(r, text + r->marker_length, end - text - r->marker_length, found);
}

/* MSG subject sid [reply] size CRLF payload CRLF, or another line. */
static void look_nats(const struct records *r, const uint8_t *at, size_t left, struct record *found) {
    const uint8_t *line_end = memchr(at, '\n', left);
    if (!line_end) return;
    size_t line = line_end - at + 1;
    if (line < 6 || memcmp(at, "MSG ", 4)) {
        found->length = line;
        found->counts = at[0] == '-' ? -1 : 0;
        return;
    }
    const uint8_t *words[5];
    size_t count = 0;
    for (const uint8_t *p = at; p < line_end && count < 5; p++)
        if (p == at || p[-1] == ' ') words[count++] = p;
    uint64_t size = 0;
    for (const uint8_t *p = words[count - 1]; *p >= '0' && *p <= '9'; p++) size = size * 10 + (*p - '0');
    if (left < line + size + 2) return;
    if (count == 5) {
        found->reply = words[3];
        found->reply_length = words[4] - 1 - words[3];
    }
    found->length = line + size + 2;
    const uint8_t *text = at + line;
    read_text(r, text, size, found);
    if (r->marker_length && (size < r->marker_length || memcmp(text, r->marker, r->marker_length)))
        found->counts = -1;
}

/* MESSAGE_ACK of one snowflake; its last two bytes are the status. */
static void look_ack(const struct records *r, const uint8_t *at, size_t left, struct record *found) {
    const uint8_t *name_end = memchr(at, ' ', left);
    if (!name_end) return;
    const uint8_t *size_end = memchr(name_end + 1, ' ', at + left - name_end - 1);
    if (!size_end) return;
    size_t size = strtoul((const char *)name_end + 1, NULL, 10), header = size_end + 1 - at;
    if (left < header + size + 1) return;
    found->length = header + size + 1;
    found->counts = 0;
    if (name_end - at != 11 || memcmp(at, "MESSAGE_ACK", 11)) return;
    const uint8_t *p = at + header, *end = p + size;
    uint64_t snowflake = 0;
    int shift = 0;
    p++;
    do snowflake |= (uint64_t)(*p & 0x7f) << shift, shift += 7;
    while (*p++ & 0x80 && p < end);
    found->number = snowflake - r->first;
    if (end[-2] == 0x10 && end[-1] == 1) found->counts = 1;                        /* DELIVERED */
    else if (!(end[-2] == 0x10 && (end[-1] == 3 || end[-1] == 5))) found->counts = -1; /* not USER_AWAY, …_TIMEOUT */
}

static void look(const struct records *r, const uint8_t *at, size_t left, struct record *found) {
    memset(found, 0, sizeof *found);
    switch (r->kind) {
    case FIXED: look_fixed(r, at, left, found); break;
    case DELIMITED: look_delimited(r, at, left, found); break;
    case NATS: look_nats(r, at, left, found); break;
    default: look_ack(r, at, left, found);
    }
}

#endif
