/* SPDX-License-Identifier: MIT
 *
 * glibc's dlopen looks at the code that called it, to search the directories which that
 * code's object names.  A dlopen in place of another would search its own object's; so the
 * caller's are tried first, here.
 *
 * Any thread may call.  Takes no lock but the one of a walk and the linker's.
 */
#define _GNU_SOURCE
#include "elfsearch.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "elfwalk.h"

#ifdef __GLIBC__

struct home {
    uintptr_t address;
    const char *name;
};

/* dladdr would do, but it looks for the symbol as well: milliseconds in a large library. */
static int is_home(const pb_elf *object, void *closure)
{
    struct home *home = closure;
    if (pb_elf_contains(object, home->address))
        home->name = object->name;
    return home->name != NULL;
}

/* The directories that the linker searches for the object with `code`, in order, all
 * variables expanded: RPATH, LD_LIBRARY_PATH, RUNPATH, the system's.  new, or NULL. */
static Dl_serinfo *directories_of(const void *code, char *origin /* PATH_MAX, or NULL */)
{
    struct home home = {(uintptr_t)code, NULL};
    Dl_serinfo size, *list = NULL;
    void *handle = NULL;

    if (pb_elf_each(is_home, &home) == 0)
        goto done;
    handle = dlopen(home.name, RTLD_LAZY | RTLD_NOLOAD);
    if (handle == NULL || dlinfo(handle, RTLD_DI_SERINFOSIZE, &size) < 0)
        goto done;
    if (origin != NULL && dlinfo(handle, RTLD_DI_ORIGIN, origin) < 0)
        goto done;
    list = malloc(size.dls_size);
    if (list == NULL)
        goto done;
    if (dlinfo(handle, RTLD_DI_SERINFOSIZE, list) < 0
        || dlinfo(handle, RTLD_DI_SERINFO, list) < 0) {
        free(list);
        list = NULL;
    }
done:
    if (handle != NULL)
        (void)dlclose(handle);
    return list;
}

/* Tried are those of the caller's list that are not also at the end of ours, which leaves
 * LD_LIBRARY_PATH in its place before RUNPATH. */
const char *pb_elf_search(const void *caller, const char *file, char *found, size_t size)
{
    static const char *const tokens[] = {"$ORIGIN/", "${ORIGIN}/"};
    Dl_serinfo *theirs = NULL, *ours = NULL;
    const char *answer = file;
    char origin[4096] = "";
    void *loaded = NULL;
    size_t count;

    if (strchr(file, '/') != NULL && file[0] != '$')
        return file;
    theirs = directories_of(caller, origin);
    ours = directories_of((const void *)(uintptr_t)pb_elf_search, NULL);
    if (theirs == NULL || ours == NULL)
        goto done;
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        const size_t length = strlen(tokens[i]);
        if (strncmp(file, tokens[i], length) != 0)
            continue;
        if (snprintf(found, size, "%s/%s", origin, file + length) < (int)size)
            answer = found;
        goto done;
    }
    loaded = dlopen(file, RTLD_LAZY | RTLD_NOLOAD);
    if (loaded != NULL || strchr(file, '/') != NULL)
        goto done;              /* a loaded soname comes before any directory */
    count = theirs->dls_cnt;
    for (size_t shared = ours->dls_cnt; count > 0 && shared > 0; count--, shared--)
        if (strcmp(theirs->dls_serpath[count - 1].dls_name,
                   ours->dls_serpath[shared - 1].dls_name) != 0)
            break;
    for (size_t i = 0; i < count && answer == file; i++) {
        const char *directory = theirs->dls_serpath[i].dls_name;
        if (snprintf(found, size, "%s/%s", directory, file) < (int)size
            && access(found, R_OK) == 0)
            answer = found;
    }
done:
    if (loaded != NULL)
        (void)dlclose(loaded);
    free(theirs);
    free(ours);
    return answer;
}

#else   /* musl: dlopen does not look at its caller */

const char *pb_elf_search(const void *caller, const char *file, char *found, size_t size)
{
    (void)caller, (void)found, (void)size;
    return file;
}

#endif
