/* SPDX-License-Identifier: MIT
 *
 * What isolate.c shows libpython.c: the window in which libpython itself is loaded.
 * The caller holds guest_lock, which also guards the two variables.
 */
#ifndef PB_WINDOW_H
#define PB_WINDOW_H

#include "elfwalk.h"
#include "isolate.h"

extern pb_isolate_report pb_isolation;
extern const char *pb_isolation_library;    /* libpython's name; NULL until loaded */

/* Take and give guest_lock.  Recursive. */
void pb_isolation_lock(void);
void pb_isolation_unlock(void);

/* Before the first window of a load: collect the host's names, bind what is lazy, watch
 * forks.  0, or -1 with errno. */
int pb_window_prepare(void);

/* Hide the names for one dlopen: 0 and a census for pb_window_close, or -1 with errno. */
int pb_window_open(pb_elf_census *before);
/* Redirect dlopen in what is new, when `loaded`, and show the names. */
void pb_window_close(pb_elf_census *before, int loaded);

#endif
