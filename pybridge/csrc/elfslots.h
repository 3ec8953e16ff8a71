/* SPDX-License-Identifier: MIT
 *
 * The relocated slots of a loaded object, through which it calls and reads other objects,
 * and writing to what the linker has protected.
 */
#ifndef PB_ELFSLOTS_H
#define PB_ELFSLOTS_H

#include "elfwalk.h"

/* A word that the linker fills with the address of a symbol. */
typedef struct pb_elf_slot {
    uintptr_t *address;
    const ElfW(Sym) *symbol;
    const char *name;
    int is_call;                /* JUMP_SLOT: may still be lazy */
} pb_elf_slot;

/* Is the symbol another object's to define? */
static inline int pb_elf_slot_imports(const pb_elf_slot *slot)
{
    return slot->symbol->st_shndx == SHN_UNDEF;
}

/* A lazy call holds an address in its own object until it is bound.  So does one that is
 * bound to its own object. */
static inline int pb_elf_slot_may_be_lazy(const pb_elf *object, const pb_elf_slot *slot)
{
    return slot->is_call && pb_elf_contains(object, *slot->address);
}

/* As pb_elf_visit, for the slots of one object. */
typedef int pb_elf_slot_visit(const pb_elf *object, const pb_elf_slot *slot, void *closure);
int pb_elf_each_slot(const pb_elf *object, pb_elf_slot_visit *visit, void *closure);

/* Pages of one segment, and the protection that the linker left on them. */
typedef struct pb_elf_pages {
    uintptr_t start;
    size_t length;
    int protection;
} pb_elf_pages;

/* The pages from the one with `first` to the one with `last`. */
pb_elf_pages pb_elf_pages_around(const pb_elf *object, const void *first, const void *last);
/* Writable as well, or as they were.  0, or -1 with errno. */
int pb_elf_pages_open(const pb_elf_pages *pages);
int pb_elf_pages_close(const pb_elf_pages *pages);

/* Store, opening and closing the page where that is needed.  0, or -1 with errno. */
int pb_elf_slot_store(const pb_elf *object, const pb_elf_slot *slot, uintptr_t value);

#endif
