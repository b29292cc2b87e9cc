/* The three loops that run once per row, in C. Optional: every function here has a twin in Python
 * (rowcode.py, copy_rows.py, replication.py), which says what it must do, and which the tests hold
 * it against. Nothing here words an error: what does not look as expected is handed to the twin.
 *
 * See: docs/decisions/0010-compiled-loops.md.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

enum { REVISION = 2, NULL_VALUE = 'n', UNCHANGED_VALUE = 'u', HEAD_BYTES = 6, REMEMBERED = 8 };

static uint32_t
read_u32(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void
write_u32(unsigned char *at, uint32_t value)
{
    at[0] = value >> 24;
    at[1] = value >> 16;
    at[2] = value >> 8;
    at[3] = value;
}

/* --- RowReader: one row message to its change ------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    PyObject *relation;
    PyObject *plain;     /* called with the message when it is not as expected */
    PyTypeObject *type;  /* Change, a tuple of four */
    PyObject *unchanged;
    PyObject *kinds;     /* bytes: the kind expected of each column */
    PyObject *identity;  /* bytes: 1 for a column of the replica identity */
    PyObject *operation; /* int: INSERT, UPDATE or DELETE */
    Py_ssize_t at;       /* where the first tuple begins in a message */
    char has_old, has_new, full;
} RowReader;

/* Reads a tuple. NULL without an exception: not as expected. `fill` gives unchanged values. */
static PyObject *
read_tuple(RowReader *self, const unsigned char *data, Py_ssize_t size, Py_ssize_t *position,
           int key_only, PyObject *fill)
{
    Py_ssize_t count = PyBytes_GET_SIZE(self->kinds), at = *position;
    const unsigned char *kinds = (const unsigned char *)PyBytes_AS_STRING(self->kinds);
    const char *identity = PyBytes_AS_STRING(self->identity);
    PyObject *row;

    if (at + 2 > size || (data[at] << 8 | data[at + 1]) != count)
        return NULL;
    at += 2;
    if ((row = PyTuple_New(count)) == NULL)
        return NULL;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *value;
        if (at >= size)
            goto unexpected;
        if (data[at] == kinds[i] && size - at >= 5) {
            Py_ssize_t length = read_u32(data + at + 1);
            at += 5;
            if (length > size - at)
                goto unexpected;
            value = PyBytes_FromStringAndSize((const char *)data + at, length);
            if (value == NULL)
                goto unexpected;
            at += length;
        } else if (data[at] == NULL_VALUE) {
            value = key_only && !identity[i] ? self->unchanged : Py_None;
            Py_INCREF(value);
            at++;
        } else if (data[at] == UNCHANGED_VALUE) {
            value = fill == NULL ? self->unchanged : PyTuple_GET_ITEM(fill, i);
            Py_INCREF(value);
            at++;
        } else {
            goto unexpected;
        }
        PyTuple_SET_ITEM(row, i, value);
    }
    *position = at;
    return row;

unexpected:
    Py_DECREF(row);
    return NULL;
}

static PyObject *
read_change(RowReader *self, PyObject *message)
{
    const unsigned char *data = (const unsigned char *)PyBytes_AS_STRING(message);
    Py_ssize_t size = PyBytes_GET_SIZE(message), at = self->at;
    PyObject *new_row = NULL, *old_row = NULL, *change;

    if (self->has_old) {
        if ((old_row = read_tuple(self, data, size, &at, !self->full, NULL)) == NULL)
            goto unexpected;
        if (self->has_new && (at >= size || data[at++] != 'N'))
            goto unexpected;
    }
    if (self->has_new) {
        new_row = read_tuple(self, data, size, &at, 0, old_row);
        if (new_row == NULL)
            goto unexpected;
    }
    if (at != size)
        goto unexpected;
    if ((change = self->type->tp_alloc(self->type, 4)) == NULL)
        goto unexpected;
    PyTuple_SET_ITEM(change, 0, Py_NewRef(self->operation));
    PyTuple_SET_ITEM(change, 1, Py_NewRef(self->relation));
    PyTuple_SET_ITEM(change, 2, new_row != NULL ? new_row : Py_NewRef(Py_None));
    PyTuple_SET_ITEM(change, 3, old_row != NULL ? old_row : Py_NewRef(Py_None));
    return change;

unexpected:
    Py_XDECREF(old_row);
    Py_XDECREF(new_row);
    if (PyErr_Occurred())
        return NULL;
    return PyObject_CallOneArg(self->plain, message);
}

static PyObject *
reader_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *relation, *plain, *change, *unchanged, *kinds, *identity, *operation;
    Py_ssize_t at;
    int has_old, has_new, full;
    RowReader *self;

    if (kwargs != NULL && PyDict_GET_SIZE(kwargs) != 0) {
        PyErr_SetString(PyExc_TypeError, "RowReader takes no keywords");
        return NULL;
    }
    if (!PyArg_ParseTuple(args, "OOO!OO!O!O!nppp", &relation, &plain, &PyType_Type, &change,
                          &unchanged, &PyBytes_Type, &kinds, &PyBytes_Type, &identity,
                          &PyLong_Type, &operation, &at, &has_old, &has_new, &full))
        return NULL;
    if (!PyType_IsSubtype((PyTypeObject *)change, &PyTuple_Type) || at < HEAD_BYTES
        || PyBytes_GET_SIZE(kinds) != PyBytes_GET_SIZE(identity)) {
        PyErr_SetString(PyExc_ValueError, "RowReader: arguments that do not fit together");
        return NULL;
    }
    if ((self = (RowReader *)type->tp_alloc(type, 0)) == NULL)
        return NULL;
    self->relation = Py_NewRef(relation);
    self->plain = Py_NewRef(plain);
    self->type = (PyTypeObject *)Py_NewRef(change);
    self->unchanged = Py_NewRef(unchanged);
    self->kinds = Py_NewRef(kinds);
    self->identity = Py_NewRef(identity);
    self->operation = Py_NewRef(operation);
    self->at = at;
    self->has_old = has_old;
    self->has_new = has_new;
    self->full = full;
    return (PyObject *)self;
}

static int
reader_traverse(RowReader *self, visitproc visit, void *arg)
{
    Py_VISIT(self->relation);
    Py_VISIT(self->plain);
    Py_VISIT(self->type);
    Py_VISIT(self->unchanged);
    return 0;
}

static int
reader_clear(RowReader *self)
{
    Py_CLEAR(self->relation);
    Py_CLEAR(self->plain);
    Py_CLEAR(self->type);
    Py_CLEAR(self->unchanged);
    Py_CLEAR(self->kinds);
    Py_CLEAR(self->identity);
    Py_CLEAR(self->operation);
    return 0;
}

static void
reader_dealloc(RowReader *self)
{
    PyObject_GC_UnTrack(self);
    reader_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyObject *
reader_call(RowReader *self, PyObject *args, PyObject *kwargs)
{
    PyObject *message;

    if (!PyArg_ParseTuple(args, "O!", &PyBytes_Type, &message))
        return NULL;
    return read_change(self, message);
}

static PyTypeObject RowReaderType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "connectors._interchange._accelerated.RowReader",
    .tp_doc = "RowReader(relation, plain, Change, UNCHANGED, kinds, identity, operation, at, "
              "has_old, has_new, full): from a whole message to its change.",
    .tp_basicsize = sizeof(RowReader),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = reader_new,
    .tp_call = (ternaryfunc)reader_call,
    .tp_traverse = (traverseproc)reader_traverse,
    .tp_clear = (inquiry)reader_clear,
    .tp_dealloc = (destructor)reader_dealloc,
};

/* --- read_rows ------------------------------------------------------------------------------- */

typedef struct {
    char head[HEAD_BYTES];
    PyObject *action; /* borrowed from the dict, which nothing changes while rows are read */
} Known;

static PyObject *
find_action(PyObject *actions, const char *head, Known *known, int *found)
{
    PyObject *key, *action;

    for (int i = 0; i < REMEMBERED && i < *found; i++)
        if (memcmp(known[i].head, head, HEAD_BYTES) == 0)
            return known[i].action;
    if ((key = PyBytes_FromStringAndSize(head, HEAD_BYTES)) == NULL)
        return NULL;
    action = PyDict_GetItemWithError(actions, key);
    Py_DECREF(key);
    if (action != NULL) {
        Known *slot = &known[*found % REMEMBERED];
        memcpy(slot->head, head, HEAD_BYTES);
        slot->action = action;
        *found = *found + 1 < 2 * REMEMBERED ? *found + 1 : REMEMBERED;
    }
    return action;
}

static PyObject *
read_rows(PyObject *module, PyObject *args)
{
    PyObject *messages, *actions, *events;
    Py_ssize_t index, start;
    Known known[REMEMBERED];
    int found = 0;

    if (!PyArg_ParseTuple(args, "O!nnO!O!", &PyList_Type, &messages, &index, &start, &PyDict_Type,
                          &actions, &PyList_Type, &events))
        return NULL;
    if (index < 0 || start < 0) {
        PyErr_SetString(PyExc_ValueError, "read_rows: a negative place");
        return NULL;
    }
    for (; index < PyList_GET_SIZE(messages); index++) {
        PyObject *message = PyList_GET_ITEM(messages, index), *action, *change;
        int failed;
        if (!PyBytes_Check(message) || PyBytes_GET_SIZE(message) < start + HEAD_BYTES)
            break;
        action = find_action(actions, PyBytes_AS_STRING(message) + start, known, &found);
        if (action == NULL) {
            if (PyErr_Occurred())
                return NULL;
            break;
        }
        Py_INCREF(message);
        change = Py_IS_TYPE(action, &RowReaderType) ? read_change((RowReader *)action, message)
                                                    : PyObject_CallOneArg(action, message);
        Py_DECREF(message);
        if (change == NULL)
            return NULL;
        failed = PyList_Append(events, change);
        Py_DECREF(change);
        if (failed)
            return NULL;
    }
    return PyLong_FromSsize_t(index);
}

/* --- encode_rows ----------------------------------------------------------------------------- */

/* Bytes of a row in COPY's form, or -1 with an exception. */
static Py_ssize_t
row_size(PyObject *row, const Py_ssize_t *columns, Py_ssize_t count, Py_ssize_t width)
{
    Py_ssize_t size = 2 + 4 * count;

    if (!PyTuple_Check(row) || PyTuple_GET_SIZE(row) != width) {
        PyErr_Format(PyExc_ValueError, "a row is not a tuple of %zd values", width);
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *value = PyTuple_GET_ITEM(row, columns[i]);
        if (value == Py_None)
            continue;
        if (!PyBytes_Check(value)) {
            PyErr_SetString(PyExc_TypeError, "a value that cannot be written");
            return -1;
        }
        if (PyBytes_GET_SIZE(value) > INT32_MAX) {
            PyErr_SetString(PyExc_OverflowError, "a value that is too long");
            return -1;
        }
        size += PyBytes_GET_SIZE(value);
    }
    return size;
}

static unsigned char *
write_row(unsigned char *at, PyObject *row, const Py_ssize_t *columns, Py_ssize_t count)
{
    *at++ = count >> 8;
    *at++ = count;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *value = PyTuple_GET_ITEM(row, columns[i]);
        Py_ssize_t length = value == Py_None ? -1 : PyBytes_GET_SIZE(value);
        write_u32(at, (uint32_t)length);
        at += 4;
        if (length > 0) {
            memcpy(at, PyBytes_AS_STRING(value), length);
            at += length;
        }
    }
    return at;
}

/* The columns' places as an array, each below `width`; NULL with an exception. */
static Py_ssize_t *
column_places(PyObject *indexes, Py_ssize_t width)
{
    Py_ssize_t count = PyTuple_GET_SIZE(indexes);
    Py_ssize_t *columns = PyMem_New(Py_ssize_t, count + 1);

    if (columns == NULL)
        return (Py_ssize_t *)PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < count; i++) {
        columns[i] = PyLong_AsSsize_t(PyTuple_GET_ITEM(indexes, i));
        if (columns[i] < 0 || columns[i] >= width || count > INT16_MAX) {
            if (!PyErr_Occurred())
                PyErr_SetString(PyExc_ValueError, "a column that a row does not have");
            PyMem_Free(columns);
            return NULL;
        }
    }
    return columns;
}

static PyObject *
encode_rows(PyObject *module, PyObject *args)
{
    PyObject *indexes, *given, *rows, *encoded = NULL;
    Py_ssize_t width, count, total = 0;
    Py_ssize_t *columns;
    unsigned char *at;

    if (!PyArg_ParseTuple(args, "O!nO", &PyTuple_Type, &indexes, &width, &given))
        return NULL;
    count = PyTuple_GET_SIZE(indexes);
    if ((columns = column_places(indexes, width)) == NULL)
        return NULL;
    if ((rows = PySequence_Fast(given, "rows are a sequence")) == NULL)
        goto done;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(rows); i++) {
        Py_ssize_t size = row_size(PySequence_Fast_GET_ITEM(rows, i), columns, count, width);
        if (size < 0)
            goto done;
        total += size;
    }
    if ((encoded = PyBytes_FromStringAndSize(NULL, total)) == NULL)
        goto done;
    at = (unsigned char *)PyBytes_AS_STRING(encoded);
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(rows); i++)
        at = write_row(at, PySequence_Fast_GET_ITEM(rows, i), columns, count);
done:
    Py_XDECREF(rows);
    PyMem_Free(columns);
    return encoded;
}

/* --- take_messages --------------------------------------------------------------------------- */

typedef int (*GetCopyData)(void *connection, char **buffer, int async);
typedef void (*FreeMemory)(void *buffer);

static PyObject *
take_messages(PyObject *module, PyObject *args)
{
    Py_ssize_t get_address, free_address, connection, room, taken = 0;
    PyObject *messages, *other = Py_None;
    int kind, size = 0;

    if (!PyArg_ParseTuple(args, "nnnniO!", &get_address, &free_address, &connection, &room, &kind,
                          &PyList_Type, &messages))
        return NULL;
    Py_INCREF(other);
    while (taken < room) {
        char *buffer = NULL;
        PyObject *message;
        int wanted, failed = 0;
        size = ((GetCopyData)get_address)((void *)connection, &buffer, 1);
        if (size <= 0)
            break;
        taken += size;
        message = PyBytes_FromStringAndSize(buffer, size);
        wanted = (unsigned char)buffer[0] == kind;
        ((FreeMemory)free_address)(buffer);
        if (message != NULL && !wanted) {
            Py_SETREF(other, message);
            break;
        }
        failed = message == NULL || PyList_Append(messages, message);
        Py_XDECREF(message);
        if (failed) {
            Py_DECREF(other);
            return NULL;
        }
    }
    return Py_BuildValue("niN", taken, size, other);
}

/* --- module ---------------------------------------------------------------------------------- */

static PyMethodDef methods[] = {
    {"read_rows", read_rows, METH_VARARGS,
     "read_rows(messages, first, start, actions, events): append the changes of messages[first:] "
     "to events up to the first message without an action; gives its index."},
    {"encode_rows", encode_rows, METH_VARARGS,
     "encode_rows(indexes, width, rows): rows in COPY's binary form."},
    {"take_messages", take_messages, METH_VARARGS,
     "take_messages(get, free, connection, room, kind, messages): append what PQgetCopyData gives "
     "up to `room` bytes, or a message of another kind. Gives the bytes taken, the last result "
     "and that other message or None."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "connectors._interchange._accelerated",
    .m_doc = "The loops that run once per row, compiled.",
    .m_size = -1,
    .m_methods = methods,
};

PyMODINIT_FUNC
PyInit__accelerated(void)
{
    PyObject *module;

    if (PyType_Ready(&RowReaderType) < 0 || (module = PyModule_Create(&definition)) == NULL)
        return NULL;
    if (PyModule_AddObjectRef(module, "RowReader", (PyObject *)&RowReaderType) < 0
        || PyModule_AddIntConstant(module, "REVISION", REVISION) < 0) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}
