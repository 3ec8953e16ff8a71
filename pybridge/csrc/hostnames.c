/* SPDX-License-Identifier: MIT
 *
 * A name is hidden by setting st_value to 0 in the host's own symbol table, which the
 * linker then passes over.  The table is private to the process and in memory only; its
 * pages are writable while the names are hidden, and otherwise have the protection that the
 * linker left.
 *
 * A lazy call of the host would look its name up when it is first made, perhaps on another
 * thread while the names are hidden, and find the guest's.  So these calls are bound in
 * advance, to what the linker would have found.
 *
 * Threads.  The tables here are guarded by isolate.c's guest_lock, st_value and the count of
 * windows by its load_lock as well: the callers hold them.  No lock is taken here.
 */
#define _GNU_SOURCE
#include "hostnames.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One object of the host that defines Python names. */
typedef struct owner {
    const char *object;
    uintptr_t start, end;
    uintptr_t base;
    pb_elf_pages pages;         /* with the symbols of these names */
} owner;

/* One symbol of an owner, and what its name means.  Sorted by name, then owner. */
typedef struct name {
    const char *text;
    size_t owner;
    ElfW(Sym) *symbol;          /* NULL: leave it alone */
    uintptr_t value;            /* its st_value */
    uintptr_t global;           /* found by the host in the global scope, or 0 */
    uintptr_t guest;            /* found in libpython, or 0 */
} name;

static owner *owners;           /* oldest first */
static name *names;
static size_t owner_count, name_count;
static unsigned windows;        /* open ones: nested, all of one thread */

/* ---- finding them ---- */

static int starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

int pb_names_is_python(const char *text)
{
    return starts(text, "Py") || starts(text, "_Py");
}

static int is_bridge(const pb_elf *object)
{
    return pb_elf_contains(object, (uintptr_t)is_bridge);
}

/* What PyPy renamed collides with nothing.
 * An undefined symbol may have a value too: the address of a call stub in a program that
 * is not position independent, which lookups take for the function.  Thread-local and
 * absolute symbols are found whatever their value; no Python exports such. */
static int is_hideable(const pb_elf *object, const ElfW(Sym) *symbol)
{
    const char *text = pb_elf_symbol_name(object, symbol);
    const unsigned bind = ELF64_ST_BIND(symbol->st_info);
    const unsigned kind = ELF64_ST_TYPE(symbol->st_info);

    return pb_names_is_python(text) && !starts(text, "PyPy") && !starts(text, "_PyPy")
        && symbol->st_value != 0 && symbol->st_shndx != SHN_ABS
        && (bind == STB_GLOBAL || bind == STB_WEAK)
        && (kind == STT_FUNC || kind == STT_OBJECT || kind == STT_NOTYPE)
        && !(starts(text, "PyInit_") && is_bridge(object));
}

/* Visitor: note the names of one object.  -1 for want of memory.  The bridge itself is an
 * owner in any case, which must stay loaded, and its PyInit function stays visible. */
static int collect(const pb_elf *object, void *unused)
{
    size_t count = 0;
    owner *more_owners;
    name *more_names;

    (void)unused;
    for (size_t i = 1; i < object->symbol_count; i++)
        count += (size_t)is_hideable(object, &object->symbols[i]);
    if (count == 0 && !is_bridge(object))
        return 0;
    more_owners = realloc(owners, (owner_count + 1) * sizeof *owners);
    if (more_owners == NULL)
        return -1;
    owners = more_owners;
    owner *new = &owners[owner_count++];
    *new = (owner){object->name, object->start, object->end, object->base, {0, 0, 0}};
    if (count == 0)
        return 0;
    more_names = realloc(names, (name_count + count) * sizeof *names);
    if (more_names == NULL)
        return -1;
    names = more_names;

    const name *first = &names[name_count];
    for (size_t i = 1; i < object->symbol_count; i++) {
        ElfW(Sym) *symbol = &object->symbols[i];
        if (is_hideable(object, symbol))
            names[name_count++] = (name){pb_elf_symbol_name(object, symbol), owner_count - 1,
                                         symbol, symbol->st_value, 0, 0};
    }
    new->pages = pb_elf_pages_around(object, first->symbol,
                                     &names[name_count - 1].symbol->st_value);
    return 0;
}

static int compare(const void *a, const void *b)
{
    const name *x = a, *y = b;
    const int order = strcmp(x->text, y->text);
    return order != 0 ? order : (x->owner > y->owner) - (x->owner < y->owner);
}

int pb_names_collect(void)
{
    int count = 0;

    owner_count = name_count = 0;           /* of a load that failed */
    if (pb_elf_each(collect, NULL) < 0) {
        errno = ENOMEM;
        return -1;
    }
    if (name_count > 0)
        qsort(names, name_count, sizeof *names, compare);
    for (size_t i = 0; i < owner_count; i++) {
        if (*owners[i].object == '\0'
            || dlopen(owners[i].object, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE) != NULL)
            continue;
        owners[i].pages.length = 0;         /* unloaded since: nothing to hide */
        for (size_t k = 0; k < name_count; k++)
            if (names[k].owner == i)
                names[k].symbol = NULL;
    }
    for (size_t i = 0; i < name_count; i++) {
        names[i].global = (uintptr_t)dlsym(RTLD_DEFAULT, names[i].text);
        count += names[i].symbol != NULL;
    }
    return count;
}

/* ---- asking about them ---- */

/* The oldest owner's entry, or NULL. */
static const name *find(const char *text)
{
    size_t low = 0, high = name_count;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (strcmp(names[middle].text, text) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < name_count && strcmp(names[low].text, text) == 0 ? &names[low] : NULL;
}

/* The oldest definition proper, or 0. */
static uintptr_t definition(const name *n)
{
    for (const name *d = n; d < names + name_count && strcmp(d->text, n->text) == 0; d++)
        if (d->symbol != NULL && d->symbol->st_shndx != SHN_UNDEF)
            return owners[d->owner].base + d->value;
    return 0;
}

uintptr_t pb_names_of_host(const char *text)
{
    const name *n = find(text);
    return n != NULL ? definition(n) : 0;
}

uintptr_t pb_names_of_guest(const char *text)
{
    const name *n = find(text);
    return n != NULL ? n->guest : 0;
}

/* Slot visitor. */
static int is_bound_to_host(const pb_elf *object, const pb_elf_slot *slot, void *unused)
{
    (void)unused;
    if (!pb_elf_slot_imports(slot) || !pb_names_is_python(slot->name))
        return 0;
    for (size_t i = 0; i < owner_count; i++)
        if (*slot->address >= owners[i].start && *slot->address < owners[i].end)
            return !pb_elf_contains(object, *slot->address);
    return 0;
}

int pb_names_are_used_by(const pb_elf *object)
{
    return pb_elf_each_slot(object, is_bound_to_host, NULL);
}

const char *pb_names_selftest(void *libpython)
{
    const void *probe = dlsym(libpython, "PyType_GetFlags");

    if (probe == NULL || dlsym(RTLD_DEFAULT, "PyType_GetFlags") != probe)
        return "PyType_GetFlags";
    for (size_t i = 0; i < name_count; i++) {
        names[i].guest = (uintptr_t)dlsym(libpython, names[i].text);
        if (names[i].guest != 0
            && names[i].guest != (uintptr_t)dlsym(RTLD_DEFAULT, names[i].text))
            return names[i].text;
    }
    return NULL;
}

/* ---- binding in advance ---- */

struct prebind {
    pb_dlopen *host_dlopen;
    int *bound;
    int is_owner;               /* the object at hand, but not the bridge */
};

/* What a still lazy call of `n` will find, or 0. */
static uintptr_t call_target(const pb_elf *object, const ElfW(Sym) *symbol, const name *n)
{
    if (symbol->st_shndx != SHN_UNDEF)      /* the object's own, unless there is an older */
        return n->global != 0 ? n->global : object->base + symbol->st_value;
    if (n->global != 0 && !pb_elf_contains(object, n->global))
        return n->global;
    return definition(n);           /* its own call stub would call itself */
}

static int prebind_slot(const pb_elf *object, const pb_elf_slot *slot, void *closure)
{
    const struct prebind *prebind = closure;
    const int own = !pb_elf_slot_imports(slot);
    const name *n;
    uintptr_t target;

    if (prebind->is_owner && !own && strcmp(slot->name, "dlopen") == 0)
        return pb_elf_slot_store(object, slot, (uintptr_t)prebind->host_dlopen);
    if (!pb_elf_slot_may_be_lazy(object, slot)
        || (own && *slot->address == object->base + slot->symbol->st_value))
        return 0;
    n = find(slot->name);
    target = n != NULL ? call_target(object, slot->symbol, n) : 0;
    if (target == 0)
        return 0;
    ++*prebind->bound;
    return pb_elf_slot_store(object, slot, target);
}

static int prebind_object(const pb_elf *object, void *closure)
{
    struct prebind *prebind = closure;

    prebind->is_owner = 0;
    for (size_t i = 0; i < owner_count; i++)
        prebind->is_owner |= owners[i].start == object->start && !is_bridge(object);
    return pb_elf_each_slot(object, prebind_slot, prebind);
}

int pb_names_prebind(pb_dlopen *host_dlopen, int *bound)
{
    const pb_elf_census nothing = {0};
    struct prebind prebind = {host_dlopen, bound, 0};

    return pb_elf_each_since(&nothing, prebind_object, &prebind) < 0 ? -1 : 0;
}

/* ---- hiding ---- */

int pb_names_hide(void)
{
    if (windows++ > 0)
        return 0;
    for (size_t i = 0; i < owner_count; i++) {
        if (pb_elf_pages_open(&owners[i].pages) == 0)
            continue;
        const int reason = errno;
        while (i-- > 0)
            (void)pb_elf_pages_close(&owners[i].pages);
        windows--;
        errno = reason;
        return -1;
    }
    for (size_t i = 0; i < name_count; i++)
        if (names[i].symbol != NULL)
            __atomic_store_n(&names[i].symbol->st_value, 0, __ATOMIC_RELEASE);
    return 0;
}

/* Pages that cannot be closed stay writable, which harms nobody. */
void pb_names_show(void)
{
    if (--windows > 0)
        return;
    for (size_t i = 0; i < name_count; i++)
        if (names[i].symbol != NULL)
            __atomic_store_n(&names[i].symbol->st_value, names[i].value, __ATOMIC_RELEASE);
    for (size_t i = 0; i < owner_count; i++)
        (void)pb_elf_pages_close(&owners[i].pages);
}

void pb_names_show_forked(void)
{
    if (windows > 0) {
        windows = 1;
        pb_names_show();
    }
}
