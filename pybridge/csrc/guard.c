/* SPDX-License-Identifier: MIT
 *
 * Host memory that the guest uses stays where it is.
 *
 * PyPy's array.array grows by realloc, and mmap.close unmaps, whoever has the address; neither
 * asks.  While the guest holds such a block, a free() of it must wait, or the guest's array
 * would point to nothing.  So the host library's own calls of free, realloc, munmap and mremap
 * are led through here, by the words that the linker keeps for them: a pinned block is not
 * freed but noted, and freed when the last pin goes; realloc of one copies and notes; mremap
 * is refused.  The host program sees what it always saw; the guest keeps the old block, which
 * no longer is the host object's.
 *
 * It begins with the first pin and is never undone.  A call that is about no pinned block
 * costs two comparisons.  Nothing here knows PyPy, but for the name by which its library is
 * found.  Any thread; `lock` is innermost, taken in free() itself, and held over a fork:
 * recursive, because another's fork handler may free something meanwhile.
 */
#define _GNU_SOURCE
#include "guard.h"

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "elfslots.h"
#include "window.h"

typedef struct pin {
    struct pin *next;
    void *start;
    size_t length;              /* of a mapping that was unmapped meanwhile */
    unsigned count;
    enum { IN_USE, FREED, UNMAPPED } state;
} pin;

enum { BUCKETS = 1024 };
static pin *buckets[BUCKETS];
static uintptr_t lowest = UINTPTR_MAX, highest;         /* of all blocks ever pinned */
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static int installed;                                   /* 1, or -1: it cannot be */

static pin **bucket(const void *start)
{
    return &buckets[((uintptr_t)start >> 4) % BUCKETS];
}

/* With the lock. */
static pin *find(const void *start)
{
    pin *p = *bucket(start);
    while (p != NULL && p->start != start)
        p = p->next;
    return p;
}

static int may_be_pinned(const void *start)
{
    return (uintptr_t)start >= __atomic_load_n(&lowest, __ATOMIC_ACQUIRE)
        && (uintptr_t)start <= __atomic_load_n(&highest, __ATOMIC_ACQUIRE);
}

/* Note that the host let go of a block: 1, or 0 when it is not pinned. */
static int put_off(void *start, size_t length, int state)
{
    int found = 0;
    if (!may_be_pinned(start))
        return 0;
    pthread_mutex_lock(&lock);
    pin *p = find(start);
    if (p != NULL && p->state == IN_USE) {
        p->state = state;
        p->length = length;
        found = 1;
    }
    pthread_mutex_unlock(&lock);
    return found;
}

/* ---- what the host calls instead ---- */

static void host_free(void *block)
{
    if (block == NULL || !put_off(block, 0, FREED))
        free(block);
}

static void *host_realloc(void *block, size_t size)
{
    if (block == NULL || !may_be_pinned(block))
        return realloc(block, size);
    pthread_mutex_lock(&lock);
    const pin *p = find(block);
    int pinned = p != NULL && p->state == IN_USE;
    pthread_mutex_unlock(&lock);
    if (!pinned)
        return realloc(block, size);
    void *other = malloc(size);
    if (other != NULL) {
        size_t old = malloc_usable_size(block);
        memcpy(other, block, old < size ? old : size);
        host_free(block);
    }
    return other;
}

static int host_munmap(void *start, size_t length)
{
    return put_off(start, length, UNMAPPED) ? 0 : munmap(start, length);
}

static void *host_mremap(void *start, size_t old, size_t size, int flags, void *where)
{
    if (may_be_pinned(start)) {
        pthread_mutex_lock(&lock);
        const pin *p = find(start);
        int pinned = p != NULL && p->state == IN_USE;
        pthread_mutex_unlock(&lock);
        if (pinned) {
            errno = EBUSY;
            return MAP_FAILED;
        }
    }
    return mremap(start, old, size, flags, where);
}

/* ---- beginning ---- */

static uintptr_t free_ours(void) { return (uintptr_t)host_free; }
static uintptr_t realloc_ours(void) { return (uintptr_t)host_realloc; }
static uintptr_t munmap_ours(void) { return (uintptr_t)host_munmap; }
static uintptr_t mremap_ours(void) { return (uintptr_t)host_mremap; }
static const struct { const char *name; uintptr_t (*ours)(void); } calls[] = {
    {"free", free_ours}, {"realloc", realloc_ours}, {"munmap", munmap_ours}, {"mremap", mremap_ours}};
enum { CALLS = sizeof calls / sizeof *calls, NEEDED = 3 };      /* free, realloc, munmap */

typedef struct search { uintptr_t inside; unsigned found; } search;

static int lead(const pb_elf *object, const pb_elf_slot *slot, void *closure)
{
    search *s = closure;
    for (unsigned i = 0; i < CALLS; i++)
        if (pb_elf_slot_imports(slot) && strcmp(slot->name, calls[i].name) == 0) {
            if (pb_elf_slot_store(object, slot, calls[i].ours()) != 0)
                return -1;
            s->found |= 1u << i;
        }
    return 0;
}

static int lead_host(const pb_elf *object, void *closure)
{
    const search *s = closure;
    if (!pb_elf_contains(object, s->inside))
        return 0;
    return pb_elf_each_slot(object, lead, closure) == 0 ? 1 : -1;
}

static void before_fork(void) { pthread_mutex_lock(&lock); }
static void after_fork(void) { pthread_mutex_unlock(&lock); }
/* Its holder has another thread id there. */
static void in_child(void) { lock = (pthread_mutex_t)PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP; }

static int install(void)
{
    search s = {(uintptr_t)dlsym(RTLD_DEFAULT, "rpython_startup_code"), 0};
    int answer = -1;
    if (s.inside == 0)
        return -1;
    pb_isolation_lock();
    if (pb_elf_each(lead_host, &s) == 1 && (s.found & ((1u << NEEDED) - 1)) == (1u << NEEDED) - 1)
        answer = pthread_atfork(before_fork, after_fork, in_child) == 0 ? 1 : -1;
    pb_isolation_unlock();
    return answer;
}

/* ---- pins ---- */

int pb_guard_pin(void *start)
{
    if (installed == 0)                         /* with the guest GIL: one at a time */
        installed = install();
    if (installed < 0)
        return -1;
    pin *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return -1;
    pthread_mutex_lock(&lock);
    pin *p = find(start);
    if (p != NULL && p->state == IN_USE) {
        p->count++;
        pthread_mutex_unlock(&lock);
        free(fresh);
        return 0;
    }
    fresh->start = start;
    fresh->count = 1;
    fresh->next = *bucket(start);
    *bucket(start) = fresh;
    if ((uintptr_t)start < lowest)
        __atomic_store_n(&lowest, (uintptr_t)start, __ATOMIC_RELEASE);
    if ((uintptr_t)start > highest)
        __atomic_store_n(&highest, (uintptr_t)start, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&lock);
    return 0;
}

void pb_guard_unpin(void *start)
{
    pin *gone = NULL;
    pthread_mutex_lock(&lock);
    for (pin **link = bucket(start); *link != NULL; link = &(*link)->next)
        if ((*link)->start == start) {
            if (--(*link)->count == 0) {
                gone = *link;
                *link = gone->next;
            }
            break;
        }
    pthread_mutex_unlock(&lock);
    if (gone == NULL)
        return;
    if (gone->state == FREED)
        free(start);
    else if (gone->state == UNMAPPED)
        (void)munmap(start, gone->length);
    free(gone);
}
