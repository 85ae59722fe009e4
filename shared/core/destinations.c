/* What the quick way looks at of each destination, once a call: whether it has links, room, and nothing that waits. */
#include "express.h"

/* Names that are looked up in each call. */
Words word;

int express_ready(void)
{
    static const struct {
        PyObject **word;
        const char *text;
    } words[] = {
        {&word.size, "size"},
        {&word.count, "count"},
        {&word.next_id, "next_id"},
        {&word.window, "window"},
        {&word.quick_window, "burst_window"},
        {&word.window_bytes, "window_bytes"},
        {&word.queues, "queues"},
        {&word.held, "held"},
        {&word.numbers, "numbers"},
        {&word.tables, "tables"},
        {&word.send_run, "send_run"},
        {&word.MESSAGE, "MESSAGE"},
        {&word.MESSAGE_ACK, "MESSAGE_ACK"},
        {&word.writable, "writable"},
        {&word.sink, "link"},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if ((*words[i].word = PyUnicode_InternFromString(words[i].text)) == NULL)
            return -1;
    return 0;
}

static int touch(Express *self, Party *party)
{
    if (self->touched_count == self->touched_room) {
        Py_ssize_t room = 2 * self->touched_room + 8;
        Party **touched = PyMem_Realloc(self->touched, (size_t)room * sizeof *touched);
        if (touched == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        self->touched = touched;
        self->touched_room = room;
    }
    self->touched[self->touched_count++] = (Party *)Py_NewRef(party);
    return 0;
}

int64_t number_of(PyObject *object, PyObject *name)
{
    PyObject *value = PyObject_GetAttr(object, name);
    int64_t number = value == NULL ? -1 : PyLong_AsLongLong(value);
    Py_XDECREF(value);
    return number;
}

static int is_writable(PyObject *sink)
{
    int writable = link_is_writable(sink);
    if (writable >= 0)
        return writable;
    PyObject *answer = PyObject_GetAttr(sink, word.writable);
    writable = answer == NULL ? -1 : PyObject_IsTrue(answer);
    Py_XDECREF(answer);
    return writable;
}

/* The links of a destination, as a new list: all, or those with room; empty: it is not there. */
static PyObject *links_of(Express *self, PyObject *destination, int with_room)
{
    PyObject *links = PyList_New(0), *sink = NULL, *sinks = NULL;
    if (links == NULL)
        return NULL;
    if (PyUnicode_Check(destination)) {
        PyObject *server = PyDict_GetItemWithError(self->servers, destination);
        sink = server == NULL ? NULL : PyObject_GetAttr(server, word.sink);
    } else {
        sinks = PyDict_GetItemWithError(self->clients, destination);
    }
    int failed = PyErr_Occurred() != NULL;
    Py_ssize_t count = sink != NULL ? 1 : sinks != NULL && PyList_Check(sinks) ? PyList_GET_SIZE(sinks) : 0;
    for (Py_ssize_t i = 0; !failed && i < count; i++) {
        PyObject *one = sink != NULL ? sink : PyList_GET_ITEM(sinks, i);
        int wanted = with_room ? is_writable(one) : 1;
        failed = wanted < 0 || (wanted && PyList_Append(links, one));
    }
    Py_XDECREF(sink);
    if (failed)
        Py_CLEAR(links);
    return links;
}

/* Whether messages may go out there at once: nothing waits, and there is a link with room; -1 with an error. */
int express_may_send(Express *self, Party *to)
{
    if (to->looked_at == self->call)
        return to->ways != NULL && to->left > 0 && to->bytes_left > 0;
    to->looked_at = self->call;
    Py_CLEAR(to->ways);
    if (PyDict_GET_SIZE(self->queues)) {
        int waits = PyDict_Contains(self->queues, to->destination);
        if (waits)
            return waits < 0 ? -1 : 0;
    }
    PyObject *ways = links_of(self, to->destination, 1);
    if (ways == NULL)
        return -1;
    int64_t size = PyList_GET_SIZE(ways) ? number_of(to->outbound, word.size) : 0;
    if (PyList_GET_SIZE(ways) == 0 || PyErr_Occurred()) {
        Py_DECREF(ways);
        return PyErr_Occurred() ? -1 : 0;
    }
    to->ways = ways;
    Py_ssize_t held = PyDict_GET_SIZE(to->items);
    int64_t most = Py_MIN(to->quick_window, self->first_window + to->trust); /* who answers much may be sent much */
    to->left = held < to->window ? most - held - to->count : 0;
    to->bytes_left = to->window_bytes - size - to->size;
    if (touch(self, to))
        return -1;
    return to->left > 0 && to->bytes_left > 0;
}

/* Whether somebody hears a status at once; -1 with an error. */
int express_may_tell(Express *self, Party *hears)
{
    if (hears->heard_at == self->call)
        return hears->hearers != NULL;
    hears->heard_at = self->call;
    Py_CLEAR(hears->hearers);
    PyObject *hearers = links_of(self, hears->destination, 0);
    if (hearers == NULL || PyList_GET_SIZE(hearers) == 0) {
        int failed = hearers == NULL;
        Py_XDECREF(hearers);
        return failed ? -1 : 0;
    }
    hears->hearers = hearers;
    return touch(self, hears) ? -1 : 1;
}
