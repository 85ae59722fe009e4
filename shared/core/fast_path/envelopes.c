/* What is in flight by the fast path: found by destination and number, in order of time. */
#include "fast_path/envelopes.h"

static Envelope **bucket(FastPath *self, const Party *party, uint64_t snowflake)
{
    return &self->table[mixed((uint64_t)(uintptr_t)party ^ snowflake) & (uint64_t)(self->buckets - 1)];
}

static int grow(FastPath *self)
{
    Py_ssize_t buckets = self->buckets ? 4 * self->buckets : 256;
    Envelope **table = PyMem_Calloc((size_t)buckets, sizeof *table);
    if (table == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    PyMem_Free(self->table);
    self->table = table;
    self->buckets = buckets;
    for (Envelope *envelope = self->oldest; envelope != NULL; envelope = envelope->younger) {
        Envelope **at = bucket(self, envelope->flow->to, envelope->snowflake);
        envelope->chain = *at;
        *at = envelope;
    }
    return 0;
}

Envelope *envelope_find(FastPath *self, const Party *party, uint64_t snowflake)
{
    if (self->count == 0)
        return NULL;
    Envelope *envelope = *bucket(self, party, snowflake);
    while (envelope != NULL && !(envelope->snowflake == snowflake && envelope->flow->to == party))
        envelope = envelope->chain;
    return envelope;
}

Envelope *envelope_add(FastPath *self, Flow *flow, const Frame *frame, uint64_t snowflake, const MessageKey *key)
{
    if (self->count >= self->buckets && grow(self))
        return NULL;
    Envelope *envelope = self->spare;
    if (envelope == NULL) {
        envelope = PyMem_Malloc(sizeof *envelope);
        if (envelope == NULL) {
            PyErr_NoMemory();
            return NULL;
        }
    } else {
        self->spare = envelope->chain;
    }
    Party *to = flow->to;
    Envelope **at = bucket(self, to, snowflake);
    *envelope = (Envelope){
        .flow = (Flow *)Py_NewRef(flow),
        .buffer = Py_NewRef(frame->buffer),
        .links = Py_NewRef(to->links),
        .start = frame->start,
        .end = frame->end,
        .key = *key,
        .snowflake = snowflake,
        .id = (uint64_t)self->chat->next_id++,
        .sent = self->now,
        .before = to->newest,
        .ahead = flow->newest,
        .older = self->youngest,
        .chain = *at,
    };
    *at = envelope;
    *(to->newest ? &to->newest->after : &to->oldest) = envelope;
    to->newest = envelope;
    *(flow->newest ? &flow->newest->behind : &flow->oldest) = envelope;
    flow->newest = envelope;
    flow->count++;
    *(self->youngest ? &self->youngest->younger : &self->oldest) = envelope;
    self->youngest = envelope;
    to->count++;
    to->size += envelope->end - envelope->start;
    self->count++;
    self->size += envelope->end - envelope->start;
    return envelope;
}

void envelope_remove(FastPath *self, Envelope *envelope)
{
    Flow *flow = envelope->flow;
    Party *to = flow->to;
    Envelope **at = bucket(self, to, envelope->snowflake);
    while (*at != envelope)
        at = &(*at)->chain;
    *at = envelope->chain;
    *(envelope->before ? &envelope->before->after : &to->oldest) = envelope->after;
    *(envelope->after ? &envelope->after->before : &to->newest) = envelope->before;
    *(envelope->ahead ? &envelope->ahead->behind : &flow->oldest) = envelope->behind;
    *(envelope->behind ? &envelope->behind->ahead : &flow->newest) = envelope->ahead;
    flow->count--;
    *(envelope->older ? &envelope->older->younger : &self->oldest) = envelope->younger;
    *(envelope->younger ? &envelope->younger->older : &self->youngest) = envelope->older;
    to->count--;
    to->size -= envelope->end - envelope->start;
    self->count--;
    self->size -= envelope->end - envelope->start;
    Py_DECREF(envelope->buffer);
    Py_DECREF(envelope->links);
    Py_DECREF(flow); /* last: it holds the destination */
    envelope->chain = self->spare;
    self->spare = envelope;
}

/* For Python: (destination, author, snowflake, recipient, raw, origin, sent, id, links, key). */
static PyObject *described(const Envelope *envelope)
{
    const Flow *flow = envelope->flow;
    PyObject *links = PySequence_List(envelope->links);
    if (links == NULL)
        return NULL;
    unsigned char key[16];
    message_key_write(&envelope->key, key);
    return Py_BuildValue("OOKOy#OdKNy#", flow->to->destination, flow->author,
                         (unsigned long long)envelope->snowflake, flow->recipient,
                         PyBytes_AS_STRING(envelope->buffer) + envelope->start, envelope->end - envelope->start,
                         flow->origin, envelope->sent, (unsigned long long)envelope->id, links, (const char *)key,
                         (Py_ssize_t)sizeof key);
}

static int hand_over(FastPath *self, Envelope *envelope, PyObject *found)
{
    envelope->flow->to->trust = 0;
    PyObject *one = described(envelope);
    int failed = one == NULL || PyList_Append(found, one);
    Py_XDECREF(one);
    if (!failed)
        envelope_remove(self, envelope);
    return failed ? -1 : 0;
}

/* Hand over all that is on its way to one destination, in order. */
PyObject *envelopes_of(FastPath *self, Party *party)
{
    PyObject *found = PyList_New(0);
    while (found != NULL && party->oldest != NULL)
        if (hand_over(self, party->oldest, found))
            Py_CLEAR(found);
    return found;
}

/* Hand over, in order, all that was sent `delay` seconds before `now` or earlier.
 *
 * What is for one who answers just now will be answered soon, too: it has `patience` times as long.
 */
PyObject *envelopes_before(FastPath *self, double now, double delay)
{
    PyObject *found = PyList_New(0);
    Envelope *envelope = self->oldest, *next;
    int are_left = 0;
    for (; found != NULL && envelope != NULL && envelope->sent + delay <= now; envelope = next) {
        next = envelope->younger;
        if (envelope->flow->to->in_flight->answered_at + delay > now &&
            envelope->sent + self->limits.patience * delay > now)
            are_left = 1;
        else if (hand_over(self, envelope, found))
            Py_CLEAR(found);
    }
    self->next_look = are_left ? now + delay / 2 : 0.0;
    return found;
}
