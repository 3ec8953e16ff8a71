/* SPDX-License-Identifier: MIT
 *
 * Host objects in the guest.  Two guest types: `host_object`, which only carries a number,
 * and `host_function`, which can be called.  The number is a key of the host's table
 * (pybridge/_callback.py), which keeps the host object alive until the guest drops its one.
 *
 * One callback, step by step, with what is held:
 *   1. guest code calls; the guest GIL is held.
 *   2. the arguments become cells of a callback frame.
 *   3. the thread steps out: the guest GIL is given up (or leased).
 *   4. the host's entry point runs; it takes the host's GIL itself, on a thread that the
 *      guest made as well.  It leaves a value, or PB_RAISE with an exception.
 *   5. the thread steps in: the guest GIL is held again.
 *   6. the cells become a guest object, or the exception is set.
 * If the host's entry point fails outside of its own care (an interrupt came at its first
 * instruction, or its stack check failed), it is called once more to say why; if it fails
 * again the guest gets a RecursionError: never NULL without an error.
 *
 * Destructors here cannot wait for the host: a dropped number goes into a list, linked
 * through an array as long as the table so that dropping needs no memory, and the host
 * collects it later.
 *
 * All state is protected by the guest GIL.
 */
#include <stdlib.h>
#include <string.h>

#include "core.h"

typedef struct host_object {
    pb_head head;
    int64_t number;
} host_object;

typedef struct host_function {
    pb_head head;
    int64_t number;
    pb_vectorcall call;
    pb_obj dict;
    pb_obj weak_references;
} host_function;

typedef struct callback_frame {
    pb_frame frame;
    struct callback_frame *next;
} callback_frame;

typedef struct entry {
    pb_obj object;              /* borrowed: its destructor clears it */
    int64_t next;               /* in the list of dropped numbers */
    enum { KNOWN, QUEUED, FORGOTTEN } state;    /* on that list; taken from it by the host */
} entry;

/* Numbers that no host object has: _AGAIN and _LIMIT in pybridge/_callback.py. */
static const int64_t HOST_FAILED = INT64_MAX, HOST_LIMIT = INT64_MAX - 1;

static pb_type *object_type, *function_type;
static pb_obj host_key, seen_key;       /* guest/support.py: _HOST, _SEEN */
static entry *table;
static int64_t table_size, dropped = -1;
static callback_frame *free_frames;
static int64_t frames_made;
static int (*host_call)(pb_frame *, int64_t, int64_t, int64_t);

void pb_callback_set(void *call)
{
    host_call = (int (*)(pb_frame *, int64_t, int64_t, int64_t))call;
}

int64_t pb_hostobj_number(pb_obj o)
{
    if (o->type == function_type || o->type == object_type)
        return ((host_object *)o)->number;
    return -1;
}

pb_obj pb_hostobj_behind(pb_obj o /*borrowed*/)
{
    if (pb_hostobj_number(o) >= 0)
        return o;
    if (!(o->type->flags & PB_TYPE_EXCEPTION))
        return NULL;
    pb_obj found = NULL, dict = G.PyObject_GenericGetDict(o, NULL);
    if (dict != NULL) {
        found = G.PyDict_GetItemWithError(dict, host_key);              /* borrowed */
        if (found != NULL && (pb_hostobj_number(found) < 0 || G.PyDict_GetItemWithError(dict, seen_key) != NULL))
            found = NULL;               /* an exception of the guest's own: see mark_seen */
        pb_drop(dict);
    }
    if (found == NULL)
        G.PyErr_Clear();
    return found;
}

/* ---- the table ---- */

static int table_reserve(int64_t number)
{
    int64_t size = table_size ? table_size : 64;
    while (size <= number)
        size *= 2;
    if (size == table_size)
        return 0;
    entry *more = realloc(table, (size_t)size * sizeof *more);
    if (more == NULL)
        return -1;
    memset(more + table_size, 0, (size_t)(size - table_size) * sizeof *more);
    table = more;
    table_size = size;
    return 0;
}

static void number_drop(int64_t number)
{
    if (number < 0 || number >= table_size)
        return;
    table[number].object = NULL;
    if (table[number].state == KNOWN) {
        table[number].state = QUEUED;
        table[number].next = dropped;
        dropped = number;
        pb_state.dropped++;
    }
}

int64_t pb_dropped_take(int64_t *numbers, int64_t most)
{
    int64_t refused = 0, n = 0;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL)
        return 0;
    while (dropped >= 0 && n < most) {
        int64_t number = dropped;
        dropped = table[number].next;
        pb_state.dropped--;
        if (table[number].object == NULL) {
            table[number].state = FORGOTTEN;
            numbers[n++] = number;
        } else {
            table[number].state = KNOWN;        /* it was passed to the guest again */
        }
    }
    pb_detach(t);
    return n;
}

/* ---- callbacks ---- */

static callback_frame *frame_get(void)
{
    callback_frame *f = free_frames;
    if (f != NULL) {
        free_frames = f->next;
        return f;
    }
    f = calloc(1, sizeof *f);
    if (f != NULL && pb_frame_open(&f->frame, frames_made) != 0) {
        free(f);
        f = NULL;
    }
    if (f != NULL)
        frames_made++;          /* the host keeps one object for each, so none is freed */
    return f;
}

static callback_frame *parked_frames;

/* Take up to `most` idle frames out of use, so that the host may work on its half of them:
 * their indices.  Until the second function puts them back callbacks use other frames. */
int64_t pb_callback_frames_park(int64_t *indices, int64_t most)
{
    int64_t refused = 0, n = 0;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL)
        return 0;
    while (free_frames != NULL && n < most) {
        callback_frame *f = free_frames;
        free_frames = f->next;
        f->next = parked_frames;
        parked_frames = f;
        indices[n++] = f->frame.index;
    }
    pb_detach(t);
    return n;
}

void pb_callback_frames_unpark(void)
{
    int64_t refused = 0;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL)
        return;
    while (parked_frames != NULL) {
        callback_frame *f = parked_frames;
        parked_frames = f->next;
        f->next = free_frames;
        free_frames = f;
    }
    pb_detach(t);
}

static int give_arguments(pb_frame *f, const pb_obj *args, int64_t nargs, pb_obj names, int64_t *nkeywords)
{
    int64_t at = 0;
    f->text_used = 0;
    for (int64_t i = 0; i < nargs; i++)
        if (pb_give(f, &at, pb_dup(args[i])) != 0)
            goto failed;
    *nkeywords = names == NULL ? 0 : G.PyTuple_Size(names);
    for (int64_t i = 0; i < *nkeywords; i++)
        if (pb_give(f, &at, pb_dup(G.PyTuple_GetItem(names, i))) != 0
            || pb_give(f, &at, pb_dup(args[nargs + i])) != 0)
            goto failed;
    return 0;
failed:
    pb_ungive(f, 0, at);
    return -1;
}

/* What the host left in the frame. new, or NULL with an error set */
static pb_obj take_answer(pb_frame *f)
{
    int64_t at = 0;
    const int64_t *c = f->cells;
    if (PB_TAG(c[0]) == PB_RAISE) {
        pb_obj exception = (pb_obj)(intptr_t)c[1];      /* owned by us now */
        G.PyErr_SetObject(&exception->type->head, exception);
        pb_drop(exception);
        return NULL;
    }
    if (PB_TAG(c[0]) == PB_STOP) {
        G.PyErr_SetString(*G.PyExc_RecursionError, "the host could not begin the callback: its recursion limit is reached");
        return NULL;
    }
    return pb_take(f, &at);
}

/* PyPy stops a recursion by the stack that it has used.  If that happens before its code for
 * a callback has begun, nothing can be caught and it prints a line: so be sure, before, that
 * there is some room.  The limit may have been changed: well before, ask for it. */
static int host_allows(pb_frame *f)
{
    enum { ROOM = 96 << 10 };
    int64_t used;
    if (PB_LIKELY(pb_state.host_stack == 0 || (used = pb_stack_used_by_host()) < pb_state.host_stack / 2))
        return 1;
    if (used < pb_state.host_stack - ROOM / 2) {
        pb_outside outside;
        pb_thread *t = pb_step_out(&outside);
        (void)host_call(f, HOST_LIMIT, 0, 0);
        pb_step_in(t, &outside);
    }
    return used < pb_state.host_stack - ROOM;
}

static pb_obj function_call(pb_obj self, const pb_obj *args, size_t nargsf, pb_obj names)
{
    int64_t nargs = (int64_t)(nargsf & ~PB_ARGUMENTS_OFFSET), nkeywords = 0;
    pb_outside outside;
    pb_obj out = NULL;

    if (pb_state.state != 1) {
        G.PyErr_SetString(*G.PyExc_ReferenceError, "this function belongs to the host, which has closed the bridge");
        return NULL;
    }
    if (!pb_stack_left_for_host()) {
        G.PyErr_SetString(*G.PyExc_RecursionError, "too little stack is left on this thread to call the host");
        return NULL;
    }
    if (PB_UNLIKELY(pb_interrupted) && &pb_me == pb_main_thread && pb_signals_check() != 0)
        return NULL;                            /* it is the guest's to know of, not the callee's */
    callback_frame *cf = frame_get();
    if (cf == NULL)
        return G.PyErr_NoMemory();
    pb_frame *f = &cf->frame;
    if (!host_allows(f)) {
        G.PyErr_SetString(*G.PyExc_RecursionError, "the host's recursion limit is reached");
        goto done;
    }
    if (give_arguments(f, args, nargs, names, &nkeywords) != 0)
        goto done;
    pb_dup(self);                               /* the guest may drop it during the call */
    int64_t number = ((host_function *)self)->number;
    pb_thread *t = pb_step_out(&outside);
    int failed = host_call(f, number, nargs, nkeywords);
    if (failed)
        failed = host_call(f, HOST_FAILED, 0, 0);       /* what was it? */
    pb_step_in(t, &outside);
    if (failed)
        pb_answer(f, PB_STOP, 0);
    out = take_answer(f);
    pb_drop(self);
    if (PB_UNLIKELY(pb_interrupted) && t == pb_main_thread && pb_signals_check() != 0) {
        pb_xdrop(out);
        out = NULL;
    }
done:
    pb_frame_shrink(f);
    cf->next = free_frames;
    free_frames = cf;
    return out;
}

/* ---- the types ---- */

static void object_dealloc(pb_obj self)
{
    pb_type *type = self->type;
    number_drop(((host_object *)self)->number);
    G.PyObject_Free(self);
    pb_drop(&type->head);
}

static void function_dealloc(pb_obj self)
{
    pb_type *type = self->type;
    host_function *f = (host_function *)self;
    number_drop(f->number);         /* first: what follows may run code that asks for it */
    G.PyObject_GC_UnTrack(self);
    if (f->weak_references != NULL)
        G.PyObject_ClearWeakRefs(self);
    pb_xdrop(f->dict);
    G.PyObject_GC_Del(self);
    pb_drop(&type->head);
}

static int function_traverse(pb_obj self, int (*visit)(pb_obj, void *), void *arg)
{
    host_function *f = (host_function *)self;
    int status = visit(&self->type->head, arg);
    if (status == 0 && f->dict != NULL)
        status = visit(f->dict, arg);
    return status;
}

static int function_clear(pb_obj self)
{
    host_function *f = (host_function *)self;
    pb_obj dict = f->dict;
    f->dict = NULL;
    pb_xdrop(dict);
    return 0;
}

/* Only the bridge makes them: an object without a number of its own would be taken for the
 * one that has it. */
static pb_obj no_new(pb_obj type, pb_obj args, pb_obj keywords)
{
    (void)type, (void)args, (void)keywords;
    G.PyErr_SetString(*G.PyExc_TypeError, "objects of the host are made by the host");
    return NULL;
}

/* Like a function: read from an instance it becomes a method. */
static pb_obj function_get(pb_obj self, pb_obj instance, pb_obj owner)
{
    (void)owner;
    if (instance == NULL || instance == G._Py_NoneStruct)
        return pb_dup(self);
    return G.PyMethod_New(self, instance);
}

enum { SSIZE_MEMBER = 19, READONLY_MEMBER = 1 };

/* The type from its spec, and the numbers of the slots in the stable ABI. */
static pb_type *type_make(const char *name, int size, unsigned flags, pb_slot *slots)
{
    pb_spec spec = {name, size, 0, flags | (G.minor <= 9 ? PB_TYPE_DEFAULT_39 : 0), slots};
    return (pb_type *)(void *)G.PyType_FromSpec(&spec);
}

int pb_hostobj_start(void)
{
    static pb_member members[] = {
        {"__vectorcalloffset__", SSIZE_MEMBER, offsetof(host_function, call), READONLY_MEMBER, NULL},
        {"__dictoffset__", SSIZE_MEMBER, offsetof(host_function, dict), READONLY_MEMBER, NULL},
        {"__weaklistoffset__", SSIZE_MEMBER, offsetof(host_function, weak_references), READONLY_MEMBER, NULL},
        {NULL, 0, 0, 0, NULL}};
    static pb_getset getset[] = {
        {"__dict__", NULL, NULL, NULL, NULL},
        {NULL, NULL, NULL, NULL, NULL}};
    getset[0].get = (const void *)(intptr_t)G.PyObject_GenericGetDict;
    getset[0].set = (const void *)(intptr_t)G.PyObject_GenericSetDict;
    pb_slot function_slots[] = {
        {50 /* tp_call */, (const void *)(intptr_t)G.PyVectorcall_Call},
        {52 /* tp_dealloc */, (const void *)(intptr_t)function_dealloc},
        {65 /* tp_new */, (const void *)(intptr_t)no_new},
        {71 /* tp_traverse */, (const void *)(intptr_t)function_traverse},
        {51 /* tp_clear */, (const void *)(intptr_t)function_clear},
        {54 /* tp_descr_get */, (const void *)(intptr_t)function_get},
        {58 /* tp_getattro */, (const void *)(intptr_t)G.PyObject_GenericGetAttr},
        {69 /* tp_setattro */, (const void *)(intptr_t)G.PyObject_GenericSetAttr},
        {72 /* tp_members */, members},
        {73 /* tp_getset */, getset},
        {0, NULL}};
    pb_slot object_slots[] = {
        {52 /* tp_dealloc */, (const void *)(intptr_t)object_dealloc},
        {65 /* tp_new */, (const void *)(intptr_t)no_new},
        {0, NULL}};
    function_type = type_make("pybridge.host_function", (int)sizeof(host_function),
                              PB_TYPE_GC | PB_TYPE_VECTORCALL, function_slots);
    object_type = type_make("pybridge.host_object", (int)sizeof(host_object), 0, object_slots);
    host_key = G.PyUnicode_FromString("__pybridge_host__");
    seen_key = G.PyUnicode_FromString("__pybridge_seen__");
    return function_type != NULL && object_type != NULL && host_key != NULL && seen_key != NULL ? 0 : -1;
}

/* A handle to the guest's object for host object `number`: the live one, or a fresh one.
 * `reuse`: the number begins a new life.  Otherwise PB_STOP when the host has been told to
 * forget it: a sweep came between the host's looking it up and this call. */
int64_t pb_host_new(pb_frame *f, int64_t number, int64_t is_function, int64_t reuse)
{
    int64_t refused = 0, answer;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL)
        return pb_answer(f, refused, 0);
    if (table_reserve(number) != 0) {
        answer = pb_answer(f, PB_WORD(PB_REFUSED, PB_NO_MEMORY), 0);
        goto done;
    }
    if (reuse) {
        table[number].state = KNOWN;
    } else if (table[number].state == FORGOTTEN) {
        answer = pb_answer(f, PB_STOP, 0);
        goto done;
    }
    pb_obj o = table[number].object;
    int fresh = o == NULL;
    if (!fresh) {
        pb_dup(o);
    } else {
        o = G.PyType_GenericAlloc(is_function ? function_type : object_type, 0);
        if (o == NULL) {
            answer = pb_raised(f);
            goto done;
        }
        ((host_object *)o)->number = number;
        if (is_function)
            ((host_function *)o)->call = function_call;
        table[number].object = o;
    }
    answer = pb_answer(f, PB_WORD(PB_OBJECT, fresh), (int64_t)(intptr_t)o);
done:
    pb_detach(t);
    return answer;
}
