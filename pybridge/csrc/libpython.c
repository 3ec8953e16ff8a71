/* SPDX-License-Identifier: MIT
 *
 * Loading the guest's libpython, and seeing that it is alone and isolated.  Whatever speaks
 * against it is told in a sentence, before the guest runs its first instruction:
 *
 * - The process uses this very library already, or one that the linker takes for it.
 * - The host is the same build of CPython: it has the same extension modules.
 * - A self-test finds that some name still means the host's.
 * - The library's calls of dlopen cannot be redirected, so the next load would go wrong.
 *
 * After a failure the host is as it was, but that its lazy calls are bound and its dlopen
 * takes load_lock.  Any thread may call; guest_lock is held, unless isolation is off.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "elfwalk.h"
#include "hostnames.h"
#include "isolate.h"
#include "window.h"

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

/* new, or NULL */
static void *load_hidden(const char *path, char *error, size_t size)
{
    const char *host_version, *wrong = NULL;
    struct link_map *map = NULL;
    pb_elf_census before;
    void *loaded;
    int twin = 0;

    if (pb_window_prepare() < 0)
        goto cannot_hide;
    host_version = version_by(pb_names_of_host("Py_GetVersion"));
    if (pb_window_open(&before) < 0)
        goto cannot_hide;
    loaded = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    if (loaded == NULL) {
        snprintf(error, size, "%s cannot be loaded: %s; the guest must be a CPython for this "
                 "machine with its shared library intact", path, dlerror());
    } else if (dlinfo(loaded, RTLD_DI_LINKMAP, &map) == 0) {
        pb_isolation_library = map->l_name; /* before guest_dlopen may be asked for it */
        wrong = pb_names_selftest(loaded);
        twin = *host_version != '\0'
            && strcmp(host_version, version_by((uintptr_t)dlsym(loaded, "Py_GetVersion"))) == 0;
    }
    pb_window_close(&before, map != NULL && wrong == NULL && !twin);
    if (loaded == NULL)
        return NULL;
    if (twin)
        snprintf(error, size, "%s is not loaded: the host is the same build of CPython (%s), "
                 "and two interpreters cannot share extension modules; use a guest of another "
                 "version, or PyPy as the host", path, host_version);
    else if (wrong != NULL)
        snprintf(error, size, "%s is not isolated: the process does not find its %s; check "
                 "that it is a libpython, remove what else defines that name (LD_PRELOAD?), or "
                 "switch isolation off", path, wrong);
    else if (pb_isolation.patched == 0)
        snprintf(error, size, "%s is not isolated: its calls of dlopen cannot be redirected; "
                 "use a libpython linked in the usual way, or switch isolation off", path);
    else
        return loaded;
    pb_isolation_library = NULL;
    (void)dlclose(loaded);
    return NULL;

cannot_hide:
    snprintf(error, size, "%s is not loaded: the host's Py names cannot be hidden (%s); allow "
             "mprotect on loaded libraries, or switch isolation off", path, strerror(errno));
    return NULL;
}

static const char a_name[] = "PyType_GetFlags";      /* one that all hosts export */

static void *load_plainly(const char *path, char *error, size_t size)
{
    void *loaded = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    if (loaded == NULL) {
        snprintf(error, size, "%s cannot be loaded: %s; check the guest's installation", path,
                 dlerror());
    } else if (dlsym(RTLD_DEFAULT, a_name) != dlsym(loaded, a_name)) {
        /* The guest's own calls and those of its extension modules would go to the host. */
        snprintf(error, size, "%s is not started: symbol isolation is switched off, and the host "
                 "defines names of the guest (%s and others) in front of it; switch isolation on, "
                 "or have the guest's library loaded first (LD_PRELOAD)", path, a_name);
        (void)dlclose(loaded);
        loaded = NULL;
    }
    return loaded;
}

void *pb_isolate_load(const char *path, int enabled, char *error, size_t size)
{
    struct rival rival = {0};
    char *real = NULL;
    void *loaded = NULL;

    if (!enabled)
        return load_plainly(path, error, size);
    pb_isolation_lock();
    real = realpath(path, NULL);
    rival.soname = last_part(real != NULL ? real : path);
    if (stat(path, &rival.file) < 0)
        rival.file.st_ino = 0;
    if (pb_isolation_library != NULL) {
        snprintf(error, size, "%s is not loaded: this process already has a guest, %s; start "
                 "another process for another guest", path, pb_isolation_library);
    } else if (pb_elf_each(is_rival, &rival) != 0) {
        snprintf(error, size, "%s is not loaded: the process already uses %s, and two "
                 "interpreters cannot share one library; use a guest of another version, or "
                 "PyPy as the host", path, *rival.found != '\0' ? rival.found : "it");
    } else {
        loaded = load_hidden(path, error, size);
        if (loaded != NULL)
            pb_isolation.enabled = pb_isolation.selftest = 1;
        else
            pb_isolation = (pb_isolate_report){.prebound = pb_isolation.prebound};
    }
    free(real);
    pb_isolation_unlock();
    return loaded;
}
