/* SPDX-License-Identifier: MIT
 *
 * The loaded objects of this process as the dynamic linker sees them, and which of them are
 * new.  Knows nothing of Python, nor do elfslots.h and elfsearch.h.
 */
#ifndef PB_ELFWALK_H
#define PB_ELFWALK_H

#include <link.h>
#include <stddef.h>
#include <stdint.h>

/* One loaded object.  Valid inside the visitor that receives it; the memory it points to
 * for as long as the object stays loaded. */
typedef struct pb_elf {
    const char *name;           /* as the linker knows it, "" for the program */
    const char *soname;         /* or NULL */
    uintptr_t base;             /* what is added to the addresses in the file */
    uintptr_t start, end;       /* its segments lie in [start, end) */
    const ElfW(Phdr) *headers;
    size_t header_count;
    const ElfW(Dyn) *dynamic;   /* identifies the object */
    ElfW(Sym) *symbols;
    size_t symbol_count;
    const char *strings;
    size_t strings_size;
    const ElfW(Rela) *calls, *others;       /* DT_JMPREL, DT_RELA */
    size_t call_count, other_count;
} pb_elf;

/* A visitor answers 0 to go on.  It runs under the linker's own lock, which keeps the list
 * and the objects in place: it must not call dlopen, dlsym, dlclose, dladdr. */
typedef int pb_elf_visit(const pb_elf *object, void *closure);

/* All objects, oldest first; the first answer that is not 0, or 0. */
int pb_elf_each(pb_elf_visit *visit, void *closure);

/* For pthread_atfork: no thread of ours is on a walk at the fork.  After it, on both sides. */
void pb_elf_fork_before(void);
void pb_elf_fork_after(void);

/* The objects that are loaded at one moment. */
typedef struct pb_elf_census {
    const ElfW(Dyn) **objects;
    size_t count, room;
} pb_elf_census;

/* 0, or -1 with errno and nothing to free. */
int pb_elf_census_take(pb_elf_census *census);
void pb_elf_census_free(pb_elf_census *census);
int pb_elf_census_has(const pb_elf_census *census, const ElfW(Dyn) *object);
/* As pb_elf_each, for the objects that have come since.  All that the visitor meets are
 * relocated.  Calls the linker. */
int pb_elf_each_since(const pb_elf_census *census, pb_elf_visit *visit, void *closure);

static inline int pb_elf_contains(const pb_elf *object, uintptr_t address)
{
    return address >= object->start && address < object->end;
}

/* The symbol's name; "" when the table is damaged. */
const char *pb_elf_symbol_name(const pb_elf *object, const ElfW(Sym) *symbol);

#endif
