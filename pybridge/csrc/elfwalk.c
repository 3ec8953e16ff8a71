/* SPDX-License-Identifier: MIT
 *
 * Reading the tables of loaded objects.
 *
 * Objects are visited with dl_iterate_phdr rather than along `_r_debug.r_map`: it is the
 * same list, but the linker holds the lock under which it adds and removes objects, so
 * none is unmapped while we look.  A visitor may meet an object that another thread's
 * dlopen is still relocating; its tables are complete, its slots may not be.
 *
 * Any thread may call.  One lock, held during a walk, inside all others but the linker's:
 * glibc does not reset that one in the child of a fork, so the fork must wait for walks.
 *
 * The addresses in a dynamic section are relocated in place by glibc, but not by musl and
 * not in sections that are read-only: what lies below the load address still needs it
 * added.  What then lies outside the object's segments is taken as absent.  The vdso is
 * left out: its section holds raw values and nobody may write to it.
 */
#define _GNU_SOURCE
#include "elfwalk.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/auxv.h>

static pthread_mutex_t walking = PTHREAD_MUTEX_INITIALIZER;

/* The highest symbol is at the end of the highest bucket's chain. */
static size_t count_by_gnu_hash(const uint32_t *table)
{
    const uint32_t bucket_count = table[0], first = table[1], bloom_words = table[2];
    const uint32_t *buckets = table + 4 + bloom_words * (sizeof(ElfW(Addr)) / 4);
    const uint32_t *chain = buckets + bucket_count;
    uint32_t last = 0;

    for (uint32_t i = 0; i < bucket_count; i++)
        if (buckets[i] > last)
            last = buckets[i];
    if (last < first)
        return first;           /* nothing hashed: only undefined symbols */
    while ((chain[last - first] & 1) == 0)
        last++;
    return (size_t)last + 1;
}

static const void *relocated(const pb_elf *object, ElfW(Addr) address)
{
    if (address < object->base)
        address += object->base;
    return pb_elf_contains(object, address) ? (const void *)address : NULL;
}

static void read_dynamic(pb_elf *object)
{
    const uint32_t *hash = NULL, *gnu_hash = NULL;
    ElfW(Xword) soname = 0, plain_relocations = DT_RELA;

    for (const ElfW(Dyn) *d = object->dynamic; d->d_tag != DT_NULL; d++) {
        switch (d->d_tag) {
        case DT_SYMTAB: object->symbols = (ElfW(Sym) *)relocated(object, d->d_un.d_ptr); break;
        case DT_STRTAB: object->strings = relocated(object, d->d_un.d_ptr); break;
        case DT_STRSZ: object->strings_size = d->d_un.d_val; break;
        case DT_SONAME: soname = d->d_un.d_val; break;
        case DT_HASH: hash = relocated(object, d->d_un.d_ptr); break;
        case DT_GNU_HASH: gnu_hash = relocated(object, d->d_un.d_ptr); break;
        case DT_JMPREL: object->calls = relocated(object, d->d_un.d_ptr); break;
        case DT_PLTRELSZ: object->call_count = d->d_un.d_val / sizeof(ElfW(Rela)); break;
        case DT_PLTREL: plain_relocations = d->d_un.d_val; break;
        case DT_RELA: object->others = relocated(object, d->d_un.d_ptr); break;
        case DT_RELASZ: object->other_count = d->d_un.d_val / sizeof(ElfW(Rela)); break;
        default: break;
        }
    }
    if (object->symbols == NULL || object->strings == NULL)
        object->symbols = NULL;
    else if (gnu_hash != NULL)
        object->symbol_count = count_by_gnu_hash(gnu_hash);
    else if (hash != NULL)
        object->symbol_count = hash[1];     /* nchain */
    if (object->calls == NULL || object->symbols == NULL || plain_relocations != DT_RELA)
        object->call_count = 0;
    if (object->others == NULL || object->symbols == NULL)
        object->other_count = 0;
    if (soname != 0 && object->strings != NULL && soname < object->strings_size)
        object->soname = object->strings + soname;
}

struct walk {
    pb_elf_visit *visit;
    void *closure;
};

static int on_object(struct dl_phdr_info *info, size_t size, void *closure)
{
    const struct walk *walk = closure;
    const uintptr_t vdso = getauxval(AT_SYSINFO_EHDR);
    pb_elf object = {
        .name = info->dlpi_name != NULL ? info->dlpi_name : "",
        .base = info->dlpi_addr,
        .start = UINTPTR_MAX,
        .headers = info->dlpi_phdr,
        .header_count = info->dlpi_phnum,
    };

    (void)size;
    for (size_t i = 0; i < object.header_count; i++) {
        const ElfW(Phdr) *h = &object.headers[i];
        const uintptr_t start = object.base + h->p_vaddr;
        if (h->p_type == PT_DYNAMIC)
            object.dynamic = (const ElfW(Dyn) *)start;
        if (h->p_type != PT_LOAD)
            continue;
        if (start < object.start)
            object.start = start;
        if (start + h->p_memsz > object.end)
            object.end = start + h->p_memsz;
    }
    if (object.dynamic == NULL || (vdso != 0 && pb_elf_contains(&object, vdso)))
        return 0;
    read_dynamic(&object);
    return walk->visit(&object, walk->closure);
}

int pb_elf_each(pb_elf_visit *visit, void *closure)
{
    struct walk walk = {visit, closure};
    int answer;

    (void)pthread_mutex_lock(&walking);
    answer = dl_iterate_phdr(on_object, &walk);
    (void)pthread_mutex_unlock(&walking);
    return answer;
}

void pb_elf_fork_before(void)
{
    (void)pthread_mutex_lock(&walking);
}

void pb_elf_fork_after(void)
{
    (void)pthread_mutex_unlock(&walking);
}

const char *pb_elf_symbol_name(const pb_elf *object, const ElfW(Sym) *symbol)
{
    return symbol->st_name < object->strings_size ? object->strings + symbol->st_name : "";
}

/* ---- what has come since ---- */

static int census_add(const pb_elf *object, void *closure)
{
    pb_elf_census *census = closure;

    if (census->count == census->room) {
        const size_t room = census->room == 0 ? 128 : 2 * census->room;
        const ElfW(Dyn) **more = realloc(census->objects, room * sizeof *more);
        if (more == NULL)
            return -1;
        census->objects = more;
        census->room = room;
    }
    census->objects[census->count++] = object->dynamic;
    return 0;
}

int pb_elf_census_take(pb_elf_census *census)
{
    *census = (pb_elf_census){0};
    if (pb_elf_each(census_add, census) == 0)
        return 0;
    pb_elf_census_free(census);
    errno = ENOMEM;
    return -1;
}

void pb_elf_census_free(pb_elf_census *census)
{
    free(census->objects);
    *census = (pb_elf_census){0};
}

int pb_elf_census_has(const pb_elf_census *census, const ElfW(Dyn) *object)
{
    for (size_t i = 0; i < census->count; i++)
        if (census->objects[i] == object)
            return 1;
    return 0;
}

struct newcomers {
    const pb_elf_census *before;
    const ElfW(Dyn) *last;
    struct walk walk;
};

static int newcomers_end(const pb_elf *object, void *closure)
{
    ((struct newcomers *)closure)->last = object->dynamic;
    return 0;
}

static int newcomers_visit(const pb_elf *object, void *closure)
{
    const struct newcomers *new = closure;
    int answer = 0;

    if (!pb_elf_census_has(new->before, object->dynamic))
        answer = new->walk.visit(object, new->walk.closure);
    return answer != 0 ? answer : object->dynamic == new->last;
}

/* Another thread may be loading things too, and writing to the slots of an object that is
 * still being relocated collides with the linker, which is about to protect them.  So see
 * where the list ends, wait once for the lock that the linker holds over a whole dlopen,
 * and go no further than that. */
int pb_elf_each_since(const pb_elf_census *census, pb_elf_visit *visit, void *closure)
{
    struct newcomers new = {census, NULL, {visit, closure}};
    void *program;

    (void)pb_elf_each(newcomers_end, &new);
    program = dlopen(NULL, RTLD_LAZY);
    if (program != NULL)
        (void)dlclose(program);
    return pb_elf_each(newcomers_visit, &new);
}
