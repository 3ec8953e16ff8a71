/* SPDX-License-Identifier: MIT
 *
 * The Python names that the host's objects define: found once, then hidden from the dynamic
 * linker and shown again.  isolate.c has the theory.
 */
#ifndef PB_HOSTNAMES_H
#define PB_HOSTNAMES_H

#include "elfslots.h"

typedef void *pb_dlopen(const char *file, int flags);

int pb_names_is_python(const char *text);

/* Find the names, and keep the objects that define them loaded.  How many names can be
 * hidden, or -1 with errno. */
int pb_names_collect(void);

/* Bind the host's lazy calls of these names, counting them in *bound; and point `dlopen` in
 * the objects that define such names, so in the interpreter, at `host_dlopen`.  Calls the
 * linker.  0, or -1 with errno. */
int pb_names_prebind(pb_dlopen *host_dlopen, int *bound);

/* Hide all names, until each call has its pb_names_show.  0, or -1 with errno and nothing
 * hidden. */
int pb_names_hide(void);
void pb_names_show(void);
/* In the child of a fork, when no thread is left that would show them. */
void pb_names_show_forked(void);

/* While they are hidden: learn what the names mean in libpython, and see that the whole
 * process means the same.  NULL, or the name that fails. */
const char *pb_names_selftest(void *libpython);

/* The function of that name, or 0: the host's, and what the self-test found in libpython. */
uintptr_t pb_names_of_host(const char *text);
uintptr_t pb_names_of_guest(const char *text);

/* Does the object take a Python name from the host? */
int pb_names_are_used_by(const pb_elf *object);

#endif
