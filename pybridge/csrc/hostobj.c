/* SPDX-License-Identifier: MIT
 *
 * Host objects in the guest.  Two guest types: `host_object`, the base of the guest classes
 * that stand for host classes (pybridge/guest/hostclasses.py), and `host_function`, which is
 * called without further ado (callback.c).  Their objects carry a number, the key of the host's
 * table (pybridge/_table.py), which keeps the host object alive until the guest drops its one.
 *
 * Other guest objects stand for a host object too, and hold a plain host_object that carries
 * its number, under the name of `host_key`: an exception in its dict, a class that stands for a
 * host class in the class's dict, an int, str, tuple ... of such a class in its own.
 *
 * All state is protected by the guest GIL.
 */
#include "core.h"

typedef struct host_object {
    pb_head head;
    int64_t tag;                /* the number + 1: an object that the guest made has none */
    pb_obj weak_references;
} host_object;

typedef pb_host_function host_function;

static pb_type *object_type, *function_type, *memory_type, *meta_type;
static pb_obj host_key, seen_key;       /* guest/support.py: _HOST, _SEEN */

int64_t pb_hostobj_number(pb_obj o)
{
    const pb_type *type = o->type;
    if (type == function_type || type == object_type || type == memory_type)
        return ((host_object *)o)->tag - 1;
    /* The class of its class tells: most objects end here. */
    type = o->type->head.type;
    if (&type->head == G.PyType_Type || meta_type == NULL
        || (type != meta_type && !G.PyType_IsSubtype(o->type->head.type, meta_type)))
        return -1;
    for (type = o->type; type != NULL; type = type->base)
        if (type == object_type)
            return ((host_object *)o)->tag - 1;
    return -1;
}

/* What a dict holds under the key. borrowed, or NULL */
static pb_obj carrier_in(pb_obj dict /*borrowed*/)
{
    pb_obj found = dict == NULL ? NULL : G.PyDict_GetItemWithError(dict, host_key);
    if (found == NULL)
        G.PyErr_Clear();
    return found != NULL && pb_hostobj_number(found) >= 0 ? found : NULL;
}

static pb_obj carrier_of_instance(pb_obj o /*borrowed*/)
{
    pb_obj dict = G.PyObject_GenericGetDict(o, NULL), found = NULL;
    if (dict == NULL) {
        G.PyErr_Clear();
        return NULL;
    }
    found = carrier_in(dict);
    /* An exception of the guest's own may hold one as well: see mark_seen. */
    if (found != NULL && (o->type->flags & PB_TYPE_EXCEPTION) && G.PyDict_GetItemWithError(dict, seen_key) != NULL)
        found = NULL;
    pb_drop(dict);
    return found;
}

pb_obj pb_hostobj_behind(pb_obj o /*borrowed*/)
{
    pb_type *meta = o->type->head.type;

    if (pb_hostobj_number(o) >= 0)
        return o;
    if (o->type->flags & PB_TYPE_EXCEPTION)
        return carrier_of_instance(o);
    if (meta_type == NULL)
        return NULL;
    if (o->type == meta_type || ((o->type->flags & PB_TYPE_TYPE) && G.PyType_IsSubtype(o->type, meta_type)))
        return carrier_in(((pb_type *)(void *)o)->dict);
    if (&meta->head != G.PyType_Type && G.PyType_IsSubtype(meta, meta_type))
        return carrier_of_instance(o);
    return NULL;
}

int pb_hostobj_is_function(pb_obj o)
{
    return o->type == function_type;
}

int pb_hostobj_is_watched(pb_obj o)
{
    return ((host_object *)o)->weak_references != NULL;
}

/* ---- the types ---- */

/* Also of the objects of guest classes that stand for host classes (pb_host_class_set). */
static void object_dealloc(pb_obj self)
{
    pb_type *type = self->type;
    host_object *o = (host_object *)self;
    if (o->weak_references != NULL && type->dealloc == object_dealloc && pb_entry_keep(o->tag - 1, self))
        return;
    if ((type->flags & PB_TYPE_GC) && type->dealloc == object_dealloc)
        G.PyObject_GC_UnTrack(self);
    pb_entry_drop(o->tag - 1, self);        /* first: what follows may run code that asks for it */
    if (o->weak_references != NULL)
        G.PyObject_ClearWeakRefs(self);
    type->free(self);
    pb_drop(&type->head);
}

/* Objects of a guest class that have nothing but their number end like plain ones: what Python
 * puts in the destructor's place could not keep them. */
static void dealloc_set(pb_type *type)
{
    if (type->basicsize == (ssize_t)sizeof(host_object) && type->dictoffset == 0 && type->finalize == NULL
        && type->del == NULL)
        type->dealloc = object_dealloc;
}

static void function_dealloc(pb_obj self)
{
    pb_type *type = self->type;
    host_function *f = (host_function *)self;
    if (f->weak_references != NULL && pb_entry_keep(f->tag - 1, self))
        return;
    pb_entry_drop(f->tag - 1, self);
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

/* Only the bridge makes them, with a number. */
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

static pb_type *function_type_make(void)
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
    pb_slot slots[] = {
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
    return type_make("pybridge.host_function", (int)sizeof(host_function),
                     PB_TYPE_GC | PB_TYPE_VECTORCALL | PB_TYPE_METHOD, slots);
}

static pb_type *object_type_make(void)
{
    static pb_member members[] = {
        {"__weaklistoffset__", SSIZE_MEMBER, offsetof(host_object, weak_references), READONLY_MEMBER, NULL},
        {NULL, 0, 0, 0, NULL}};
    pb_slot slots[] = {
        {52 /* tp_dealloc */, (const void *)(intptr_t)object_dealloc},
        {65 /* tp_new */, (const void *)(intptr_t)no_new},
        {72 /* tp_members */, members},
        {0, NULL}};
    return type_make("pybridge.host_object", (int)sizeof(host_object), PB_TYPE_BASE, slots);
}

int pb_hostobj_memory_type(const char *name, int size, pb_slot *slots)
{
    pb_slot *last = slots;
    while (last->slot != 0)
        last++;
    *last = (pb_slot){65 /* tp_new */, (const void *)(intptr_t)no_new};
    memory_type = type_make(name, size, 0, slots);
    return memory_type != NULL ? 0 : -1;
}

int pb_hostobj_start(void)
{
    function_type = function_type_make();
    object_type = object_type_make();
    host_key = G.PyUnicode_FromString("__pybridge_host__");
    seen_key = G.PyUnicode_FromString("__pybridge_seen__");
    return function_type != NULL && object_type != NULL && host_key != NULL && seen_key != NULL ? 0 : -1;
}

/* ---- what the host asks for ---- */

/* The guest class of an entry. new, or NULL when it is gone */
static pb_obj class_behind(const pb_entry *e)
{
    pb_obj found = NULL;
    if (e == NULL || e->guest_class == NULL)
        return NULL;
    if (G.PyWeakref_GetRef != NULL) {
        (void)G.PyWeakref_GetRef(e->guest_class, &found);
    } else {
        found = G.PyWeakref_GetObject(e->guest_class);         /* borrowed */
        found = found == NULL || found == G._Py_NoneStruct ? NULL : pb_dup(found);
    }
    return found;
}

/* new, or NULL: with an error set, or without one when the class is gone */
static pb_obj object_make(int64_t number, int64_t kind)
{
    pb_obj guest_class = NULL, o;
    pb_type *type = kind == PB_HOST_FUNCTION ? function_type
                  : kind == PB_HOST_MEMORY ? memory_type : object_type;
    if (kind >= 0) {
        guest_class = class_behind(pb_entry_find(kind));
        if (guest_class == NULL)
            return NULL;
        type = (pb_type *)(void *)guest_class;
    }
    o = G.PyType_GenericAlloc(type, 0);
    pb_xdrop(guest_class);
    if (o == NULL)
        return NULL;
    ((host_object *)o)->tag = number + 1;
    if (kind == PB_HOST_FUNCTION)
        ((host_function *)o)->call = pb_callback_run;
    return o;
}

/* A handle to the guest's object for host object `number`: the live one, or a fresh one of the
 * kind: PB_HOST_PLAIN, PB_HOST_FUNCTION, PB_HOST_MEMORY (which pb_export_set describes), or the number of the host class whose guest class it
 * is to have.  `reuse`: the number begins a new life.  PB_STOP when the host has been told to
 * forget it: a sweep came between the host's looking it up and this call.  PB_STOP with length
 * 1 when the guest class has gone. */
int64_t pb_host_new(pb_frame *f, int64_t number, int64_t kind, int64_t reuse)
{
    int64_t refused = 0, answer;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL)
        return pb_answer(f, refused, 0);
    pb_entry *e = pb_entry_reserve(number);
    if (e == NULL) {
        answer = pb_answer(f, PB_WORD(PB_REFUSED, PB_NO_MEMORY), 0);
        goto done;
    }
    if (reuse) {
        e->state = PB_KNOWN;
    } else if (e->state == PB_FORGOTTEN) {
        answer = pb_answer(f, PB_STOP, 0);
        goto done;
    }
    pb_obj o = e->object;
    int fresh = o == NULL;
    if (!fresh) {
        pb_dup(o);
    } else {
        o = object_make(number, kind);
        if (o == NULL) {
            answer = G.PyErr_Occurred() != NULL ? pb_raised(f) : pb_answer(f, PB_WORD(PB_STOP, 1), 0);
            if (reuse)
                pb_entry_find(number)->state = PB_FORGOTTEN;
            goto done;
        }
        e = pb_entry_find(number);              /* guest code may have run: the table may have moved, */
        if (e->object == NULL) {
            e->object = o;
        } else {                                /* or there is one already */
            pb_drop(o);
            o = pb_dup(e->object);
            fresh = 0;
        }
    }
    answer = pb_answer(f, PB_WORD(PB_OBJECT, fresh), (int64_t)(intptr_t)o);
done:
    pb_detach(t);
    return answer;
}

/* From now on the class in the list `box` is that of the objects of host class `number`.
 * `watchable`: the host has weak references to them. */
int64_t pb_host_class_set(pb_frame *f, int64_t number, intptr_t box, int watchable)
{
    int64_t refused = 0, answer;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL)
        return pb_answer(f, refused, 0);
    pb_type *type = (pb_type *)(void *)G.PyList_GetItem((pb_obj)box, 0);      /* borrowed */
    pb_obj old = NULL, watch = type == NULL ? NULL : G.PyWeakref_NewRef(&type->head, NULL);
    pb_entry *e = pb_entry_find(number);        /* behind that, which may have run guest code */
    if (watch == NULL || e == NULL) {
        answer = pb_raised(f);
        goto done;
    }
    dealloc_set(type);
    if (!watchable && type->weaklist_offset == (ssize_t)offsetof(host_object, weak_references))
        type->weaklist_offset = 0;
    old = e->guest_class;
    e->guest_class = watch;
    watch = NULL;
    answer = pb_answer(f, PB_NONE, 0);
done:
    pb_xdrop(old);
    pb_xdrop(watch);
    pb_detach(t);
    return answer;
}

/* A handle to the guest class of host class `number`, or PB_STOP when it is gone. */
int64_t pb_host_class_get(pb_frame *f, int64_t number)
{
    int64_t refused = 0, answer;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL)
        return pb_answer(f, refused, 0);
    pb_obj found = class_behind(pb_entry_find(number));
    answer = found == NULL ? pb_answer(f, PB_STOP, 0) : pb_answer(f, PB_OBJECT, (int64_t)(intptr_t)found);
    pb_detach(t);
    return answer;
}

/* The class, in a list, of the guest classes that stand for host classes.  It stays for ever. */
void pb_host_meta_set(intptr_t box)
{
    int64_t refused = 0;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL)
        return;
    meta_type = (pb_type *)(void *)G.PyList_GetItem((pb_obj)box, 0);
    if (meta_type != NULL)
        pb_dup(&meta_type->head);
    pb_detach(t);
}
