/* What is looked at of each destination, once a call: whether it has links, room, and nothing that waits. */
#include "fast_path/destinations.h"

#include "io/link_type.h"

static int touch(FastPath *self, Party *party)
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

static int is_writable(PyObject *link)
{
    int writable = link_is_writable(link);
    if (writable >= 0)
        return writable;
    PyObject *answer = PyObject_GetAttr(link, fast_name.writable);
    writable = answer == NULL ? -1 : PyObject_IsTrue(answer);
    Py_XDECREF(answer);
    return writable;
}

/* The links of a destination, as a new list: all, or those with room; empty: it is not there, or has one to which not
 * everything may be written at once. */
static PyObject *links_of(FastPath *self, PyObject *destination, int with_room)
{
    PyObject *links = PyList_New(0), *link = NULL, *linked = NULL;
    if (links == NULL)
        return NULL;
    if (PyUnicode_Check(destination)) {
        PyObject *server = PyDict_GetItemWithError(self->chat->servers, destination);
        link = server == NULL ? NULL : PyObject_GetAttr(server, fast_name.link);
    } else {
        linked = PyDict_GetItemWithError(self->chat->clients, destination);
    }
    int failed = PyErr_Occurred() != NULL;
    Py_ssize_t count = link != NULL ? 1 : linked != NULL && PyList_Check(linked) ? PyList_GET_SIZE(linked) : 0;
    for (Py_ssize_t i = 0; !failed && i < count; i++) {
        PyObject *one = link != NULL ? link : PyList_GET_ITEM(linked, i);
        if (with_room && !link_is_fluent(one)) {
            failed = PyList_SetSlice(links, 0, PyList_GET_SIZE(links), NULL);
            break;
        }
        int wanted = with_room ? is_writable(one) : 1;
        failed = wanted < 0 || (wanted && PyList_Append(links, one));
    }
    Py_XDECREF(link);
    if (failed)
        Py_CLEAR(links);
    return links;
}

/* Whether messages may go out there at once: nothing waits, and there is a link with room; -1 with an error. */
int may_send(FastPath *self, Party *to)
{
    if (to->links_checked == self->call)
        return to->links != NULL && to->left > 0 && to->bytes_left > 0;
    to->links_checked = self->call;
    Py_CLEAR(to->links);
    if (PyDict_GET_SIZE(self->chat->queues)) {
        int waits = PyDict_Contains(self->chat->queues, to->destination);
        if (waits)
            return waits < 0 ? -1 : 0;
    }
    PyObject *links = links_of(self, to->destination, 1);
    if (links == NULL)
        return -1;
    if (PyList_GET_SIZE(links) == 0) {
        Py_DECREF(links);
        return 0;
    }
    to->links = links;
    const InFlightTable *there = to->in_flight;
    Py_ssize_t held = PyDict_GET_SIZE(there->held);
    /* Who answers much may be sent much. */
    int64_t most = Py_MIN(there->burst_window, self->limits.first_window + to->trust);
    to->left = held < there->window ? most - held - to->count : 0;
    to->bytes_left = there->window_bytes - there->size - to->size;
    if (touch(self, to))
        return -1;
    return to->left > 0 && to->bytes_left > 0;
}

/* Whether somebody reply_to a status at once; -1 with an error. */
int may_reply(FastPath *self, Party *reply_to)
{
    if (reply_to->reply_links_checked == self->call)
        return reply_to->reply_links != NULL;
    reply_to->reply_links_checked = self->call;
    Py_CLEAR(reply_to->reply_links);
    PyObject *reply_links = links_of(self, reply_to->destination, 0);
    if (reply_links == NULL || PyList_GET_SIZE(reply_links) == 0) {
        int failed = reply_links == NULL;
        Py_XDECREF(reply_links);
        return failed ? -1 : 0;
    }
    reply_to->reply_links = reply_links;
    return touch(self, reply_to) ? -1 : 1;
}
