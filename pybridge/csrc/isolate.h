/* SPDX-License-Identifier: MIT
 *
 * Loading the guest's library into a process whose host defines the same names.
 * Any thread may call; isolate.c has the theory and the locks.
 */
#ifndef PB_ISOLATE_H
#define PB_ISOLATE_H

#include <stddef.h>

/* What isolation did, for the doctor.  `patched` grows while the guest loads things. */
typedef struct pb_isolate_report {
    int enabled;                /* 0: loaded plainly, or not loaded */
    int hidden;                 /* names that are hidden while the guest loads something */
    int prebound;               /* lazy calls of the host that were bound in advance */
    int patched;                /* uses of dlopen in guest objects that come to us */
    int selftest;               /* 1: passed */
} pb_isolate_report;

/* Load libpython `path`, an absolute path, with the host's Py names hidden, and see to it
 * that whatever the guest loads later is loaded so too.  `enabled` 0 is the off switch: a
 * plain dlopen and nothing else.  Once per process; a failed load may be tried again.
 * new dlopen handle, or NULL with a sentence in `error`. */
void *pb_isolate_load(const char *path, int enabled, char *error, size_t error_size);

/* borrowed, never NULL */
const pb_isolate_report *pb_isolate_state(void);

/* Around fork, on the forking thread, so that no guest load is cut in two.  Innermost: with
 * the guest GIL held, after PyOS_BeforeFork and again before PyOS_AfterFork_*.  Those run
 * guest code, which may pass the GIL to a thread that then keeps it and waits for this
 * lock.  Forks that do not come here (the guest's own) leave the child sound as well. */
void pb_isolate_fork_before(void);
void pb_isolate_fork_after(int child);

#endif
