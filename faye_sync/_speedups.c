/* What costs most of a message's time, in C: masks, frames, and whole messages.
 *
 * Optional: each function has a namesake in driver/ in Python that gives the same results, octet
 * for octet, and stands in where this was not compiled. Nothing here keeps a state, and nothing
 * makes a system call, so the GIL is held throughout. Only the stable ABI is used. RFC 6455 5. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

#define KEY_SIZE 4
#define MASK_BIT 0x80
#define WHOLE_TEXT 0x81
#define WHOLE_BINARY 0x82
#define LONGEST_HEADER (10 + KEY_SIZE)

/* Text of up to so many octets is unmasked on the stack. */
#define SMALL 4096

/* The headers name it from Python 3.13 on. */
typedef PyObject *(*fast_function)(PyObject *, PyObject *const *, Py_ssize_t);

/* Eight octets at a time: the compiler makes vectors of it, and memcpy() minds no alignment. */
static void
xor_into(unsigned char *target, const unsigned char *source, Py_ssize_t size,
         const unsigned char *key, Py_ssize_t offset)
{
    unsigned char keys[8];
    uint64_t word, mask;
    Py_ssize_t i;

    for (i = 0; i < 8; i++)
        keys[i] = key[(offset + i) & 3];
    memcpy(&mask, keys, 8);
    for (i = 0; i + 8 <= size; i += 8) {
        memcpy(&word, source + i, 8);
        word ^= mask;
        memcpy(target + i, &word, 8);
    }
    for (; i < size; i++)
        target[i] = source[i] ^ keys[i & 7];
}

static int
check_count(const char *name, Py_ssize_t count, Py_ssize_t least, Py_ssize_t most)
{
    if (least <= count && count <= most)
        return 1;
    PyErr_Format(PyExc_TypeError, "%s() takes %zd to %zd arguments, got %zd", name, least, most,
                 count);
    return 0;
}

/* The octets of a key, or NULL and an error. */
static const unsigned char *
octets_of_key(PyObject *key)
{
    char *octets;
    Py_ssize_t size;

    if (PyBytes_AsStringAndSize(key, &octets, &size) < 0)
        return NULL;
    if (size == KEY_SIZE)
        return (const unsigned char *)octets;
    PyErr_Format(PyExc_ValueError, "a masking key has %d octets, got %zd", KEY_SIZE, size);
    return NULL;
}

static PyObject *
apply_mask(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    Py_ssize_t offset;
    const unsigned char *key;
    Py_buffer data;
    PyObject *masked;

    (void)module;
    if (!check_count("apply_mask", count, 2, 3) || (key = octets_of_key(arguments[1])) == NULL)
        return NULL;
    offset = count == 3 ? PyLong_AsSsize_t(arguments[2]) : 0;
    if (offset == -1 && PyErr_Occurred())
        return NULL;
    if (PyObject_GetBuffer(arguments[0], &data, PyBUF_SIMPLE) < 0)
        return NULL;
    masked = PyBytes_FromStringAndSize(NULL, data.len);
    if (masked != NULL)
        xor_into((unsigned char *)PyBytes_AsString(masked), data.buf, data.len, key, offset & 3);
    PyBuffer_Release(&data);
    return masked;
}

/* The octets of a bytearray, or NULL and an error. */
static unsigned char *
octets_of_array(PyObject *array, Py_ssize_t *size)
{
    if (!PyObject_TypeCheck(array, &PyByteArray_Type)) {
        PyErr_SetString(PyExc_TypeError, "only a bytearray can be changed");
        return NULL;
    }
    *size = PyByteArray_Size(array);
    return (unsigned char *)PyByteArray_AsString(array);
}

static PyObject *
mask_from(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    Py_ssize_t size, start, offset;
    const unsigned char *key;
    unsigned char *octets;

    (void)module;
    if (!check_count("mask_from", count, 4, 4) || (key = octets_of_key(arguments[2])) == NULL)
        return NULL;
    octets = octets_of_array(arguments[0], &size);
    start = PyLong_AsSsize_t(arguments[1]);
    offset = PyLong_AsSsize_t(arguments[3]);
    if (PyErr_Occurred())
        return NULL;
    if (start < 0 || start > size) {
        PyErr_Format(PyExc_ValueError, "start is 0 to %zd, got %zd", size, start);
        return NULL;
    }
    xor_into(octets + start, octets + start, size - start, key, offset & 3);
    Py_RETURN_NONE;
}

static PyObject *
extend(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    Py_ssize_t size, more;

    (void)module;
    if (!check_count("extend", count, 2, 2) || octets_of_array(arguments[0], &size) == NULL)
        return NULL;
    more = PyLong_AsSsize_t(arguments[1]);
    if (PyErr_Occurred())
        return NULL;
    if (more < 0 || more > PY_SSIZE_T_MAX - size)
        return PyErr_NoMemory();
    if (PyByteArray_Resize(arguments[0], size + more) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* Write a header, and return how many octets it has. */
static Py_ssize_t
put_header(unsigned char *target, long first, Py_ssize_t length, unsigned char mask_bit)
{
    uint64_t rest = (uint64_t)length;
    Py_ssize_t size = length < 126 ? 0 : length < 0x10000 ? 2 : 8;
    Py_ssize_t i;

    target[0] = (unsigned char)first;
    target[1] = mask_bit | (unsigned char)(size == 0 ? length : size == 2 ? 126 : 127);
    for (i = size; i > 0; i--, rest >>= 8)
        target[1 + i] = (unsigned char)rest;
    return 2 + size;
}

static PyObject *
frame_of(long first, const Py_buffer *payload, const unsigned char *key)
{
    unsigned char header[LONGEST_HEADER];
    Py_ssize_t size = put_header(header, first, payload->len, key == NULL ? 0 : MASK_BIT);
    unsigned char *octets;
    PyObject *frame;

    if (key != NULL) {
        memcpy(header + size, key, KEY_SIZE);
        size += KEY_SIZE;
    }
    if (payload->len > PY_SSIZE_T_MAX - size)
        return PyErr_NoMemory();
    frame = PyBytes_FromStringAndSize(NULL, size + payload->len);
    if (frame == NULL)
        return NULL;
    octets = (unsigned char *)PyBytes_AsString(frame);
    memcpy(octets, header, (size_t)size);
    if (key != NULL)
        xor_into(octets + size, payload->buf, payload->len, key, 0);
    else if (payload->len > 0)
        memcpy(octets + size, payload->buf, (size_t)payload->len);
    return frame;
}

static PyObject *
join_frame(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    long first;
    const unsigned char *key = NULL;
    Py_buffer payload;
    PyObject *frame;

    (void)module;
    if (!check_count("join_frame", count, 3, 3))
        return NULL;
    first = PyLong_AsLong(arguments[0]);
    if (first == -1 && PyErr_Occurred())
        return NULL;
    if (arguments[2] != Py_None && (key = octets_of_key(arguments[2])) == NULL)
        return NULL;
    if (PyObject_GetBuffer(arguments[1], &payload, PyBUF_SIMPLE) < 0)
        return NULL;
    frame = frame_of(first, &payload, key);
    PyBuffer_Release(&payload);
    return frame;
}

/* A frame that bears a whole message. */
typedef struct {
    int is_text;
    const unsigned char *key; /* NULL where it is not masked */
    const unsigned char *payload;
    Py_ssize_t length;
} whole_message;

/* Look for a whole message, and return how many octets its frame has; 0 where this is none, or is
 * for the slow path to judge. */
static Py_ssize_t
find_message(const unsigned char *octets, Py_ssize_t size, long mask_bit, uint64_t limit,
             whole_message *found)
{
    Py_ssize_t header = 2 + (mask_bit ? KEY_SIZE : 0);
    Py_ssize_t extra, i;
    uint64_t length, least;

    if (size < header || (octets[0] != WHOLE_TEXT && octets[0] != WHOLE_BINARY))
        return 0;
    if ((octets[1] & MASK_BIT) != mask_bit)
        return 0;
    length = octets[1] & ~MASK_BIT;
    extra = length < 126 ? 0 : length == 126 ? 2 : 8;
    if (extra > 0) {
        least = extra == 2 ? 126 : 0x10000;
        header += extra;
        if (size < header)
            return 0;
        for (i = 0, length = 0; i < extra; i++)
            length = length << 8 | octets[2 + i];
        if (length < least)
            return 0;
    }
    if (length > limit || length > (uint64_t)(size - header))
        return 0;
    found->is_text = octets[0] == WHOLE_TEXT;
    found->key = mask_bit ? octets + header - KEY_SIZE : NULL;
    found->payload = octets + header;
    found->length = (Py_ssize_t)length;
    return header + (Py_ssize_t)length;
}

static PyObject *
octets_of(const whole_message *message)
{
    PyObject *octets;

    if (message->key == NULL)
        return PyBytes_FromStringAndSize((const char *)message->payload, message->length);
    octets = PyBytes_FromStringAndSize(NULL, message->length);
    if (octets != NULL)
        xor_into((unsigned char *)PyBytes_AsString(octets), message->payload, message->length,
                 message->key, 0);
    return octets;
}

static PyObject *
text_of(const whole_message *message)
{
    unsigned char small[SMALL];
    unsigned char *plain = small;
    PyObject *text;

    if (message->key == NULL)
        return PyUnicode_DecodeUTF8((const char *)message->payload, message->length, NULL);
    if (message->length > SMALL) {
        plain = PyMem_Malloc((size_t)message->length);
        if (plain == NULL)
            return PyErr_NoMemory();
    }
    xor_into(plain, message->payload, message->length, message->key, 0);
    text = PyUnicode_DecodeUTF8((const char *)plain, message->length, NULL);
    if (plain != small)
        PyMem_Free(plain);
    return text;
}

/* Append messages to a list; returns where something else begins, or -1 and an error. */
static Py_ssize_t
append_messages(const unsigned char *octets, Py_ssize_t position, Py_ssize_t size, long mask_bit,
                uint64_t limit, PyObject *messages)
{
    whole_message found;
    PyObject *message;
    Py_ssize_t taken;
    int failed;

    while ((taken = find_message(octets + position, size - position, mask_bit, limit, &found))) {
        message = found.is_text ? text_of(&found) : octets_of(&found);
        if (message == NULL && PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
            /* The slow path finds it too, and says what is wrong. */
            PyErr_Clear();
            return position;
        }
        if (message == NULL)
            return -1;
        failed = PyList_Append(messages, message) < 0;
        Py_DECREF(message);
        if (failed)
            return -1;
        position += taken;
    }
    return position;
}

static PyObject *
take_messages(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    char *octets;
    Py_ssize_t size, position;
    long mask_bit;
    long long limit;

    (void)module;
    if (!check_count("take_messages", count, 5, 5))
        return NULL;
    if (PyBytes_AsStringAndSize(arguments[0], &octets, &size) < 0)
        return NULL;
    position = PyLong_AsSsize_t(arguments[1]);
    mask_bit = PyLong_AsLong(arguments[2]);
    limit = PyLong_AsLongLong(arguments[3]);
    if (PyErr_Occurred())
        return NULL;
    if (position < 0 || position > size || limit < 0) {
        PyErr_Format(PyExc_ValueError, "position is 0 to %zd and limit at least 0, got %zd and %lld",
                     size, position, limit);
        return NULL;
    }
    position = append_messages((const unsigned char *)octets, position, size, mask_bit,
                               (uint64_t)limit, arguments[4]);
    return position < 0 ? NULL : PyLong_FromSsize_t(position);
}

#define FAST(function) ((PyCFunction)(void (*)(void))(fast_function)(function))

static PyMethodDef functions[] = {
    {"apply_mask", FAST(apply_mask), METH_FASTCALL,
     "apply_mask(data, key, offset=0) -> bytes\n\nAs driver/masking.py has it."},
    {"mask_from", FAST(mask_from), METH_FASTCALL,
     "mask_from(array, start, key, offset)\n\nAs driver/masking.py has it."},
    {"extend", FAST(extend), METH_FASTCALL, "extend(array, count)\n\nAs driver/masking.py has it."},
    {"join_frame", FAST(join_frame), METH_FASTCALL,
     "join_frame(first, payload, key) -> bytes\n\nAs driver/frames.py has it."},
    {"take_messages", FAST(take_messages), METH_FASTCALL,
     "take_messages(data, position, mask_bit, limit, messages) -> position\n\n"
     "As driver/whole_messages.py has it."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_speedups",
    .m_doc = "The inner loops of RFC 6455 in C; each has a namesake in Python.",
    .m_methods = functions,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__speedups(void)
{
    return PyModuleDef_Init(&definition);
}
