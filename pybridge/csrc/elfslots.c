/* SPDX-License-Identifier: MIT
 *
 * Which words of an object are slots, its relocation tables say.  A page that is not
 * writable is made so for one store and then gets back the protection that the linker left.
 *
 * Any thread may call, for an object that stays loaded.  No lock is taken here, and two
 * stores to one page must not overlap: one would protect it under the other.  All who store
 * hold guest_lock (isolate.c).
 */
#define _GNU_SOURCE
#include "elfslots.h"

#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

/* The relocations that store a symbol's plain address (their numbers: psABI). */
#if defined(__x86_64__) && defined(__LP64__)
enum { CALL = R_X86_64_JUMP_SLOT, DATA = R_X86_64_GLOB_DAT, WORD = R_X86_64_64 };
#elif defined(__aarch64__) && defined(__LP64__)
enum { CALL = R_AARCH64_JUMP_SLOT, DATA = R_AARCH64_GLOB_DAT, WORD = R_AARCH64_ABS64 };
#else
#error "elfslots.c: add this machine's relocation numbers"
#endif

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

static int protect(const pb_elf_pages *pages, int more)
{
    if (pages->protection & PROT_WRITE)
        return 0;
    return mprotect((void *)pages->start, pages->length, pages->protection | more);
}

int pb_elf_pages_open(const pb_elf_pages *pages)
{
    return protect(pages, PROT_WRITE);
}

int pb_elf_pages_close(const pb_elf_pages *pages)
{
    return protect(pages, 0);
}

int pb_elf_slot_store(const pb_elf *object, const pb_elf_slot *slot, uintptr_t value)
{
    const pb_elf_pages page = pb_elf_pages_around(object, slot->address, slot->address);

    if (pb_elf_pages_open(&page) < 0)
        return -1;
    __atomic_store_n(slot->address, value, __ATOMIC_RELEASE);
    return pb_elf_pages_close(&page);
}
