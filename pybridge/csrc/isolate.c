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
 * guest loads something, the host's names are made undefined (hostnames.c): all lookups
 * then end at libpython, before any constructor runs, without a relocation being touched.
 * Outside these windows the host finds its names as ever.
 *
 * - Windows.  The guest loads things through `dlopen`, so that name, in libpython and in
 *   each object that appears during a guest dlopen, is pointed at `guest_dlopen`: hide,
 *   dlopen with RTLD_NOW, patch what is new, show.  Nothing may stay lazy, because a lazy
 *   call looks its name up outside the window.  dlopen(NULL), by which ctypes.pythonapi
 *   asks for "the program", answers libpython.
 * - The host.  Its lazy calls of hidden names are bound before the first window; and its
 *   `dlopen`, in the interpreter, waits for windows to close.
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
 * guest_lock for all that is static here and in hostnames.c, held over guest dlopens and
 * over fork; load_lock for the linker's time, held over windows and over host dlopens.  The
 * host may run code between its preparations for a fork and the fork, and its GIL may be
 * held in its dlopen: so that one must not wait for the first lock.  Order: guest GIL,
 * guest_lock, load_lock, the linker's own.  The linker holds its own over a dlopen and the
 * constructors too, so ours add no wait that dlopen does not have.  A fork by whoever takes
 * no lock of ours is put right in the child.
 *
 * dlerror is the caller's: after a dlopen that failed, nothing here calls the linker.
 */
#define _GNU_SOURCE
#include "isolate.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "elfsearch.h"
#include "elfslots.h"
#include "elfwalk.h"
#include "hostnames.h"
#include "window.h"

static pthread_mutex_t guest_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t load_lock = PTHREAD_MUTEX_INITIALIZER;
static __thread __attribute__((tls_model("initial-exec"))) unsigned guest_held, load_held;

pb_isolate_report pb_isolation;
const char *pb_isolation_library;
static int forks_watched;

static void *guest_dlopen(const char *file, int flags);
static void *host_dlopen(const char *file, int flags);

const pb_isolate_report *pb_isolate_state(void)
{
    return &pb_isolation;
}

/* ---- locks ---- */

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

void pb_isolation_lock(void)
{
    lock_take(&guest_lock, &guest_held);
}

void pb_isolation_unlock(void)
{
    lock_give(&guest_lock, &guest_held);
}

void pb_isolate_fork_before(void)
{
    pb_isolation_lock();
}

void pb_isolate_fork_after(int child)
{
    (void)child;                /* this thread's count is the same on both sides */
    pb_isolation_unlock();
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
        pb_names_show_forked();
    }
    if (load_held == 0)
        load_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

/* ---- windows ---- */

int pb_window_prepare(void)
{
    const int hidden = pb_names_collect();

    if (hidden < 0)
        return -1;
    pb_isolation.hidden = hidden;
    if (!forks_watched
        && (errno = pthread_atfork(pb_elf_fork_before, pb_elf_fork_after, on_fork_child)) != 0)
        return -1;
    forks_watched = 1;
    return pb_names_prebind(host_dlopen, &pb_isolation.prebound);
}

int pb_window_open(pb_elf_census *before)
{
    lock_take(&load_lock, &load_held);
    if (pb_elf_census_take(before) == 0) {
        if (pb_names_hide() == 0)
            return 0;
        pb_elf_census_free(before);
    }
    lock_give(&load_lock, &load_held);
    return -1;
}

/* Slot visitor for the guest's objects. */
static int patch_slot(const pb_elf *object, const pb_elf_slot *slot, void *unused)
{
    uintptr_t target;

    (void)unused;
    if (!pb_elf_slot_imports(slot))
        return 0;
    if (strcmp(slot->name, "dlopen") == 0) {
        if (*slot->address != (uintptr_t)guest_dlopen
            && pb_elf_slot_store(object, slot, (uintptr_t)guest_dlopen) == 0)
            pb_isolation.patched++;
    } else if (pb_elf_slot_may_be_lazy(object, slot)) {     /* after all */
        target = pb_names_of_guest(slot->name);
        if (target != 0)
            (void)pb_elf_slot_store(object, slot, target);
    }
    return 0;
}

static int patch_object(const pb_elf *object, void *unused)
{
    return pb_elf_each_slot(object, patch_slot, unused);
}

void pb_window_close(pb_elf_census *before, int loaded)
{
    if (loaded)
        (void)pb_elf_each_since(before, patch_object, NULL);
    pb_names_show();
    lock_give(&load_lock, &load_held);
    pb_elf_census_free(before);
}

/* ---- dlopen ---- */

static int is_host_module(const pb_elf *object, void *dynamic)
{
    return object->dynamic == dynamic && pb_names_are_used_by(object);
}

/* Fail as dlopen fails.  Only the linker can set dlerror's text, so it is asked for a file
 * of that name: "/pybridge: ...: cannot open shared object file: ..." */
static void *refuse(const char *file, const char *reason, int number)
{
    char text[PATH_MAX];

    snprintf(text, sizeof text, "/pybridge: %s %s%s%s", file, reason, number != 0 ? ", " : "",
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
        return dlopen(pb_isolation_library, flags | RTLD_NOLOAD);
    if (flags & RTLD_LAZY)
        now = (flags & ~RTLD_LAZY) | RTLD_NOW;
    pb_isolation_lock();
    file = pb_elf_search(caller, file, path, sizeof path);
    if (pb_window_open(&before) < 0) {
        handle = refuse(file, "is not loaded, the host's Py names cannot be hidden", errno);
        goto done;
    }
    handle = dlopen(file, now);
    if (handle == NULL && now != flags)
        handle = dlopen(file, flags);       /* what is missing may never be called */
    shared = handle != NULL && dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0
          && pb_elf_census_has(&before, map->l_ld)
          && pb_elf_each(is_host_module, map->l_ld) != 0;
    pb_window_close(&before, handle != NULL);
    if (shared) {
        (void)dlclose(handle);
        handle = refuse(file, "serves the host already, two interpreters cannot share it", 0);
    }
done:
    pb_isolation_unlock();
    return handle;
}
