/* SPDX-License-Identifier: MIT
 *
 * Reading and writing the tables of loaded objects.
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
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "elfwalk.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

/* The relocations that store a symbol's plain address (their numbers: psABI). */
#if defined(__x86_64__) && defined(__LP64__)
enum { CALL = R_X86_64_JUMP_SLOT, DATA = R_X86_64_GLOB_DAT, WORD = R_X86_64_64 };
#elif defined(__aarch64__) && defined(__LP64__)
enum { CALL = R_AARCH64_JUMP_SLOT, DATA = R_AARCH64_GLOB_DAT, WORD = R_AARCH64_ABS64 };
#else
#error "elfwalk.c: add this machine's relocation numbers"
#endif

static pthread_mutex_t walking = PTHREAD_MUTEX_INITIALIZER;

/* ---- objects ---- */

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

/* ---- slots ---- */

static int each_of(const pb_elf *object, const ElfW(Rela) *table, size_t count,
                   pb_elf_slot_visit *visit, void *closure)
{
    int answer = 0;

    for (size_t i = 0; i < count && answer == 0; i++) {
        const ElfW(Rela) *r = &table[i];
        const size_t symbol = ELF64_R_SYM(r->r_info);
        const uint32_t kind = (uint32_t)ELF64_R_TYPE(r->r_info);
        const uintptr_t address = object->base + r->r_offset;

        if (kind != CALL && kind != DATA && kind != WORD)
            continue;
        /* An undefined symbol need not be hashed, so the count says nothing about it. */
        if (symbol == 0 || r->r_addend != 0 || address % sizeof(uintptr_t) != 0
            || !pb_elf_contains(object, address))
            continue;
        const pb_elf_slot slot = {
            .address = (uintptr_t *)address,
            .symbol = &object->symbols[symbol],
            .name = pb_elf_symbol_name(object, &object->symbols[symbol]),
            .is_call = kind == CALL,
        };
        answer = visit(object, &slot, closure);
    }
    return answer;
}

int pb_elf_each_slot(const pb_elf *object, pb_elf_slot_visit *visit, void *closure)
{
    int answer = each_of(object, object->calls, object->call_count, visit, closure);
    if (answer == 0)
        answer = each_of(object, object->others, object->other_count, visit, closure);
    return answer;
}

/* ---- pages ---- */

/* What the linker leaves: the segment's flags, and no writing where PT_GNU_RELRO covers
 * whole pages (its end is rounded down). */
static int final_protection(const pb_elf *object, uintptr_t address, uintptr_t page_size)
{
    int protection = PROT_READ;

    for (size_t i = 0; i < object->header_count; i++) {
        const ElfW(Phdr) *h = &object->headers[i];
        const uintptr_t start = (object->base + h->p_vaddr) & -page_size;
        const uintptr_t end = object->base + h->p_vaddr + h->p_memsz;
        if (h->p_type == PT_LOAD && address >= start && address < end)
            protection = ((h->p_flags & PF_R) ? PROT_READ : 0)
                       | ((h->p_flags & PF_W) ? PROT_WRITE : 0)
                       | ((h->p_flags & PF_X) ? PROT_EXEC : 0);
        if (h->p_type == PT_GNU_RELRO && address >= start && address < (end & -page_size))
            return protection & ~PROT_WRITE;    /* follows the segments in the table */
    }
    return protection;
}

pb_elf_pages pb_elf_pages_around(const pb_elf *object, const void *first, const void *last)
{
    const uintptr_t page_size = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t start = (uintptr_t)first & -page_size;
    const uintptr_t end = ((uintptr_t)last & -page_size) + page_size;

    return (pb_elf_pages){start, end - start,
                          final_protection(object, (uintptr_t)first, page_size)};
}

int pb_elf_pages_open(const pb_elf_pages *pages)
{
    if (pages->protection & PROT_WRITE)
        return 0;
    return mprotect((void *)pages->start, pages->length, pages->protection | PROT_WRITE);
}

int pb_elf_pages_close(const pb_elf_pages *pages)
{
    if (pages->protection & PROT_WRITE)
        return 0;
    return mprotect((void *)pages->start, pages->length, pages->protection);
}

int pb_elf_slot_store(const pb_elf *object, const pb_elf_slot *slot, uintptr_t value)
{
    const pb_elf_pages page = pb_elf_pages_around(object, slot->address, slot->address);

    if (pb_elf_pages_open(&page) < 0)
        return -1;
    __atomic_store_n(slot->address, value, __ATOMIC_RELEASE);
    return pb_elf_pages_close(&page);
}

/* ---- the caller's search path ---- */

#ifdef __GLIBC__

struct owner {
    uintptr_t address;
    const char *name;
};

/* dladdr would do, but it looks for the symbol as well: milliseconds in a large library. */
static int is_owner(const pb_elf *object, void *closure)
{
    struct owner *owner = closure;
    if (pb_elf_contains(object, owner->address))
        owner->name = object->name;
    return owner->name != NULL;
}

/* The directories that the linker searches for the object with `code`, in order, all
 * variables expanded: RPATH, LD_LIBRARY_PATH, RUNPATH, the system's.  new, or NULL. */
static Dl_serinfo *directories_of(const void *code, char *origin /* PATH_MAX, or NULL */)
{
    struct owner owner = {(uintptr_t)code, NULL};
    Dl_serinfo size, *list = NULL;
    void *handle = NULL;

    if (pb_elf_each(is_owner, &owner) == 0)
        goto done;
    handle = dlopen(owner.name, RTLD_LAZY | RTLD_NOLOAD);
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

/* glibc's dlopen looks at the code that called it; called from here it would search our
 * directories.  So the caller's own are tried first: those of its list that are not also
 * at the end of ours, which leaves LD_LIBRARY_PATH in its place before RUNPATH. */
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
