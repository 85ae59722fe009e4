/* What is on its way by the quick way: found by destination and number, in order of time. */
#include "express.h"

enum { PATIENCE = 10 };


static Item **bucket(Express *self, const Party *party, uint64_t snowflake)
{
    return &self->table[mixed((uint64_t)(uintptr_t)party ^ snowflake) & (uint64_t)(self->buckets - 1)];
}

static int grow(Express *self)
{
    Py_ssize_t buckets = self->buckets ? 4 * self->buckets : 256;
    Item **table = PyMem_Calloc((size_t)buckets, sizeof *table);
    if (table == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    PyMem_Free(self->table);
    self->table = table;
    self->buckets = buckets;
    for (Item *item = self->oldest; item != NULL; item = item->younger) {
        Item **at = bucket(self, item->flow->to, item->snowflake);
        item->chain = *at;
        *at = item;
    }
    return 0;
}

Item *item_find(Express *self, const Party *party, uint64_t snowflake)
{
    if (self->count == 0)
        return NULL;
    Item *item = *bucket(self, party, snowflake);
    while (item != NULL && !(item->snowflake == snowflake && item->flow->to == party))
        item = item->chain;
    return item;
}

Item *item_add(Express *self, Flow *flow, const Frame *frame, uint64_t snowflake, const MessageKey *key)
{
    if (self->count >= self->buckets && grow(self))
        return NULL;
    if (!self->has_ids) { /* once a call */
        self->next_id = (uint64_t)number_of(self->mailbox, word.next_id);
        if (PyErr_Occurred())
            return NULL;
        self->has_ids = 1;
    }
    Item *item = self->spare;
    if (item == NULL) {
        item = PyMem_Malloc(sizeof *item);
        if (item == NULL) {
            PyErr_NoMemory();
            return NULL;
        }
    } else {
        self->spare = item->chain;
    }
    Party *to = flow->to;
    Item **at = bucket(self, to, snowflake);
    *item = (Item){
        .flow = (Flow *)Py_NewRef(flow), .buffer = Py_NewRef(frame->buffer), .ways = Py_NewRef(to->ways),
        .start = frame->start, .end = frame->end, .key = *key, .snowflake = snowflake, .id = self->next_id++,
        .sent = self->now,
        .before = to->newest, .older = self->youngest, .chain = *at,
    };
    *at = item;
    *(to->newest ? &to->newest->after : &to->oldest) = item;
    to->newest = item;
    *(self->youngest ? &self->youngest->younger : &self->oldest) = item;
    self->youngest = item;
    to->count++;
    to->size += item->end - item->start;
    self->count++;
    self->size += item->end - item->start;
    return item;
}

void item_remove(Express *self, Item *item)
{
    Party *to = item->flow->to;
    Item **at = bucket(self, to, item->snowflake);
    while (*at != item)
        at = &(*at)->chain;
    *at = item->chain;
    *(item->before ? &item->before->after : &to->oldest) = item->after;
    *(item->after ? &item->after->before : &to->newest) = item->before;
    *(item->older ? &item->older->younger : &self->oldest) = item->younger;
    *(item->younger ? &item->younger->older : &self->youngest) = item->older;
    to->count--;
    to->size -= item->end - item->start;
    self->count--;
    self->size -= item->end - item->start;
    Py_DECREF(item->buffer);
    Py_DECREF(item->ways);
    Py_DECREF(item->flow); /* last: it holds the destination */
    item->chain = self->spare;
    self->spare = item;
}

/* For Python: (destination, author, snowflake, recipient, raw, origin, sent, id, ways, key). */
static PyObject *described(const Item *item)
{
    const Flow *flow = item->flow;
    PyObject *ways = PySequence_List(item->ways);
    if (ways == NULL)
        return NULL;
    unsigned char key[16];
    message_key_write(&item->key, key);
    return Py_BuildValue("OOKOy#OdKNy#", flow->to->destination, flow->author, (unsigned long long)item->snowflake,
                         flow->recipient, PyBytes_AS_STRING(item->buffer) + item->start, item->end - item->start,
                         flow->origin, item->sent, (unsigned long long)item->id, ways,
                         (const char *)key, (Py_ssize_t)sizeof key);
}

static int hand_over(Express *self, Item *item, PyObject *found)
{
    item->flow->to->trust = 0;
    PyObject *one = described(item);
    int failed = one == NULL || PyList_Append(found, one);
    Py_XDECREF(one);
    if (!failed)
        item_remove(self, item);
    return failed ? -1 : 0;
}

/* Hand over all that is on its way to one destination, in order. */
PyObject *items_of(Express *self, Party *party)
{
    PyObject *found = PyList_New(0);
    while (found != NULL && party->oldest != NULL)
        if (hand_over(self, party->oldest, found))
            Py_CLEAR(found);
    return found;
}

/* Hand over, in order, all that was sent `delay` seconds before `now` or earlier.
 *
 * What is for one who answers just now will be answered soon, too: it has PATIENCE times as long.
 */
PyObject *items_before(Express *self, double now, double delay)
{
    PyObject *found = PyList_New(0);
    Item *item = self->oldest, *next;
    int are_left = 0;
    for (; found != NULL && item != NULL && item->sent + delay <= now; item = next) {
        next = item->younger;
        if (item->flow->to->answered + delay > now && item->sent + PATIENCE * delay > now)
            are_left = 1;
        else if (hand_over(self, item, found))
            Py_CLEAR(found);
    }
    self->next_look = are_left ? now + delay / 2 : 0.0;
    return found;
}
