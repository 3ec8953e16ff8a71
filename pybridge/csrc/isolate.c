/* SPDX-License-Identifier: MIT
 *
 * Two Pythons, one global scope.
 *
 * The problem.  The host's library is first in the process's global scope and defines
 * names that the guest's library defines too: PyPy some 50 (PyType_GetFlags, ...: files of
 * cpyext that its renaming forgot), a CPython host all of them.  Guest extension modules
 * do not link to libpython; they take these names from the global scope, so they would
 * call the host with the guest's objects.
 *
 * What is true.  The linker passes over a definition whose st_value is 0.  So while the
 * guest loads something, the host's names are made undefined in the host's own (private,
 * in-memory) symbol tables: all lookups then end at libpython, before any constructor
 * runs, without a relocation being touched.  Outside these windows the host finds its
 * names as ever.
 *
 * - Windows.  The guest loads things through `dlopen`, so that name, in libpython and in
 *   each object that appears during a guest dlopen, is pointed at `guest_dlopen`: hide,
 *   dlopen with RTLD_NOW, patch what is new, show.  Nothing may stay lazy, because a lazy
 *   call looks its name up outside the window.  dlopen(NULL), by which ctypes.pythonapi
 *   asks for "the program", answers libpython.
 * - The host.  Its lazy calls of hidden names are bound before the first window, as they
 *   could come due on another thread inside one; and its `dlopen`, in the objects that
 *   define such names (so in the interpreter), waits for windows to close.
 * - Pages.  Symbol tables are writable only inside a window; slots are written once.  All
 *   get back the protection that the linker left.
 * - An extension module that the host has loaded is bound to the host and cannot serve the
 *   guest as well.  Such a dlopen fails with a sentence instead of crashing later.
 *
 * Tried and rejected.  Rebinding the slots of guest objects after dlopen: too late for
 * static constructors (matplotlib's ft2font made strings with the host's functions and
 * crashed), wrong for dlsym, and hits host modules.  dlmopen: a second libc hands out the
 * same pthread keys (3.11 crashes in PyGILState_Ensure) and few namespaces fit.  Hiding
 * for good: host modules imported later bind to the guest.
 *
 * Holes that remain.  On another thread inside a window, the host's dlsym misses hidden
 * names, and a module that the host loaded after the start may take the guest's: by its
 * own dlopen, or by a lazy call if it was loaded lazily.  dlsym(RTLD_DEFAULT, "Py...") by
 * guest code outside a window finds the host's name.  dlopen by an address from dlsym, in
 * a library that the host loaded first, or in a constructor, is not redirected.  A host
 * module with a missing Py name binds to libpython instead of failing.
 *
 * Threads.  Any thread may call.  Two locks, recursive because a constructor may dlopen:
 * guest_lock for all that is static here, held over guest dlopens and over fork; load_lock
 * for the linker's time, held over windows and over host dlopens.  The host may run code
 * between its preparations for a fork and the fork, and its GIL may be held in its dlopen:
 * so that one must not wait for the first lock.  Order: guest GIL, guest_lock, load_lock,
 * the linker's own.  The linker holds its own over a dlopen and the constructors too, so
 * ours add no wait that dlopen does not have.  A fork by whoever takes no lock of ours is
 * put right in the child.
 *
 * dlerror is the caller's: after a dlopen that failed, nothing here calls the linker.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "isolate.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "elfwalk.h"

/* One object of the host that defines Py names. */
typedef struct owner {
    const char *object;
    uintptr_t base, start, end;
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

static pthread_mutex_t guest_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t load_lock = PTHREAD_MUTEX_INITIALIZER;
static __thread __attribute__((tls_model("initial-exec"))) unsigned guest_held, load_held;

static pb_isolate_report report;
static const char *library_name;    /* libpython's; NULL until loaded */
static owner *owners;           /* oldest first */
static name *names;
static size_t owner_count, name_count;
static unsigned windows;        /* open ones: nested, all of one thread */
static int forks_watched;

static void *guest_dlopen(const char *file, int flags);
static void *host_dlopen(const char *file, int flags);
static void on_fork_child(void);

/* A recursive pthread mutex knows its owner by thread id, and the child of a fork has
 * another; so the thread counts for itself. */
static void lock_take(pthread_mutex_t *mutex, unsigned *mine)
{
    if ((*mine)++ == 0)
        (void)pthread_mutex_lock(mutex);
}

static void lock_give(pthread_mutex_t *mutex, unsigned *mine)
{
    if (--*mine == 0)
        (void)pthread_mutex_unlock(mutex);
}

void pb_isolate_fork_before(void)
{
    lock_take(&guest_lock, &guest_held);
}

void pb_isolate_fork_after(int child)
{
    (void)child;                /* this thread's count is the same on both sides */
    lock_give(&guest_lock, &guest_held);
}

const pb_isolate_report *pb_isolate_state(void)
{
    return &report;
}

static __attribute__((format(printf, 3, 4)))
void say(char *text, size_t size, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, size, format, arguments);
    va_end(arguments);
}

/* ---- the host's names ---- */

static int starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static int is_python(const char *text)
{
    return starts(text, "Py") || starts(text, "_Py");
}

static int is_bridge(const pb_elf *object)
{
    return pb_elf_contains(object, (uintptr_t)pb_isolate_load);
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

    return is_python(text) && !starts(text, "PyPy") && !starts(text, "_PyPy")
        && symbol->st_value != 0 && symbol->st_shndx != SHN_ABS
        && (bind == STB_GLOBAL || bind == STB_WEAK)
        && (kind == STT_FUNC || kind == STT_OBJECT || kind == STT_NOTYPE)
        && !(starts(text, "PyInit_") && is_bridge(object));
}

/* Visitor: note the names of one object.  -1 for want of memory.  The bridge itself is an
 * owner in any case, which must stay loaded, and its PyInit function stays visible. */
static int names_collect(const pb_elf *object, void *unused)
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
    *new = (owner){object->name, object->base, object->start, object->end, {0, 0, 0}};
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

static int name_compare(const void *a, const void *b)
{
    const name *x = a, *y = b;
    const int order = strcmp(x->text, y->text);
    return order != 0 ? order : (x->owner > y->owner) - (x->owner < y->owner);
}

/* The oldest owner's entry, or NULL. */
static const name *name_find(const char *text)
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
static uintptr_t name_definition(const name *n)
{
    for (const name *d = n; d < names + name_count && strcmp(d->text, n->text) == 0; d++)
        if (d->symbol != NULL && d->symbol->st_shndx != SHN_UNDEF)
            return owners[d->owner].base + d->value;
    return 0;
}

/* What a still lazy call of `n` will find, or 0. */
static uintptr_t call_target(const pb_elf *object, const ElfW(Sym) *symbol, const name *n)
{
    if (symbol->st_shndx != SHN_UNDEF)      /* the object's own, unless there is an older */
        return n->global != 0 ? n->global : object->base + symbol->st_value;
    if (n->global != 0 && !pb_elf_contains(object, n->global))
        return n->global;
    return name_definition(n);      /* its own call stub would call itself */
}

/* Slot visitor for the host's objects.  A lazy call holds an address in its own object
 * until it is bound; so does one that is bound to its own object. */
static int host_slot_prepare(const pb_elf *object, const pb_elf_slot *slot, void *is_owner)
{
    const ElfW(Sym) *symbol = slot->symbol;
    const int own = symbol->st_shndx != SHN_UNDEF;
    const name *n;
    uintptr_t target;

    if (*(int *)is_owner && !own && strcmp(slot->name, "dlopen") == 0)
        return pb_elf_slot_store(object, slot, (uintptr_t)host_dlopen);
    if (!slot->is_call || !pb_elf_contains(object, *slot->address)
        || (own && *slot->address == object->base + symbol->st_value))
        return 0;
    n = name_find(slot->name);
    target = n != NULL ? call_target(object, symbol, n) : 0;
    if (target == 0)
        return 0;
    report.prebound++;
    return pb_elf_slot_store(object, slot, target);
}

static int host_prepare_object(const pb_elf *object, void *unused)
{
    int is_owner = 0;

    (void)unused;
    for (size_t i = 0; i < owner_count; i++)
        is_owner |= owners[i].start == object->start && !is_bridge(object);
    return pb_elf_each_slot(object, host_slot_prepare, &is_owner);
}

/* Collect the names, keep the owners loaded, bind what is lazy.  0, or -1 with errno. */
static int host_prepare(void)
{
    const pb_elf_census nothing = {0};

    owner_count = name_count = 0;           /* of a load that failed */
    if (pb_elf_each(names_collect, NULL) < 0) {
        errno = ENOMEM;
        return -1;
    }
    if (name_count > 0)
        qsort(names, name_count, sizeof *names, name_compare);
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
        report.hidden += names[i].symbol != NULL;
    }
    if (!forks_watched
        && (errno = pthread_atfork(pb_elf_fork_before, pb_elf_fork_after, on_fork_child)) != 0)
        return -1;
    forks_watched = 1;
    return pb_elf_each_since(&nothing, host_prepare_object, NULL) < 0 ? -1 : 0;
}

/* ---- windows ---- */

/* 0, or -1 with errno and nothing hidden. */
static int names_hide(void)
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
static void names_show(void)
{
    if (--windows > 0)
        return;
    for (size_t i = 0; i < name_count; i++)
        if (names[i].symbol != NULL)
            __atomic_store_n(&names[i].symbol->st_value, names[i].value, __ATOMIC_RELEASE);
    for (size_t i = 0; i < owner_count; i++)
        (void)pb_elf_pages_close(&owners[i].pages);
}

/* Slot visitor for the guest's objects. */
static int guest_slot_patch(const pb_elf *object, const pb_elf_slot *slot, void *unused)
{
    const name *n;

    (void)unused;
    if (slot->symbol->st_shndx != SHN_UNDEF)
        return 0;
    if (strcmp(slot->name, "dlopen") == 0) {
        if (*slot->address != (uintptr_t)guest_dlopen
            && pb_elf_slot_store(object, slot, (uintptr_t)guest_dlopen) == 0)
            report.patched++;
    } else if (slot->is_call && pb_elf_contains(object, *slot->address)) {
        n = name_find(slot->name);          /* lazy after all */
        if (n != NULL && n->guest != 0)
            (void)pb_elf_slot_store(object, slot, n->guest);
    }
    return 0;
}

static int guest_patch_object(const pb_elf *object, void *unused)
{
    return pb_elf_each_slot(object, guest_slot_patch, unused);
}

/* Hide the names for one dlopen: 0 and a census for window_close, or -1 with errno. */
static int window_open(pb_elf_census *before)
{
    lock_take(&load_lock, &load_held);
    if (pb_elf_census_take(before) == 0) {
        if (names_hide() == 0)
            return 0;
        pb_elf_census_free(before);
    }
    lock_give(&load_lock, &load_held);
    return -1;
}

static void window_close(pb_elf_census *before, int loaded)
{
    if (loaded)
        (void)pb_elf_each_since(before, guest_patch_object, NULL);
    names_show();
    lock_give(&load_lock, &load_held);
    pb_elf_census_free(before);
}

/* In the child of any fork, also one that the guest makes without asking us: what another
 * thread held or had begun has no one to end it.  (To wait for it before the fork would
 * not do: older glibc runs such handlers under the lock of pthread_atfork, which
 * constructors call.) */
static void on_fork_child(void)
{
    pb_elf_fork_after();
    if (guest_held == 0) {
        guest_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
        if (windows > 0) {
            windows = 1;
            names_show();
        }
    }
    if (load_held == 0)
        load_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

/* ---- the guest's dlopen ---- */

/* Slot visitor: is a Python name bound to the host? */
static int is_bound_to_host(const pb_elf *object, const pb_elf_slot *slot, void *unused)
{
    (void)unused;
    if (slot->symbol->st_shndx != SHN_UNDEF || !is_python(slot->name))
        return 0;
    for (size_t i = 0; i < owner_count; i++)
        if (*slot->address >= owners[i].start && *slot->address < owners[i].end)
            return !pb_elf_contains(object, *slot->address);
    return 0;
}

static int is_host_module(const pb_elf *object, void *dynamic)
{
    return object->dynamic == dynamic && pb_elf_each_slot(object, is_bound_to_host, NULL);
}

/* Fail as dlopen fails.  Only the linker can set dlerror's text, so it is asked for a file
 * of that name: "/pybridge: ...: cannot open shared object file: ..." */
static void *refuse(const char *file, const char *reason, int number)
{
    char text[PATH_MAX];

    say(text, sizeof text, "/pybridge: %s %s%s%s", file, reason, number != 0 ? ", " : "",
        number != 0 ? strerror(number) : "");
    return dlopen(text, RTLD_NOW);
}

/* What `dlopen` is in the host's: not inside a window of another thread. */
static void *host_dlopen(const char *file, int flags)
{
    const void *caller = __builtin_return_address(0);
    char path[PATH_MAX];
    void *handle;

    if (file == NULL || *file == '\0')
        return dlopen(file, flags);
    lock_take(&load_lock, &load_held);
    handle = dlopen(pb_elf_search(caller, file, path, sizeof path), flags);
    lock_give(&load_lock, &load_held);
    return handle;
}

/* What `dlopen` is in the guest's objects. */
static void *guest_dlopen(const char *file, int flags)
{
    const void *caller = __builtin_return_address(0);
    char path[PATH_MAX];
    pb_elf_census before;
    struct link_map *map = NULL;
    void *handle;
    int now = flags, shared;

    if (file == NULL || *file == '\0')
        return dlopen(library_name, flags | RTLD_NOLOAD);
    if (flags & RTLD_LAZY)
        now = (flags & ~RTLD_LAZY) | RTLD_NOW;
    lock_take(&guest_lock, &guest_held);
    file = pb_elf_search(caller, file, path, sizeof path);
    if (window_open(&before) < 0) {
        handle = refuse(file, "is not loaded, the host's Py names cannot be hidden", errno);
        goto done;
    }
    handle = dlopen(file, now);
    if (handle == NULL && now != flags)
        handle = dlopen(file, flags);       /* what is missing may never be called */
    shared = handle != NULL && dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0
          && pb_elf_census_has(&before, map->l_ld)
          && pb_elf_each(is_host_module, map->l_ld) != 0;
    window_close(&before, handle != NULL);
    if (shared) {
        (void)dlclose(handle);
        handle = refuse(file, "serves the host already, two interpreters cannot share it", 0);
    }
done:
    lock_give(&guest_lock, &guest_held);
    return handle;
}

/* ---- loading libpython ---- */

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

struct rival {
    const char *soname;         /* the guest's */
    struct stat file;           /* the guest's; st_ino 0: none */
    const char *found;
};

/* Visitor: is this the guest's library already, or one that the linker takes for it? */
static int is_rival(const pb_elf *object, void *closure)
{
    struct rival *rival = closure;
    struct stat file;

    if ((object->soname != NULL && strcmp(object->soname, rival->soname) == 0)
        || strcmp(last_part(object->name), rival->soname) == 0
        || (rival->file.st_ino != 0 && stat(object->name, &file) == 0
            && file.st_ino == rival->file.st_ino && file.st_dev == rival->file.st_dev))
        rival->found = object->name;
    return rival->found != NULL;
}

/* A host with libpython inside its program shows that it is the guest's twin, with the
 * same extension modules, only by this text: it tells version, date and compiler. */
static const char *version_by(uintptr_t get_version)
{
    return get_version != 0 ? ((const char *(*)(void))get_version)() : "";
}

/* In a window: learn what the names mean in libpython, and see that the whole process now
 * means the same.  NULL, or the name that fails. */
static const char *selftest(void *libpython)
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

/* After a failure the host is as it was, but that its lazy calls are bound and its dlopen
 * takes load_lock.  new, or NULL. */
static void *load_hidden(const char *path, char *error, size_t size)
{
    const name *version;
    uintptr_t version_function;
    const char *host_version, *wrong = NULL;
    struct link_map *map = NULL;
    pb_elf_census before;
    void *loaded;
    int twin = 0;

    if (host_prepare() < 0)
        goto cannot_hide;
    version = name_find("Py_GetVersion");
    version_function = version != NULL ? name_definition(version) : 0;
    host_version = version_by(version_function);
    if (window_open(&before) < 0)
        goto cannot_hide;
    loaded = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    if (loaded == NULL) {
        say(error, size, "%s cannot be loaded: %s; the guest must be a CPython for this "
            "machine with its shared library intact", path, dlerror());
    } else if (dlinfo(loaded, RTLD_DI_LINKMAP, &map) == 0) {
        library_name = map->l_name;         /* before anything may ask guest_dlopen for it */
        wrong = selftest(loaded);
        version_function = (uintptr_t)dlsym(loaded, "Py_GetVersion");
        twin = *host_version != '\0'
            && strcmp(host_version, version_by(version_function)) == 0;
    }
    window_close(&before, map != NULL && wrong == NULL && !twin);
    if (loaded == NULL)
        return NULL;
    if (twin)
        say(error, size, "%s is not loaded: the host is the same build of CPython (%s), and "
            "two interpreters cannot share extension modules; use a guest of another version, "
            "or PyPy as the host", path, host_version);
    else if (wrong != NULL)
        say(error, size, "%s is not isolated: the process does not find its %s; check that it "
            "is a libpython, remove what else defines that name (LD_PRELOAD?), or switch "
            "isolation off", path, wrong);
    else if (report.patched == 0)
        say(error, size, "%s is not isolated: its calls of dlopen cannot be redirected; use a "
            "libpython linked in the usual way, or switch isolation off", path);
    else
        return loaded;
    library_name = NULL;
    (void)dlclose(loaded);
    return NULL;

cannot_hide:
    say(error, size, "%s is not loaded: the host's Py names cannot be hidden (%s); allow "
        "mprotect on loaded libraries, or switch isolation off", path, strerror(errno));
    return NULL;
}

void *pb_isolate_load(const char *path, int enabled, char *error, size_t size)
{
    struct rival rival = {0};
    char *real = NULL;
    void *loaded = NULL;

    if (!enabled) {
        loaded = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
        if (loaded == NULL)
            say(error, size, "%s cannot be loaded: %s; check the guest's installation", path,
                dlerror());
        return loaded;
    }
    lock_take(&guest_lock, &guest_held);
    real = realpath(path, NULL);
    rival.soname = last_part(real != NULL ? real : path);
    if (stat(path, &rival.file) < 0)
        rival.file.st_ino = 0;
    if (library_name != NULL) {
        say(error, size, "%s is not loaded: this process already has a guest, %s; start "
            "another process for another guest", path, library_name);
    } else if (pb_elf_each(is_rival, &rival) != 0) {
        say(error, size, "%s is not loaded: the process already uses %s, and two interpreters "
            "cannot share one library; use a guest of another version, or PyPy as the host",
            path, *rival.found != '\0' ? rival.found : "it");
    } else {
        loaded = load_hidden(path, error, size);
        if (loaded != NULL)
            report.enabled = report.selftest = 1;
        else
            report = (pb_isolate_report){.prebound = report.prebound};
    }
    free(real);
    lock_give(&guest_lock, &guest_held);
    return loaded;
}
