/* SPDX-License-Identifier: MIT
 *
 * Errors as a tag: the pending guest exception moves into cell 0 of the frame as an owned
 * reference, so nothing is kept per thread and no second crossing can find a stale error.
 *
 * Most errors are of classes that add nothing to what every exception has, with a text
 * or a number as the argument, and without links, notes and attributes.  Of these classes the
 * host names those that it has met (pb_error_plain), and the core describes their exceptions
 * itself.  PB_ERROR's length is the number of the class then, and there follow a cell with how
 * many arguments and how many entries of the traceback there are, the arguments, of an
 * AttributeError its name and obj, and a cell for each entry: the number of its code object, and
 * the instruction in it.  Classes of the program's are among these, and may die.  Any other exception
 * the guest's half describes (guest/exceptions.py): length 0, and nothing follows.
 *
 * Needs the guest GIL.
 */
#include "crossing.h"

/* ---- exceptions that the core describes ---- */

enum { MOST_PLAIN = 64, MOST_ARGUMENTS = 3, MOST_ENTRIES = 24 };
static struct plain {           /* of number i + 1; none is used for another class later */
    const pb_type *type;
    pb_obj reference;           /* owned: a weak one to a heap type, else NULL */
    const void *str;            /* the program may give the class a __str__ */
} plain[MOST_PLAIN];
static int64_t plain_used;
/* Are an exception and a traceback's entry as below?  0 not looked yet, 1 yes, -1 no. */
static int exception_layout, entry_layout;

/* A BaseException, and an AttributeError from 3.10 on: 3.11 put a word for notes before the
 * traceback.  A weak reference. */
enum { DICT = 2, ARGS = 3, CONTEXT = 5, CAUSE = 6, OBJ = 8, NAME = 9 };
enum { REFERENT = 2 };
enum { WITH_NAME = 1 << 8 };    /* beside the count of the arguments: two values follow them */

static const pb_obj *words_of(pb_obj exception)
{
    return (const pb_obj *)(const void *)exception;
}

static inline int after_notes(int word)
{
    return word + (G.minor >= 11);
}

static inline int is_linked(pb_obj exception)
{
    const pb_obj *words = words_of(exception);
    return words[after_notes(CAUSE)] != NULL || words[after_notes(CONTEXT)] != NULL
        || *(const char *)&words[after_notes(CAUSE) + 1] != 0;        /* __suppress_context__ */
}

/* A traceback's entry, the same from 3.9 to 3.14. */
typedef struct entry {
    pb_head head;
    const struct entry *next;
    pb_obj frame;
    int last, line;             /* the instruction, in bytes; the line, or -1: not computed yet */
} entry;

static int attribute_is(pb_obj o, const char *name, pb_obj expected /*borrowed*/, int64_t number)
{
    pb_obj found = G.PyObject_GetAttrString(o, name);
    int64_t value = -1;
    int same;
    if (found == NULL) {
        G.PyErr_Clear();
        return 0;
    }
    same = found == expected || (expected == NULL && &found->type->head == G.PyLong_Type
                                 && pb_int_small(found, &value) && value == number);
    pb_drop(found);
    return same;
}

static int entry_check(pb_obj traceback /*borrowed*/)
{
    const entry *e = (const entry *)(const void *)traceback;
    return attribute_is(traceback, "tb_frame", e->frame, 0) && attribute_is(traceback, "tb_lasti", NULL, e->last)
        && attribute_is(traceback, "tb_next", e->next == NULL ? G._Py_NoneStruct : (pb_obj)(uintptr_t)e->next, 0);
}

/* `o` has no links, and is given some for a moment. */
static int exception_check(pb_obj o /*borrowed*/)
{
    pb_obj other = G.PyObject_CallObject(*G.PyExc_RuntimeError, NULL);
    int right = other != NULL && !is_linked(o) && attribute_is(o, "args", words_of(o)[ARGS], 0);
    if (right) {
        G.PyException_SetContext(o, pb_dup(other));     /* steals */
        right = words_of(o)[after_notes(CONTEXT)] == other;
        G.PyException_SetContext(o, NULL);
        G.PyException_SetCause(o, pb_dup(other));       /* steals, and suppresses the context */
        right = right && words_of(o)[after_notes(CAUSE)] == other;
        G.PyException_SetCause(o, NULL);
        right = right && is_linked(o);
        (void)G.PyObject_SetAttrString(o, "__suppress_context__", G._Py_FalseStruct);
        right = right && !is_linked(o);
    }
    G.PyErr_Clear();
    pb_xdrop(other);
    return right;
}

static inline int64_t plain_number(const pb_type *type)
{
    for (int64_t i = 0; i < plain_used; i++)
        if (plain[i].type == type && plain[i].str == type->str
            && (plain[i].reference == NULL || words_of(plain[i].reference)[REFERENT] == &type->head))
            return i + 1;
    return 0;
}

static inline int has_name(const pb_type *type)
{
    return &type->head == *G.PyExc_AttributeError && G.minor >= 10;
}

static int name_check(pb_obj o /*borrowed*/)
{
    const pb_obj *words = words_of(o);
    pb_obj name = words[after_notes(NAME)], obj = words[after_notes(OBJ)];
    return name != NULL && obj != NULL && attribute_is(o, "name", name, 0) && attribute_is(o, "obj", obj, 0);
}

/* From now on the core describes what is of the class of `exception`: the class's number, or 0
 * when it does not. */
int64_t pb_error_plain(intptr_t exception)
{
    int64_t refused = 0, number = 0;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL)
        return 0;
    pb_obj o = (pb_obj)exception, reference = NULL;
    pb_type *type = o->type;
    if (exception_layout == 0)
        exception_layout = exception_check(o) ? 1 : -1;
    number = plain_number(type);
    if (number != 0 || exception_layout != 1 || plain_used == MOST_PLAIN || G.refcounts_by_call
        || (has_name(type) && !name_check(o)))
        goto done;
    if (type->flags & PB_TYPE_HEAP) {
        reference = G.PyWeakref_NewRef(&type->head, NULL);
        if (reference == NULL || words_of(reference)[REFERENT] != &type->head) {
            G.PyErr_Clear();
            goto done;
        }
    }
    plain[plain_used++] = (struct plain){type, reference, type->str};
    reference = NULL;
    number = plain_used;
done:
    pb_xdrop(reference);
    pb_detach(t);
    return number;
}

/* ---- numbers of code objects ----
 * By address the host could not tell a code object from one that took its place, unless all
 * of which it knows were kept for ever.  So each has a number, in the extra space that CPython
 * keeps for such, and nobody else ever has the same. */

static ssize_t extra_index = -1;
static int (*extra_get)(pb_obj, ssize_t, void **);
static int (*extra_set)(pb_obj, ssize_t, void *);

/* 0 when it has none. */
static inline int64_t code_number(pb_obj code /*borrowed*/)
{
    void *number = NULL;
    if (extra_index < 0 || extra_get(code, extra_index, &number) != 0)
        return 0;
    return (int64_t)(intptr_t)number;
}

/* The guest's half gives a code object its number: an int, 0 if it can have none. */
static pb_obj code_number_of(pb_obj self, pb_obj code)
{
    static int64_t last;
    int64_t number = code_number(code);
    (void)self;
    if (number == 0 && extra_index >= 0 && extra_set(code, extra_index, (void *)(intptr_t)(last + 1)) == 0)
        number = ++last;
    G.PyErr_Clear();                /* no code object, or no memory */
    return G.PyLong_FromLongLong(number);
}

/* The guest's function for that. */
int64_t pb_code_numberer(pb_frame *f)
{
    static pb_method method = {"code_number", code_number_of, 8 /* METH_O */, NULL};
    int64_t refused = 0;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL)
        return pb_answer(f, refused, 0);
    int newer = G.PyUnstable_Code_GetExtra != NULL;
    ssize_t (*request)(void (*)(void *)) = newer ? G.PyUnstable_Eval_RequestCodeExtraIndex : G._PyEval_RequestCodeExtraIndex;
    extra_get = newer ? G.PyUnstable_Code_GetExtra : G._PyCode_GetExtra;
    extra_set = newer ? G.PyUnstable_Code_SetExtra : G._PyCode_SetExtra;
    if (request != NULL && extra_get != NULL && extra_set != NULL)
        extra_index = request(NULL);
    return crossing_end(t, f, G.PyCFunction_NewEx(&method, NULL, NULL));
}

static int is_scalar(pb_obj o)
{
    const pb_obj type = &o->type->head;
    return type == G.PyUnicode_Type || type == G.PyLong_Type || type == G.PyFloat_Type
        || type == G.PyBool_Type || o == G._Py_NoneStruct;
}

/* The name and the object of an AttributeError: one cell each. */
static int describe_name(pb_frame *f, int64_t *at, pb_obj name, pb_obj object /*borrowed, or NULL*/)
{
    const int64_t from = *at;
    if (object != NULL && pb_is_linked(object))
        return 0;
    if (pb_give(f, at, pb_dup(name == NULL ? G._Py_NoneStruct : name)) != 0
        || pb_give(f, at, pb_dup(object == NULL ? G._Py_NoneStruct : object)) != 0) {
        G.PyErr_Clear();
    } else if (*at == from + 2 && f->cells == f->base) {
        f->given = *at;
        return 1;
    }
    pb_ungive(f, from, *at);
    return 0;
}

/* Its arguments and traceback from cell 1 on: 1, or 0 when the guest's half must do it. */
static int describe(pb_frame *f, pb_obj exception)
{
    const pb_obj *words = words_of(exception);
    int64_t at = 2, nargs, entries = 0;
    if (is_linked(exception) || (words[DICT] != NULL && G.PyObject_Size(words[DICT]) != 0))
        return 0;
    nargs = G.PyTuple_Size(words[ARGS]);
    if (nargs < 0 || nargs > MOST_ARGUMENTS)
        return 0;
    if (f->cells != f->base)
        pb_frame_shrink(f);
    f->text_used = 0;
    f->given = 0;
    for (int64_t i = 0; i < nargs; i++) {
        pb_obj argument = G.PyTuple_GetItem(words[ARGS], i);        /* borrowed */
        if (!is_scalar(argument))
            return 0;
        if (pb_give(f, &at, pb_dup(argument)) != 0) {
            G.PyErr_Clear();
            return 0;
        }
    }
    if (has_name(exception->type) && !describe_name(f, &at, words[after_notes(NAME)], words[after_notes(OBJ)]))
        return 0;
    pb_obj traceback = G.PyException_GetTraceback(exception);       /* new, or NULL */
    const entry *e = (const entry *)(const void *)traceback;
    if (PB_UNLIKELY(entry_layout == 0) && e != NULL)
        entry_layout = entry_check(traceback) ? 1 : -1;
    if (entry_layout < 0)
        entries = MOST_ENTRIES;
    for (; e != NULL && entries < MOST_ENTRIES; e = e->next) {
        pb_obj code = G.PyFrame_GetCode(e->frame);                  /* new */
        f->base[2 * at] = code_number(code);
        f->base[2 * at + 1] = e->last;
        pb_drop(code);                                              /* the frame has it */
        at++;
        entries++;
    }
    pb_xdrop(traceback);                                            /* the exception has it */
    if (e != NULL) {
        pb_ungive(f, 2, f->given);
        f->given = 0;
    }
    f->base[2] = has_name(exception->type) ? nargs | WITH_NAME : nargs;
    f->base[3] = entries;
    return e == NULL;
}

pb_obj pb_exception_take(void)
{
    if (G.PyErr_GetRaisedException != NULL)
        return G.PyErr_GetRaisedException();
    pb_obj type = NULL, value = NULL, traceback = NULL;
    G.PyErr_Fetch(&type, &value, &traceback);
    if (type == NULL)
        return NULL;
    G.PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL && value != NULL)
        G.PyException_SetTraceback(value, traceback);
    pb_xdrop(type);
    pb_xdrop(traceback);
    return value;
}

int64_t pb_answer(pb_frame *f, int64_t word, int64_t payload)
{
    if (PB_UNLIKELY(f->cells != f->base))
        pb_frame_shrink(f);
    f->base[0] = word;
    f->base[1] = payload;
    return word;
}

int64_t pb_raised(pb_frame *f)
{
    pb_obj exception = pb_exception_take();
    if (exception == NULL) {
        /* A guest function broke the C API's rule; CPython says the same. */
        G.PyErr_SetString(*G.PyExc_SystemError, "a guest function returned NULL without setting an exception");
        exception = pb_exception_take();
    }
    int64_t number = plain_number(exception->type);
    if (number != 0 && !describe(f, exception))
        number = 0;
    return pb_answer(f, PB_WORD(PB_ERROR, number), (int64_t)(intptr_t)exception);
}
