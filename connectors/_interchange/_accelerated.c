/* The loops that run once per row, in C. Optional: every function here has a twin in Python
 * (rowcode.py, copy_rows.py, replication.py, binlog/rows.py, load_lines.py, row_texts.py,
 * blackhole/target.py), which says what it must do, and which the tests hold it against. Nothing
 * here words an error: what does not look as expected is handed to the twin.
 *
 * See: docs/decisions/0010-compiled-loops.md.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

enum { REVISION = 7, NULL_VALUE = 'n', UNCHANGED_VALUE = 'u', HEAD_BYTES = 6, REMEMBERED = 8 };

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

/* A change with its rows. Nothing in it ever leads back to it, so the collector of cycles need not
 * look at it: with a full queue there are millions, and the event loop stands still meanwhile.
 * Takes over the rows (NULL: None), also when it fails. */
static PyObject *
make_change(PyTypeObject *type, PyObject *operation, PyObject *relation, PyObject *new_row,
            PyObject *old_row)
{
    PyObject *change = type->tp_alloc(type, 4);

    if (change == NULL) {
        Py_XDECREF(new_row);
        Py_XDECREF(old_row);
        return NULL;
    }
    PyTuple_SET_ITEM(change, 0, Py_NewRef(operation));
    PyTuple_SET_ITEM(change, 1, Py_NewRef(relation));
    PyTuple_SET_ITEM(change, 2, new_row != NULL ? new_row : Py_NewRef(Py_None));
    PyTuple_SET_ITEM(change, 3, old_row != NULL ? old_row : Py_NewRef(Py_None));
    PyObject_GC_UnTrack(change);
    if (new_row != NULL)
        PyObject_GC_UnTrack(new_row);
    if (old_row != NULL)
        PyObject_GC_UnTrack(old_row);
    return change;
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
    PyObject *new_row = NULL, *old_row = NULL;

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
    return make_change(self->type, self->operation, self->relation, new_row, old_row);

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

/* --- LogReader: the rows of one event of MySQL's log to their changes --------------------------- */

enum {
    CALL, RAW, REVERSED, EXTENDED, TEXT, NUMBER, DECIMAL, DATETIME, INSTANT, DATE, DURATION,
    DECIMAL_TEXT, DATETIME_TEXT, INSTANT_TEXT, DATE_TEXT, DURATION_TEXT, OPS
};

enum { UNCHANGED_SLOT, OLD_SLOT, NEW_SLOT, SLOT_BYTES = 3, STEP_BYTES = 8, DECIMAL_DIGITS_MAX = 65 };

typedef struct {
    unsigned char op, width, prefix, arg, more, wanted;
    uint16_t column;
} Step;

typedef struct {
    unsigned char from; /* UNCHANGED_SLOT, OLD_SLOT or NEW_SLOT */
    uint16_t column;
} Slot;

typedef struct {
    PyObject_HEAD
    PyObject *plain;     /* called with all arguments when they are not as expected */
    PyTypeObject *type;  /* Change, a tuple of four */
    PyObject *unchanged;
    PyObject *operation; /* int: INSERT, UPDATE or DELETE */
    PyObject *converts;  /* a callable or None for each column */
    Py_ssize_t columns;
    Step *old_steps, *new_steps; /* the columns that images hold, in their order */
    Py_ssize_t old_count, new_count;
    Slot *old_slots, *new_slots; /* where the values of rows come from */
    Py_ssize_t old_width, new_width; /* -1: there is no such row */
    Slot *key;           /* columns that decide whether the old row is told; none: it is */
    Py_ssize_t key_count;
} LogReader;

static const int64_t DAY_US = 86400000000LL, UNIX_TO_2000_US = 946684800000000LL;
static const int64_t FRACTION_US[] = {1000000, 10000, 100, 1};
static const int DECIMAL_BYTES[] = {0, 1, 1, 2, 2, 3, 3, 4, 4, 4};

static PyObject *
big_endian(uint64_t value, Py_ssize_t size, Py_ssize_t zeros)
{
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, size + zeros);
    unsigned char *at;

    if (bytes == NULL)
        return NULL;
    at = (unsigned char *)PyBytes_AS_STRING(bytes);
    for (Py_ssize_t i = 0; i < size; i++)
        at[i] = (unsigned char)(value >> 8 * (size - 1 - i));
    memset(at + size, 0, zeros);
    return bytes;
}

static uint64_t
big_number(const unsigned char *data, Py_ssize_t size)
{
    uint64_t value = 0;
    for (Py_ssize_t i = 0; i < size; i++)
        value = value << 8 | data[i];
    return value;
}

static uint64_t
little_number(const unsigned char *data, Py_ssize_t size)
{
    uint64_t value = 0;
    for (Py_ssize_t i = size; i-- > 0;)
        value = value << 8 | data[i];
    return value;
}

/* Days since 2000-01-01; 0 for a date that is none, or of year 0. */
static int
days_of(unsigned year, unsigned month, unsigned day, int64_t *days)
{
    static const unsigned char last[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    unsigned y, of_year;

    if (year < 1 || year > 9999 || month < 1 || month > 12 || day < 1
        || day > last[month - 1] + (unsigned)(leap && month == 2))
        return 0;
    y = month > 2 ? year : year - 1;
    of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    *days = (int64_t)y * 365 + y / 4 - y / 100 + y / 400 + of_year - 730425;
    return 1;
}

/* The functions below give NULL without an exception for what the twin is to look at. */

static PyObject *
reversed_value(const Step *step, const unsigned char *data, Py_ssize_t size)
{
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, size + step->arg);
    unsigned char *at;

    if (bytes == NULL)
        return NULL;
    at = (unsigned char *)PyBytes_AS_STRING(bytes);
    memset(at, step->op == EXTENDED && data[size - 1] & 0x80 ? 0xff : 0, step->arg);
    for (Py_ssize_t i = 0; i < size; i++)
        at[step->arg + i] = data[size - 1 - i];
    return bytes;
}

static PyObject *
number_value(const Step *step, const unsigned char *data, Py_ssize_t size)
{
    uint64_t value = little_number(data, size);
    char text[24], *end = text + sizeof text, *at = end;
    int negative = 0;

    if (!step->arg && data[size - 1] & 0x80) {
        negative = 1;
        value = ~value + 1;
        if (size < 8)
            value &= ((uint64_t)1 << 8 * size) - 1;
    }
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    if (negative)
        *--at = '-';
    return PyBytes_FromStringAndSize(at, end - at);
}

/* Digits of a group of `count`, behind each other; 0 when it has more. */
static int
group_digits(const unsigned char **data, unsigned char flip, int count, unsigned char *digits)
{
    uint64_t value = 0;

    for (int i = 0; i < DECIMAL_BYTES[count]; i++)
        value = value << 8 | (unsigned char)(*(*data)++ ^ flip);
    for (int i = count; i-- > 0;) {
        digits[i] = value % 10;
        value /= 10;
    }
    return value == 0;
}

/* Digits of a packed DECIMAL, the whole ones and those of its scale; 0: not as expected. */
static int
decimal_digits(const Step *step, const unsigned char *packed, Py_ssize_t size,
               unsigned char *digits)
{
    int whole = step->more - step->arg, at = whole % 9;
    unsigned char flip = packed[0] & 0x80 ? 0 : 0xff, head[32];
    const unsigned char *data = head;

    memcpy(head, packed, size);
    head[0] ^= 0x80;
    if (!group_digits(&data, flip, whole % 9, digits))
        return 0;
    for (; at < whole; at += 9)
        if (!group_digits(&data, flip, 9, digits + at))
            return 0;
    for (int left = step->arg; left > 0; left -= 9, at += 9)
        if (!group_digits(&data, flip, left < 9 ? left : 9, digits + at))
            return 0;
    return 1;
}

static PyObject *
decimal_value(const Step *step, const unsigned char *packed, Py_ssize_t size)
{
    int scale = step->arg, whole = step->more - scale, lead = -whole & 3;
    int groups = (whole + 3) / 4, count = groups + (scale + 3) / 4, first = 0;
    unsigned char digits[DECIMAL_DIGITS_MAX + 8] = {0};
    unsigned char flip = packed[0] & 0x80 ? 0 : 0xff, *out;
    PyObject *bytes;

    if (!decimal_digits(step, packed, size, digits + lead))
        return NULL;
    while (first < count && !memcmp(digits + 4 * first, "\0\0\0\0", 4))
        first++;
    while (count > first && !memcmp(digits + 4 * (count - 1), "\0\0\0\0", 4))
        count--;
    if ((bytes = PyBytes_FromStringAndSize(NULL, 8 + 2 * (count - first))) == NULL)
        return NULL;
    out = (unsigned char *)PyBytes_AS_STRING(bytes);
    memset(out, 0, 8);
    out[7] = scale;
    if (count > first) {
        int weight = groups - 1 - first;
        out[1] = count - first;
        out[2] = (unsigned char)(weight >> 8);
        out[3] = (unsigned char)weight;
        out[4] = flip ? 0x40 : 0;
    }
    for (int i = first; i < count; i++) {
        const unsigned char *d = digits + 4 * i;
        int digit = ((d[0] * 10 + d[1]) * 10 + d[2]) * 10 + d[3];
        out[8 + 2 * (i - first)] = digit >> 8;
        out[9 + 2 * (i - first)] = digit & 0xff;
    }
    return bytes;
}

static PyObject *
datetime_value(const Step *step, const unsigned char *data)
{
    uint64_t whole = big_number(data, 5), date;
    int64_t days, us;

    if (whole < 0x8000000000)
        return NULL;
    whole -= 0x8000000000;
    date = whole >> 17;
    if (!days_of((unsigned)(date >> 5) / 13, (unsigned)(date >> 5) % 13, date & 31, &days))
        return NULL;
    us = (int64_t)((whole >> 12 & 31) * 3600 + (whole >> 6 & 63) * 60 + (whole & 63)) * 1000000;
    us += (int64_t)big_number(data + 5, step->arg) * FRACTION_US[step->arg];
    return big_endian((uint64_t)(days * DAY_US + us), 8, 0);
}

static PyObject *
instant_value(const Step *step, const unsigned char *data)
{
    uint64_t seconds = big_number(data, 4);
    int64_t us;

    if (!seconds)
        return NULL;
    us = (int64_t)seconds * 1000000;
    us += (int64_t)big_number(data + 4, step->arg) * FRACTION_US[step->arg];
    return big_endian((uint64_t)(us - UNIX_TO_2000_US), 8, 0);
}

static PyObject *
date_value(const unsigned char *data)
{
    uint64_t packed = little_number(data, 3);
    int64_t days;

    if (!days_of((unsigned)(packed >> 9), packed >> 5 & 15, packed & 31, &days))
        return NULL;
    return big_endian((uint64_t)days, 4, 0);
}

static PyObject *
duration_value(const Step *step, const unsigned char *data)
{
    int bits = 8 * step->arg;
    int64_t number = (int64_t)big_number(data, 3 + step->arg) - ((int64_t)0x800000 << bits);
    int64_t size = number < 0 ? -number : number, whole = size >> bits, us;

    us = (((whole >> 12 & 1023) * 60 + (whole >> 6 & 63)) * 60 + (whole & 63)) * 1000000;
    us += (size & (((int64_t)1 << bits) - 1)) * FRACTION_US[step->arg];
    return big_endian((uint64_t)(number < 0 ? -us : us), 8, 8);
}

static PyObject *
decimal_text(const Step *step, const unsigned char *packed, Py_ssize_t size)
{
    int scale = step->arg, whole = step->more - scale, first = 0, digit = 0;
    unsigned char digits[DECIMAL_DIGITS_MAX] = {0};
    char text[DECIMAL_DIGITS_MAX + 4], *at = text;

    if (!decimal_digits(step, packed, size, digits))
        return NULL;
    while (first < whole && !digits[first])
        first++;
    for (int i = first; i < step->more; i++)
        digit |= digits[i];
    if (digit && !(packed[0] & 0x80))
        *at++ = '-';
    if (first == whole)
        *at++ = '0';
    for (int i = first; i < step->more; i++) {
        if (i == whole)
            *at++ = '.';
        *at++ = (char)('0' + digits[i]);
    }
    return PyBytes_FromStringAndSize(text, at - text);
}

/* A number of at least `width` digits, to `at`; gives the place behind it. */
static char *
put_number(char *at, unsigned value, int width)
{
    char digits[10];
    int count = 0;

    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value || count < width);
    while (count)
        *at++ = digits[--count];
    return at;
}

static char *
put_date(char *at, unsigned year, unsigned month, unsigned day)
{
    at = put_number(at, year, 4);
    *at++ = '-';
    at = put_number(at, month, 2);
    *at++ = '-';
    return put_number(at, day, 2);
}

/* hh:mm:ss and as many digits of a fraction as the step tells; NULL for what is no time of day. */
static char *
put_clock(char *at, const Step *step, unsigned hours, unsigned minutes, unsigned seconds,
          uint64_t fraction)
{
    uint64_t us = fraction * (uint64_t)FRACTION_US[step->arg];
    char digits[10];

    if (minutes > 59 || seconds > 59 || (step->arg && us > 999999))
        return NULL;
    at = put_number(at, hours, 2);
    *at++ = ':';
    at = put_number(at, minutes, 2);
    *at++ = ':';
    at = put_number(at, seconds, 2);
    if (step->more) {
        *at++ = '.';
        put_number(digits, (unsigned)us, 6);
        memcpy(at, digits, step->more);
        at += step->more;
    }
    return at;
}

static PyObject *
datetime_text(const Step *step, const unsigned char *data)
{
    uint64_t whole = big_number(data, 5);
    unsigned month, hours = whole >> 12 & 31;
    char text[40], *at;

    if (whole < 0x8000000000)
        return NULL;
    month = (unsigned)((whole - 0x8000000000) >> 22);
    if (month / 13 > 9999 || hours > 23)
        return NULL;
    at = put_date(text, month / 13, month % 13, whole >> 17 & 31);
    *at++ = ' ';
    at = put_clock(at, step, hours, whole >> 6 & 63, whole & 63,
                   big_number(data + 5, step->arg));
    return at == NULL ? NULL : PyBytes_FromStringAndSize(text, at - text);
}

static PyObject *
instant_text(const Step *step, const unsigned char *data)
{
    uint64_t seconds = big_number(data, 4);
    unsigned of_day = seconds % 86400, z, era, of_era, year, of_year, month;
    char text[40], *at;

    if (!seconds)
        return NULL;
    z = (unsigned)(seconds / 86400) + 719468; /* days since 0000-03-01 */
    era = z / 146097;
    of_era = z % 146097;
    year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    of_year = of_era - (365 * year + year / 4 - year / 100);
    month = (5 * of_year + 2) / 153;
    year += era * 400 + (month > 9);
    at = put_date(text, year, month < 10 ? month + 3 : month - 9,
                  of_year - (153 * month + 2) / 5 + 1);
    *at++ = ' ';
    at = put_clock(at, step, of_day / 3600, of_day / 60 % 60, of_day % 60,
                   big_number(data + 4, step->arg));
    return at == NULL ? NULL : PyBytes_FromStringAndSize(text, at - text);
}

static PyObject *
date_text(const unsigned char *data)
{
    unsigned packed = (unsigned)little_number(data, 3);
    char text[16], *at;

    if (packed >> 9 > 9999)
        return NULL;
    at = put_date(text, packed >> 9, packed >> 5 & 15, packed & 31);
    return PyBytes_FromStringAndSize(text, at - text);
}

static PyObject *
duration_text(const Step *step, const unsigned char *data)
{
    int bits = 8 * step->arg;
    int64_t number = (int64_t)big_number(data, 3 + step->arg) - ((int64_t)0x800000 << bits);
    uint64_t size = (uint64_t)(number < 0 ? -number : number), whole = size >> bits & 0x3fffff;
    uint64_t fraction = size & (((uint64_t)1 << bits) - 1);
    char text[40], *at = text;

    if (number < 0 && (whole || fraction))
        *at++ = '-';
    at = put_clock(at, step, whole >> 12, whole >> 6 & 63, whole & 63, fraction);
    return at == NULL ? NULL : PyBytes_FromStringAndSize(text, at - text);
}

static int
is_ascii(const unsigned char *data, Py_ssize_t size)
{
    unsigned char every = 0;
    for (Py_ssize_t i = 0; i < size; i++)
        every |= data[i];
    return every < 0x80;
}

static PyObject *
column_value(LogReader *self, const Step *step, const unsigned char *data, Py_ssize_t size)
{
    PyObject *value = NULL, *bytes;

    switch (step->op) {
    case TEXT:
        if (!is_ascii(data, size))
            break;
        /* fall through */
    case RAW:
        return PyBytes_FromStringAndSize((const char *)data, size);
    case REVERSED:
    case EXTENDED:
        value = reversed_value(step, data, size);
        break;
    case NUMBER:
        value = number_value(step, data, size);
        break;
    case DECIMAL:
        value = decimal_value(step, data, size);
        break;
    case DATETIME:
        value = datetime_value(step, data);
        break;
    case INSTANT:
        value = instant_value(step, data);
        break;
    case DATE:
        value = date_value(data);
        break;
    case DURATION:
        value = duration_value(step, data);
        break;
    case DECIMAL_TEXT:
        value = decimal_text(step, data, size);
        break;
    case DATETIME_TEXT:
        value = datetime_text(step, data);
        break;
    case INSTANT_TEXT:
        value = instant_text(step, data);
        break;
    case DATE_TEXT:
        value = date_text(data);
        break;
    case DURATION_TEXT:
        value = duration_text(step, data);
        break;
    }
    if (value != NULL || PyErr_Occurred())
        return value;
    if ((bytes = PyBytes_FromStringAndSize((const char *)data, size)) == NULL)
        return NULL;
    value = PyObject_CallOneArg(PyTuple_GET_ITEM(self->converts, step->column), bytes);
    Py_DECREF(bytes);
    return value;
}

/* Reads one image into `values`. 0: not as expected, or an exception. */
static int
read_image(LogReader *self, const Step *steps, Py_ssize_t count, const unsigned char *data,
           Py_ssize_t *position, Py_ssize_t end, PyObject **values)
{
    const unsigned char *nulls = data + *position;
    Py_ssize_t at = *position + (count + 7) / 8;

    if (at > end)
        return 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        const Step *step = steps + i;
        Py_ssize_t size = step->width;
        PyObject *value;

        if (nulls[i >> 3] >> (i & 7) & 1) {
            Py_XSETREF(values[step->column], Py_NewRef(Py_None));
            continue;
        }
        if (!size) {
            if (step->prefix > end - at)
                return 0;
            size = (Py_ssize_t)little_number(data + at, step->prefix);
            at += step->prefix;
        }
        if (size > end - at)
            return 0;
        if (step->wanted) {
            if ((value = column_value(self, step, data + at, size)) == NULL)
                return 0;
            Py_XSETREF(values[step->column], value);
        }
        at += size;
    }
    *position = at;
    return 1;
}

/* A row out of the values of both images. NULL without an exception: not as expected. */
static PyObject *
log_row(LogReader *self, const Slot *slots, Py_ssize_t width, PyObject **values)
{
    PyObject *row = PyTuple_New(width);

    if (row == NULL)
        return NULL;
    for (Py_ssize_t i = 0; i < width; i++) {
        Py_ssize_t place = slots[i].column + (slots[i].from == NEW_SLOT ? self->columns : 0);
        PyObject *value = slots[i].from == UNCHANGED_SLOT ? self->unchanged : values[place];
        if (value == NULL) {
            Py_DECREF(row);
            return NULL;
        }
        PyTuple_SET_ITEM(row, i, Py_NewRef(value));
    }
    return row;
}

/* Whether the key is the same in both images; -1: not as expected, or an exception. */
static int
same_key(LogReader *self, PyObject **values)
{
    for (Py_ssize_t i = 0; i < self->key_count; i++) {
        PyObject *was = values[self->key[i].column];
        PyObject *is = values[self->key[i].column + self->columns];
        int same = was == NULL || is == NULL ? -1 : PyObject_RichCompareBool(was, is, Py_EQ);
        if (same != 1)
            return same;
    }
    return 1;
}

static PyObject *
log_change(LogReader *self, PyObject *relation, PyObject **values, int told)
{
    PyObject *new_row = NULL, *old_row = NULL;

    if (self->new_width >= 0
        && (new_row = log_row(self, self->new_slots, self->new_width, values)) == NULL)
        return NULL;
    if (self->old_width >= 0 && told
        && (old_row = log_row(self, self->old_slots, self->old_width, values)) == NULL) {
        Py_XDECREF(new_row);
        return NULL;
    }
    return make_change(self->type, self->operation, relation, new_row, old_row);
}

/* One change from `*position` on. NULL without an exception: not as expected. */
static PyObject *
read_log_change(LogReader *self, const unsigned char *data, Py_ssize_t *position, Py_ssize_t end,
                PyObject *relation, PyObject **values)
{
    int told = 1;

    if (self->old_count
        && !read_image(self, self->old_steps, self->old_count, data, position, end, values))
        return NULL;
    if (self->new_count
        && !read_image(self, self->new_steps, self->new_count, data, position, end,
                       values + self->columns))
        return NULL;
    if (self->key != NULL) {
        int same = same_key(self, values);
        if (same < 0)
            return NULL;
        told = !same;
    }
    return log_change(self, relation, values, told);
}

static PyObject *
log_reader_call(LogReader *self, PyObject *args, PyObject *kwargs)
{
    PyObject *message, *relation, *found = NULL, *change, **values;
    const unsigned char *data;
    Py_ssize_t at, end;

    if (!PyArg_ParseTuple(args, "O!nnO", &PyBytes_Type, &message, &at, &end, &relation))
        return NULL;
    if (at < 0 || end < at || end > PyBytes_GET_SIZE(message))
        return PyObject_Call(self->plain, args, NULL);
    data = (const unsigned char *)PyBytes_AS_STRING(message);
    if ((values = PyMem_Calloc(2 * self->columns, sizeof *values)) == NULL)
        return PyErr_NoMemory();
    if ((found = PyList_New(0)) == NULL)
        goto done;
    while (at < end) {
        change = read_log_change(self, data, &at, end, relation, values);
        if (change == NULL || PyList_Append(found, change) < 0) {
            Py_XDECREF(change);
            Py_CLEAR(found);
            break;
        }
        Py_DECREF(change);
    }
done:
    for (Py_ssize_t i = 0; i < 2 * self->columns; i++)
        Py_XDECREF(values[i]);
    PyMem_Free(values);
    if (found == NULL && !PyErr_Occurred())
        return PyObject_Call(self->plain, args, NULL);
    return found;
}

/* Whether an operation fits the bytes that it is given. */
static int
sound_step(const Step *step, PyObject *converts)
{
    int whole = step->more - step->arg, need = -1;

    switch (step->op) {
    case REVERSED:
    case EXTENDED:
    case NUMBER:
        return step->width >= 1 && step->width <= 8 && step->arg <= 8;
    case DECIMAL:
    case DECIMAL_TEXT:
        if (step->arg > step->more || step->more < 1 || step->more > DECIMAL_DIGITS_MAX)
            return 0;
        need = whole / 9 * 4 + DECIMAL_BYTES[whole % 9] + step->arg / 9 * 4
               + DECIMAL_BYTES[step->arg % 9];
        break;
    case DATETIME:
    case DATETIME_TEXT:
        need = 5 + step->arg;
        break;
    case INSTANT:
    case INSTANT_TEXT:
        need = 4 + step->arg;
        break;
    case DURATION:
    case DURATION_TEXT:
        need = 3 + step->arg;
        break;
    case DATE:
    case DATE_TEXT:
        need = 3;
        break;
    default:
        return step->op < OPS
               && (step->op == RAW
                   || PyTuple_GET_ITEM(converts, step->column) != Py_None || !step->wanted);
    }
    if (step->op != DECIMAL && step->op != DECIMAL_TEXT
        && (step->arg > 3 || step->more > 2 * step->arg))
        return 0;
    return step->width == need && PyTuple_GET_ITEM(converts, step->column) != Py_None;
}

static Step *
parse_steps(PyObject *packed, PyObject *converts, Py_ssize_t *count)
{
    Py_ssize_t columns = PyTuple_GET_SIZE(converts);
    const unsigned char *at = (const unsigned char *)PyBytes_AS_STRING(packed);
    Step *steps;

    *count = PyBytes_GET_SIZE(packed) / STEP_BYTES;
    if (PyBytes_GET_SIZE(packed) % STEP_BYTES)
        return NULL;
    if ((steps = PyMem_Calloc(*count + 1, sizeof *steps)) == NULL)
        return NULL;
    for (Py_ssize_t i = 0; i < *count; i++, at += STEP_BYTES) {
        Step step = {at[0], at[1], at[2], at[3], at[4], at[5], (uint16_t)(at[6] | at[7] << 8)};
        if (step.column >= columns || (!step.width && (step.prefix < 1 || step.prefix > 4))
            || !sound_step(&step, converts)) {
            PyMem_Free(steps);
            return NULL;
        }
        steps[i] = step;
    }
    return steps;
}

static Slot *
parse_slots(PyObject *packed, Py_ssize_t columns, Py_ssize_t *count)
{
    const unsigned char *at = (const unsigned char *)PyBytes_AS_STRING(packed);
    Slot *slots;

    *count = PyBytes_GET_SIZE(packed) / SLOT_BYTES;
    if (PyBytes_GET_SIZE(packed) % SLOT_BYTES)
        return NULL;
    if ((slots = PyMem_Calloc(*count + 1, sizeof *slots)) == NULL)
        return NULL;
    for (Py_ssize_t i = 0; i < *count; i++, at += SLOT_BYTES) {
        slots[i].from = at[0];
        slots[i].column = (uint16_t)(at[1] | at[2] << 8);
        if (slots[i].from > NEW_SLOT || slots[i].column >= columns) {
            PyMem_Free(slots);
            return NULL;
        }
    }
    return slots;
}

static PyObject *
log_reader_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *plain, *change, *unchanged, *operation, *converts, *old_steps, *new_steps;
    PyObject *old_slots, *new_slots, *key;
    LogReader *self;

    if (!PyArg_ParseTuple(args, "OO!OO!O!O!O!OOO", &plain, &PyType_Type, &change, &unchanged,
                          &PyLong_Type, &operation, &PyTuple_Type, &converts, &PyBytes_Type,
                          &old_steps, &PyBytes_Type, &new_steps, &old_slots, &new_slots, &key))
        return NULL;
    if ((self = (LogReader *)type->tp_alloc(type, 0)) == NULL)
        return NULL;
    self->plain = Py_NewRef(plain);
    self->type = (PyTypeObject *)Py_NewRef(change);
    self->unchanged = Py_NewRef(unchanged);
    self->operation = Py_NewRef(operation);
    self->converts = Py_NewRef(converts);
    self->columns = PyTuple_GET_SIZE(converts);
    self->old_width = self->new_width = -1;
    if (!PyType_IsSubtype((PyTypeObject *)change, &PyTuple_Type) || !self->columns
        || (self->old_steps = parse_steps(old_steps, converts, &self->old_count)) == NULL
        || (self->new_steps = parse_steps(new_steps, converts, &self->new_count)) == NULL
        || !(self->old_count + self->new_count)
        || (PyBytes_Check(old_slots)
            && (self->old_slots = parse_slots(old_slots, self->columns, &self->old_width)) == NULL)
        || (PyBytes_Check(new_slots)
            && (self->new_slots = parse_slots(new_slots, self->columns, &self->new_width)) == NULL)
        || (PyBytes_Check(key)
            && (self->key = parse_slots(key, self->columns, &self->key_count)) == NULL)) {
        Py_DECREF(self);
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "LogReader: arguments that do not fit together");
        return NULL;
    }
    return (PyObject *)self;
}

static int
log_reader_traverse(LogReader *self, visitproc visit, void *arg)
{
    Py_VISIT(self->plain);
    Py_VISIT(self->type);
    Py_VISIT(self->unchanged);
    Py_VISIT(self->converts);
    return 0;
}

static int
log_reader_clear(LogReader *self)
{
    Py_CLEAR(self->plain);
    Py_CLEAR(self->type);
    Py_CLEAR(self->unchanged);
    Py_CLEAR(self->operation);
    Py_CLEAR(self->converts);
    return 0;
}

static void
log_reader_dealloc(LogReader *self)
{
    PyObject_GC_UnTrack(self);
    log_reader_clear(self);
    PyMem_Free(self->old_steps);
    PyMem_Free(self->new_steps);
    PyMem_Free(self->old_slots);
    PyMem_Free(self->new_slots);
    PyMem_Free(self->key);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyTypeObject LogReaderType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "connectors._interchange._accelerated.LogReader",
    .tp_doc = "LogReader(plain, Change, UNCHANGED, operation, converts, old_steps, new_steps, "
              "old_slots, new_slots, key): from (data, at, end, relation) to a list of changes.",
    .tp_basicsize = sizeof(LogReader),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = log_reader_new,
    .tp_call = (ternaryfunc)log_reader_call,
    .tp_traverse = (traverseproc)log_reader_traverse,
    .tp_clear = (inquiry)log_reader_clear,
    .tp_dealloc = (destructor)log_reader_dealloc,
};

/* --- write_lines: rows of MySQL's text protocol to lines of COPY or LOAD DATA --------------------- */

enum { PLAIN_FIELD, ESCAPED_FIELD, ESCAPED_NUL_FIELD, HEX_FIELD, DATE_FIELD, DATETIME_FIELD,
       TIMESTAMP_FIELD, CHECKED_FIELD, FIELD_KINDS };

enum { PACKET_HEAD = 4, PACKET_FULL = 0xffffff, NO_VALUE = 0xfb, FIELD_ROOM = 8 };

/* What stands behind a backslash for a byte; 0 for one that stands for itself. */
static char
escape_of(unsigned char byte, int kind)
{
    switch (byte) {
    case '\\': return '\\';
    case '\t': return 't';
    case '\n': return 'n';
    case '\r': return 'r';
    case '\0': return kind == ESCAPED_NUL_FIELD ? '0' : 0;
    }
    return 0;
}

static unsigned char *
write_escaped(unsigned char *out, const unsigned char *value, Py_ssize_t size, int kind)
{
    for (Py_ssize_t i = 0; i < size; i++) {
        char escape = value[i] < ' ' || value[i] == '\\' ? escape_of(value[i], kind) : 0;
        if (escape) {
            *out++ = '\\';
            *out++ = escape;
        } else {
            *out++ = value[i];
        }
    }
    return out;
}

static unsigned char *
write_hex(unsigned char *out, const unsigned char *value, Py_ssize_t size)
{
    static const char digits[] = "0123456789ABCDEF";

    memcpy(out, "\\\\x", 3);
    out += 3;
    for (Py_ssize_t i = 0; i < size; i++) {
        *out++ = digits[value[i] >> 4];
        *out++ = digits[value[i] & 15];
    }
    return out;
}

static unsigned
decimal_number(const unsigned char *text, int count, int *sound)
{
    unsigned value = 0;

    for (int i = 0; i < count; i++) {
        *sound &= text[i] >= '0' && text[i] <= '9';
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

/* Whether a text begins with a day of a year from 1 on that is one in every year. */
static int
is_usual_date(const unsigned char *text, Py_ssize_t size)
{
    static const unsigned char last[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int sound = 1;
    unsigned year, month, day;

    if (size < 10)
        return 0;
    year = decimal_number(text, 4, &sound);
    month = decimal_number(text + 5, 2, &sound);
    day = decimal_number(text + 8, 2, &sound);
    return sound && year && month >= 1 && month <= 12 && day >= 1 && day <= last[month - 1];
}

/* Writes a value, of which there is room for twice its size and FIELD_ROOM. NULL: not as expected. */
static unsigned char *
write_field(unsigned char *out, int kind, const unsigned char *value, Py_ssize_t size)
{
    switch (kind) {
    case CHECKED_FIELD:
        if (size == 1 && value[0] == 0xfe)
            return NULL;
        /* fall through */
    case ESCAPED_FIELD:
    case ESCAPED_NUL_FIELD:
        return write_escaped(out, value, size, kind);
    case HEX_FIELD:
        return write_hex(out, value, size);
    case DATE_FIELD:
    case DATETIME_FIELD:
    case TIMESTAMP_FIELD:
        if (!is_usual_date(value, size))
            return NULL;
        break;
    }
    memcpy(out, value, size);
    out += size;
    if (kind == TIMESTAMP_FIELD) {
        memcpy(out, "+00", 3);
        out += 3;
    }
    return out;
}

/* The length of a value and where it begins; -1: not as expected, -2: there is none. */
static Py_ssize_t
value_size(const unsigned char **at, const unsigned char *end)
{
    Py_ssize_t bytes, size;

    if (*at >= end)
        return -1;
    size = *(*at)++;
    if (size < NO_VALUE)
        return size <= end - *at ? size : -1;
    if (size == NO_VALUE)
        return -2;
    bytes = size == 0xfc ? 2 : size == 0xfd ? 3 : 8;
    if (bytes == 8 || bytes > end - *at)
        return -1;
    size = (Py_ssize_t)little_number(*at, bytes);
    *at += bytes;
    return size <= end - *at ? size : -1;
}

/* Writes the line of a row; NULL: not as expected. */
static unsigned char *
write_line(unsigned char *out, const unsigned char *kinds, Py_ssize_t count,
           const unsigned char *at, const unsigned char *end)
{
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_ssize_t size = value_size(&at, end);
        if (size == -1)
            return NULL;
        if (i)
            *out++ = '\t';
        if (size == -2) {
            *out++ = '\\';
            *out++ = 'N';
        } else {
            if ((out = write_field(out, kinds[i], at, size)) == NULL)
                return NULL;
            at += size;
        }
    }
    if (at != end)
        return NULL;
    *out++ = '\n';
    return out;
}

static PyObject *
write_lines(PyObject *module, PyObject *args)
{
    PyObject *kinds, *buffer, *lines, *written;
    const unsigned char *data, *end;
    Py_ssize_t at, count, room = 0, used = 0;

    if (!PyArg_ParseTuple(args, "O!O!nO!", &PyBytes_Type, &kinds, &PyBytes_Type, &buffer, &at,
                          &PyList_Type, &lines))
        return NULL;
    count = PyBytes_GET_SIZE(kinds);
    for (Py_ssize_t i = 0; i < count; i++)
        if ((unsigned char)PyBytes_AS_STRING(kinds)[i] >= FIELD_KINDS)
            at = -1;
    if (!count || at < 0 || at > PyBytes_GET_SIZE(buffer)) {
        PyErr_SetString(PyExc_ValueError, "write_lines: arguments that do not fit together");
        return NULL;
    }
    data = (const unsigned char *)PyBytes_AS_STRING(buffer) + at;
    end = (const unsigned char *)PyBytes_AS_STRING(buffer) + PyBytes_GET_SIZE(buffer);
    room = end - data + (end - data) / 2;
    if ((written = PyBytes_FromStringAndSize(NULL, room)) == NULL)
        return NULL;
    while (end - data > PACKET_HEAD) {
        Py_ssize_t size = (Py_ssize_t)little_number(data, 3), need;
        unsigned char *from, *to;
        if (size == PACKET_FULL || size > end - data - PACKET_HEAD || !size
            || data[PACKET_HEAD] > 0xfd)
            break;
        need = used + 2 * size + FIELD_ROOM * count + 1;
        if (need > room) {
            room = need + room / 2;
            if (_PyBytes_Resize(&written, room) < 0)
                return NULL;
        }
        from = (unsigned char *)PyBytes_AS_STRING(written) + used;
        to = write_line(from, (const unsigned char *)PyBytes_AS_STRING(kinds), count,
                        data + PACKET_HEAD, data + PACKET_HEAD + size);
        if (to == NULL)
            break;
        used += to - from;
        data += PACKET_HEAD + size;
    }
    if (_PyBytes_Resize(&written, used) < 0)
        return NULL;
    if (used && PyList_Append(lines, written) < 0) {
        Py_DECREF(written);
        return NULL;
    }
    Py_DECREF(written);
    return PyLong_FromSsize_t((const char *)data - PyBytes_AS_STRING(buffer));
}

/* --- sum_values: the bytes of rows and the sum of their values' checksums ------------------------ */

static uint32_t crc_table[256];

static void
fill_crc_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t value = i;
        for (int bit = 0; bit < 8; bit++)
            value = value >> 1 ^ (value & 1 ? 0xedb88320 : 0);
        crc_table[i] = value;
    }
}

static uint32_t
checksum_of(const unsigned char *data, Py_ssize_t size)
{
    uint32_t value = 0xffffffff;
    for (Py_ssize_t i = 0; i < size; i++)
        value = value >> 8 ^ crc_table[(value ^ data[i]) & 0xff];
    return ~value;
}

static PyObject *
sum_values(PyObject *module, PyObject *args)
{
    PyObject *given, *rows;
    Py_ssize_t total = 0;
    uint64_t checksum = 0;

    if (!PyArg_ParseTuple(args, "O", &given))
        return NULL;
    if ((rows = PySequence_Fast(given, "rows are a sequence")) == NULL)
        return NULL;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(rows); i++) {
        PyObject *row = PySequence_Fast_GET_ITEM(rows, i);
        if (!PyTuple_Check(row)) {
            Py_DECREF(rows);
            PyErr_SetString(PyExc_TypeError, "a row is a tuple");
            return NULL;
        }
        for (Py_ssize_t j = 0; j < PyTuple_GET_SIZE(row); j++) {
            PyObject *value = PyTuple_GET_ITEM(row, j);
            if (!PyBytes_CheckExact(value))
                continue;
            total += PyBytes_GET_SIZE(value);
            checksum += checksum_of((const unsigned char *)PyBytes_AS_STRING(value),
                                    PyBytes_GET_SIZE(value));
        }
    }
    Py_DECREF(rows);
    return Py_BuildValue("nK", total, (unsigned long long)checksum);
}

/* --- write_texts: rows as SQL constants, or as lines of LOAD DATA ------------------------------- */

enum { CALLED, BARE, QUOTED, BINARY, FIELD, CONSTANTS };

typedef struct {
    PyObject *bytes; /* what is written; longer than `size` */
    Py_ssize_t size;
} Text;

/* Room for so many bytes behind what is written; NULL with an exception. */
static char *
make_room(Text *text, Py_ssize_t wanted)
{
    Py_ssize_t room = PyBytes_GET_SIZE(text->bytes);

    if (text->size + wanted > room
        && _PyBytes_Resize(&text->bytes, (text->size + wanted) * 2) < 0)
        return NULL;
    return PyBytes_AS_STRING(text->bytes) + text->size;
}

static int
append(Text *text, const char *data, Py_ssize_t size)
{
    char *at = make_room(text, size);

    if (at == NULL)
        return 0;
    memcpy(at, data, size);
    text->size += size;
    return 1;
}

/* [+-]? digits [. digits] or . digits, then [eE][+-]? digits */
static int
is_number(const char *at, Py_ssize_t size)
{
    const char *end = at + size;
    Py_ssize_t digits = 0;

    if (at < end && (*at == '+' || *at == '-'))
        at++;
    for (; at < end && *at >= '0' && *at <= '9'; at++)
        digits++;
    if (at < end && *at == '.')
        for (at++; at < end && *at >= '0' && *at <= '9'; at++)
            digits++;
    if (!digits)
        return 0;
    if (at < end && (*at == 'e' || *at == 'E')) {
        if (++at < end && (*at == '+' || *at == '-'))
            at++;
        if (at == end)
            return 0;
        while (at < end && *at >= '0' && *at <= '9')
            at++;
    }
    return at == end;
}

/* A quote and a backslash are doubled. */
static int
append_quoted(Text *text, const char *data, Py_ssize_t size, int binary)
{
    char *start = make_room(text, 2 * size + 9), *at = start;

    if (at == NULL)
        return 0;
    if (binary) {
        memcpy(at, "_binary", 7);
        at += 7;
    }
    *at++ = '\'';
    for (Py_ssize_t i = 0; i < size; i++) {
        if (data[i] == '\'' || data[i] == '\\')
            *at++ = data[i];
        *at++ = data[i];
    }
    *at++ = '\'';
    text->size += at - start;
    return 1;
}

static int
append_field(Text *text, const char *data, Py_ssize_t size)
{
    char *start = make_room(text, 2 * size), *at = start;

    if (at == NULL)
        return 0;
    for (Py_ssize_t i = 0; i < size; i++) {
        char c = data[i];
        if (c == '\\' || c == '\t' || c == '\n') {
            *at++ = '\\';
            c = c == '\t' ? 't' : c == '\n' ? 'n' : c;
        }
        *at++ = c;
    }
    text->size += at - start;
    return 1;
}

/* 1: written; 0: an exception; -1: not as expected. */
static int
append_value(Text *text, int kind, PyObject *value, PyObject *encode)
{
    const char *data;
    Py_ssize_t size;
    PyObject *constant;
    int done;

    if (value == Py_None)
        return kind == FIELD ? append(text, "\\N", 2) : append(text, "NULL", 4);
    if (!PyBytes_Check(value))
        return -1;
    data = PyBytes_AS_STRING(value);
    size = PyBytes_GET_SIZE(value);
    switch (kind) {
    case BARE: /* -0 is written otherwise, and what is no number is the function's to refuse */
        if (is_number(data, size) && !(size == 2 && !memcmp(data, "-0", 2)))
            return append(text, data, size);
        break;
    case QUOTED:
    case BINARY:
        return append_quoted(text, data, size, kind == BINARY);
    case FIELD:
        return append_field(text, data, size);
    }
    if ((constant = PyObject_CallOneArg(encode, value)) == NULL)
        return 0;
    done = !PyBytes_Check(constant)
               ? -1
               : append(text, PyBytes_AS_STRING(constant), PyBytes_GET_SIZE(constant));
    Py_DECREF(constant);
    return done;
}

/* One row behind what is written; as `append_value`. */
static int
append_texts(Text *text, PyObject *row, const unsigned char *kinds, const Py_ssize_t *columns,
             PyObject *encodes, Py_ssize_t count, int lines)
{
    if (!lines && !append(text, "(", 1))
        return 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *value = PyTuple_GET_ITEM(row, columns[i]);
        int done;
        if (i && !append(text, lines ? "\t" : ",", 1))
            return 0;
        if ((done = append_value(text, kinds[i], value, PyTuple_GET_ITEM(encodes, i))) != 1)
            return done;
    }
    return append(text, lines ? "\n" : ")", 1);
}

static PyObject *
write_texts(PyObject *module, PyObject *args)
{
    PyObject *kinds, *indexes, *encodes, *rows, *found = NULL;
    Py_ssize_t start, width, bytes_max, rows_max, count, at;
    Py_ssize_t *columns;
    const unsigned char *kind;
    Text text = {NULL, 0};
    int lines, done = 1;

    if (!PyArg_ParseTuple(args, "pO!O!O!nO!nnn", &lines, &PyBytes_Type, &kinds, &PyTuple_Type,
                          &indexes, &PyTuple_Type, &encodes, &width, &PyList_Type, &rows, &start,
                          &bytes_max, &rows_max))
        return NULL;
    count = PyTuple_GET_SIZE(indexes);
    kind = (const unsigned char *)PyBytes_AS_STRING(kinds);
    for (Py_ssize_t i = 0; i < PyBytes_GET_SIZE(kinds); i++)
        done &= kind[i] < CONSTANTS && (kind[i] == FIELD) == lines;
    if (!done || PyBytes_GET_SIZE(kinds) != count || PyTuple_GET_SIZE(encodes) != count
        || start < 0) {
        PyErr_SetString(PyExc_ValueError, "write_texts: arguments that do not fit together");
        return NULL;
    }
    if ((columns = column_places(indexes, width)) == NULL)
        return NULL;
    if ((text.bytes = PyBytes_FromStringAndSize(NULL, 4096)) == NULL)
        goto done;
    for (at = start; at < PyList_GET_SIZE(rows) && at - start < rows_max; at++) {
        PyObject *row = PyList_GET_ITEM(rows, at);
        Py_ssize_t before = text.size;
        if (!PyTuple_Check(row) || PyTuple_GET_SIZE(row) != width) {
            done = -1;
            goto done;
        }
        Py_INCREF(row);
        done = lines || at == start ? 1 : append(&text, ",", 1);
        if (done == 1)
            done = append_texts(&text, row, kind, columns, encodes, count, lines);
        Py_DECREF(row);
        if (done != 1)
            goto done;
        if (before && text.size > bytes_max) {
            text.size = before;
            break;
        }
    }
    if (_PyBytes_Resize(&text.bytes, text.size) == 0)
        found = Py_BuildValue("On", text.bytes, at);
done:
    PyMem_Free(columns);
    Py_XDECREF(text.bytes);
    if (done == -1 && !PyErr_Occurred())
        Py_RETURN_NONE;
    return found;
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
    {"write_lines", write_lines, METH_VARARGS,
     "write_lines(kinds, buffer, at, lines): append the lines of the rows in whole packets from "
     "`at` on, up to one that is not as expected; gives where that begins."},
    {"sum_values", sum_values, METH_VARARGS,
     "sum_values(rows): the bytes of their values, and the sum of every value's CRC-32."},
    {"write_texts", write_texts, METH_VARARGS,
     "write_texts(lines, kinds, indexes, encodes, width, rows, start, bytes_max, rows_max): rows "
     "from `start` on as SQL constants or as lines of LOAD DATA, and where the next piece starts; "
     "None when a value is not as expected."},
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

    fill_crc_table();
    if (PyType_Ready(&RowReaderType) < 0 || PyType_Ready(&LogReaderType) < 0
        || (module = PyModule_Create(&definition)) == NULL)
        return NULL;
    if (PyModule_AddObjectRef(module, "RowReader", (PyObject *)&RowReaderType) < 0
        || PyModule_AddObjectRef(module, "LogReader", (PyObject *)&LogReaderType) < 0
        || PyModule_AddIntConstant(module, "REVISION", REVISION) < 0) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}
