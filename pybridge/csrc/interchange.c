/* SPDX-License-Identifier: MIT
 *
 * DLPack and the Arrow C data interface, as far as it takes C: what capsules hold for the
 * host, the next chunk of a stream, and capsules that lend a buffer to others.
 *
 * A capsule of another's is not consumed: it stays as it is, with its name, and its destructor
 * frees what it holds when the host lets go of it.  What is made here holds a Py_buffer, which
 * the release function of the standard gives back: on any thread, so it takes the guest GIL.
 *
 * The structs are those of dlpack.h, before 1.0 ("dltensor") and since ("dltensor_versioned",
 * which can say that nobody may write), and of Arrow's specification.
 */
#include <stdlib.h>
#include <string.h>

#include "crossing.h"

typedef struct dl_tensor {
    void *data;
    int32_t device, device_id, ndim;
    uint8_t code, bits;
    uint16_t lanes;
    int64_t *shape, *strides;   /* in elements */
    uint64_t byte_offset;
} dl_tensor;

typedef struct dl_managed {
    dl_tensor tensor;
    void *context;
    void (*deleter)(struct dl_managed *);
} dl_managed;

typedef struct dl_versioned {
    uint32_t major, minor;      /* of another major only `deleter` and what is before is known */
    void *context;
    void (*deleter)(struct dl_versioned *);
    uint64_t flags;
    dl_tensor tensor;
} dl_versioned;

enum { DL_MAJOR = 1, DL_READ_ONLY = 1 };

typedef struct arrow_schema {
    const char *format, *name, *metadata;
    int64_t flags, n_children;
    struct arrow_schema **children, *dictionary;
    void (*release)(struct arrow_schema *);
    void *context;
} arrow_schema;

typedef struct arrow_array {
    int64_t length, null_count, offset, n_buffers, n_children;
    const void **buffers;
    struct arrow_array **children, *dictionary;
    void (*release)(struct arrow_array *);
    void *context;
} arrow_array;

typedef struct arrow_stream {
    int (*get_schema)(struct arrow_stream *, arrow_schema *);
    int (*get_next)(struct arrow_stream *, arrow_array *);
    const char *(*get_last_error)(struct arrow_stream *);
    void (*release)(struct arrow_stream *);
    void *context;
} arrow_stream;

_Static_assert(sizeof(dl_tensor) == 48 && offsetof(dl_versioned, tensor) == 32, "layouts");
_Static_assert(sizeof(arrow_schema) == 72 && sizeof(arrow_array) == 80, "layouts");

static const char DLTENSOR[] = "dltensor", VERSIONED[] = "dltensor_versioned", SCHEMA[] = "arrow_schema", ARRAY[] = "arrow_array";

/* ---- what others lend ---- */

/* PB_INT: the address that a capsule of this name holds. */
int64_t pb_capsule_get(pb_frame *f, intptr_t capsule, const char *name)
{
    int64_t word = 0;
    pb_thread *t = crossing_begin(f, capsule, &word);
    if (t == NULL)
        return word;
    void *held = G.PyCapsule_GetPointer((pb_obj)capsule, name);
    return crossing_end_plain(t, f, held == NULL, PB_INT, (int64_t)(intptr_t)held);
}

/* PB_INT: the address of the tensor in a capsule of either name; length 1: only to be read. */
int64_t pb_tensor_get(pb_frame *f, intptr_t capsule)
{
    int64_t word = 0;
    int read_only = 0;
    dl_tensor *held = NULL;
    pb_thread *t = crossing_begin(f, capsule, &word);
    if (t == NULL)
        return word;
    if (G.PyCapsule_IsValid((pb_obj)capsule, VERSIONED)) {
        dl_versioned *tensor = G.PyCapsule_GetPointer((pb_obj)capsule, VERSIONED);
        if (tensor != NULL && tensor->major == DL_MAJOR) {
            held = &tensor->tensor;
            read_only = (tensor->flags & DL_READ_ONLY) != 0;
        } else if (tensor != NULL) {
            G.PyErr_SetString(*G.PyExc_BufferError, "this tensor is of a DLPack that is not known: only 1.x and older are");
        }
    } else {
        dl_managed *tensor = G.PyCapsule_GetPointer((pb_obj)capsule, DLTENSOR);
        if (tensor != NULL)
            held = &tensor->tensor;
    }
    return crossing_end_plain(t, f, held == NULL, PB_WORD(PB_INT, read_only), (int64_t)(intptr_t)held);
}

static void schema_capsule_end(pb_obj capsule)
{
    arrow_schema *s = G.PyCapsule_GetPointer(capsule, SCHEMA);
    if (s != NULL && s->release != NULL)
        s->release(s);
    free(s);
}

static void array_capsule_end(pb_obj capsule)
{
    arrow_array *a = G.PyCapsule_GetPointer(capsule, ARRAY);
    if (a != NULL && a->release != NULL)
        a->release(a);
    free(a);
}

/* Whoever makes the stream may wait for other threads of the guest, so it is asked without the GIL:
 * by a copy, as the standard allows, while the stream itself counts as consumed, so that nobody
 * else reads it meanwhile.  0, or its error number. */
static int stream_read(arrow_stream *stream, arrow_schema *s, arrow_array *a)
{
    arrow_stream own = *stream;
    stream->release = NULL;
    pb_tstate tstate = G.PyEval_SaveThread();
    int status = a != NULL ? own.get_next(&own, a) : own.get_schema(&own, s);
    G.PyEval_RestoreThread(tstate);
    *stream = own;
    return status;
}

/* A capsule with the schema of a stream (`next` 0), or with its next array, or None at the
 * end. */
int64_t pb_arrow_read(pb_frame *f, intptr_t capsule, int next)
{
    int64_t word = 0;
    pb_obj out = NULL;
    pb_thread *t = crossing_begin(f, capsule, &word);
    if (t == NULL)
        return word;
    pb_dup((pb_obj)capsule);
    arrow_stream *stream = G.PyCapsule_GetPointer((pb_obj)capsule, "arrow_array_stream");
    arrow_schema *s = next ? NULL : calloc(1, sizeof *s);
    arrow_array *a = next ? calloc(1, sizeof *a) : NULL;
    if (stream == NULL || stream->release == NULL || (s == NULL && a == NULL)) {
        if (stream != NULL && s == NULL && a == NULL)
            (void)G.PyErr_NoMemory();
        else if (stream != NULL)
            G.PyErr_SetString(*G.PyExc_ValueError, "this Arrow stream was consumed, or is being read, by somebody else");
        goto done;
    }
    if (stream_read(stream, s, a) != 0) {
        const char *why = stream->get_last_error(stream);
        if (G.PyErr_Occurred() == NULL)
            G.PyErr_SetString(*G.PyExc_RuntimeError, why != NULL ? why : "an Arrow stream failed");
        goto done;
    }
    if (next && a->release == NULL)
        out = pb_dup(G._Py_NoneStruct);
    else if (next)
        out = G.PyCapsule_New(a, ARRAY, array_capsule_end);
    else
        out = G.PyCapsule_New(s, SCHEMA, schema_capsule_end);
    if (out != NULL && out != G._Py_NoneStruct)
        s = NULL, a = NULL;         /* the capsule's */
done:
    if (a != NULL && a->release != NULL)
        a->release(a);
    if (s != NULL && s->release != NULL)
        s->release(s);
    free(a);
    free(s);
    pb_drop((pb_obj)capsule);
    return crossing_end(t, f, out);
}

/* ---- what the host lends ---- */

static const struct { char code; uint8_t dl, bits; const char *arrow; } kinds[] = {
    {'?', 6, 8, NULL}, {'b', 0, 8, "c"}, {'B', 1, 8, "C"}, {'h', 0, 16, "s"}, {'H', 1, 16, "S"},
    {'i', 0, 32, "i"}, {'I', 1, 32, "I"}, {'l', 0, 64, "l"}, {'L', 1, 64, "L"}, {'q', 0, 64, "l"},
    {'Q', 1, 64, "L"}, {'e', 2, 16, "e"}, {'f', 2, 32, "f"}, {'d', 2, 64, "g"}};

typedef struct lent {
    pb_buffer buffer;               /* held */
    const void *buffers[2];         /* Arrow's: validity, values */
    union { dl_managed tensor; dl_versioned versioned; arrow_array array; } as;
    int64_t numbers[];              /* shape, strides */
} lent;

/* Give back a buffer, on whatever thread. */
static void lent_end(lent *l)
{
    if (pb_state.state == 1) {
        int gil = G.PyGILState_Ensure();
        G.PyBuffer_Release(&l->buffer);
        G.PyGILState_Release(gil);
    }
    free(l);
}

/* The buffer of `o` and what its elements are. new, or NULL with an error set */
static lent *lend(pb_obj o /*borrowed*/, int flags, size_t *kind)
{
    pb_buffer buffer;
    if (G.PyObject_GetBuffer(o, &buffer, flags) != 0)
        return NULL;
    const char *code = buffer.format != NULL ? buffer.format : "B";
    if (*code == '<' || *code == '=' || *code == '@')
        code++;
    *kind = 0;
    while (*kind < sizeof kinds / sizeof *kinds && kinds[*kind].code != *code)
        ++*kind;
    if (*kind == sizeof kinds / sizeof *kinds || code[1] != 0 || kinds[*kind].bits != 8 * buffer.itemsize) {
        G.PyErr_SetString(*G.PyExc_BufferError, "only plain numbers in this machine's byte order are lent so");
        G.PyBuffer_Release(&buffer);
        return NULL;
    }
    lent *l = calloc(1, sizeof *l + 2 * sizeof(int64_t) * (size_t)buffer.ndim);
    if (l == NULL) {
        (void)G.PyErr_NoMemory();
        G.PyBuffer_Release(&buffer);
        return NULL;
    }
    l->buffer = buffer;
    return l;
}

static void tensor_delete(dl_managed *tensor)
{
    lent_end(tensor->context);
}

static void versioned_delete(dl_versioned *tensor)
{
    lent_end(tensor->context);
}

/* One that was consumed has another name, and who did so deletes what it holds. */
static void tensor_capsule_end(pb_obj capsule)
{
    if (G.PyCapsule_IsValid(capsule, DLTENSOR)) {
        dl_managed *tensor = G.PyCapsule_GetPointer(capsule, DLTENSOR);
        tensor->deleter(tensor);
    } else if (G.PyCapsule_IsValid(capsule, VERSIONED)) {
        dl_versioned *tensor = G.PyCapsule_GetPointer(capsule, VERSIONED);
        tensor->deleter(tensor);
    }
}

/* The tensor of a buffer: 0, or -1 with an error set. */
static int tensor_fill(dl_tensor *t, lent *l, size_t kind)
{
    *t = (dl_tensor){.data = l->buffer.buf, .device = 1 /* kDLCPU */, .ndim = l->buffer.ndim,
                     .code = kinds[kind].dl, .bits = kinds[kind].bits, .lanes = 1,
                     .shape = l->numbers, .strides = l->numbers + l->buffer.ndim};
    for (int i = 0; i < l->buffer.ndim; i++) {
        if (l->buffer.strides[i] % l->buffer.itemsize != 0) {
            G.PyErr_SetString(*G.PyExc_BufferError, "strides are no whole numbers of elements");
            return -1;
        }
        t->shape[i] = l->buffer.shape[i];
        t->strides[i] = l->buffer.strides[i] / l->buffer.itemsize;
    }
    return 0;
}

static pb_obj lend_tensor(pb_obj self, pb_obj o)
{
    size_t kind;
    pb_obj out = NULL;
    (void)self;
    lent *l = lend(o, 0x1d /* PyBUF_STRIDES | FORMAT | WRITABLE */, &kind);
    if (l == NULL)
        return NULL;
    l->as.tensor.context = l;
    l->as.tensor.deleter = tensor_delete;
    if (tensor_fill(&l->as.tensor.tensor, l, kind) == 0)
        out = G.PyCapsule_New(&l->as.tensor, DLTENSOR, tensor_capsule_end);
    if (out == NULL)
        lent_end(l);
    return out;
}

static pb_obj lend_versioned(pb_obj self, pb_obj o)
{
    size_t kind;
    pb_obj out = NULL;
    (void)self;
    lent *l = lend(o, 0x1c /* PyBUF_STRIDES | FORMAT */, &kind);
    if (l == NULL)
        return NULL;
    l->as.versioned = (dl_versioned){.major = DL_MAJOR, .context = l, .deleter = versioned_delete,
                                     .flags = l->buffer.readonly ? DL_READ_ONLY : 0};
    if (tensor_fill(&l->as.versioned.tensor, l, kind) == 0)
        out = G.PyCapsule_New(&l->as.versioned, VERSIONED, tensor_capsule_end);
    if (out == NULL)
        lent_end(l);
    return out;
}

static void schema_release(arrow_schema *schema)
{
    schema->release = NULL;         /* all of it is static */
}

static void array_release(arrow_array *array)
{
    array->release = NULL;
    lent_end(array->context);
}

/* (schema, array) of a row of numbers. */
static pb_obj lend_arrow(pb_obj self, pb_obj o)
{
    size_t kind;
    pb_obj out = NULL, first = NULL, second = NULL;
    arrow_schema *s = calloc(1, sizeof *s);
    arrow_array *a = calloc(1, sizeof *a);
    lent *l = lend(o, 0x3c /* PyBUF_C_CONTIGUOUS | FORMAT */, &kind);
    (void)self;
    if (l == NULL || s == NULL || a == NULL)
        goto done;
    if (l->buffer.ndim != 1 || kinds[kind].arrow == NULL) {
        G.PyErr_SetString(*G.PyExc_BufferError, "an Arrow array is one row of numbers");
        goto done;
    }
    *s = (arrow_schema){.format = kinds[kind].arrow, .name = "", .release = schema_release};
    *a = (arrow_array){.length = l->buffer.shape[0], .n_buffers = 2, .buffers = l->buffers,
                       .release = array_release, .context = l};
    l->buffers[1] = l->buffer.buf;
    l = NULL;                       /* the array's */
    if ((first = G.PyCapsule_New(s, SCHEMA, schema_capsule_end)) != NULL)
        s = NULL;
    if (first != NULL && (second = G.PyCapsule_New(a, ARRAY, array_capsule_end)) != NULL)
        a = NULL;
    if (second != NULL && (out = G.PyTuple_New(2)) != NULL) {
        (void)G.PyTuple_SetItem(out, 0, first);         /* steals */
        (void)G.PyTuple_SetItem(out, 1, second);        /* steals */
        first = second = NULL;
    }
done:
    if (a != NULL && a->release != NULL)
        a->release(a);
    if (l != NULL)
        lent_end(l);
    free(a);
    free(s);
    pb_xdrop(first);
    pb_xdrop(second);
    if (out == NULL && G.PyErr_Occurred() == NULL)
        (void)G.PyErr_NoMemory();
    return out;
}

/* A guest function that gives a capsule of an object's buffer: 0 DLPack's, 1 DLPack's since 1.0,
 * 2 Arrow's two. */
int64_t pb_lender(pb_frame *f, int which)
{
    static pb_method methods[] = {
        {"lend_tensor", lend_tensor, 8 /* METH_O */, NULL},
        {"lend_versioned", lend_versioned, 8, NULL},
        {"lend_arrow", lend_arrow, 8, NULL}};
    int64_t refused = 0;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL)
        return pb_answer(f, refused, 0);
    return crossing_end(t, f, G.PyCFunction_NewEx(&methods[which], NULL, NULL));
}
