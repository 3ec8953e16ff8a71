/* SPDX-License-Identifier: MIT
 *
 * Where a dlopen looks for its file.
 */
#ifndef PB_ELFSEARCH_H
#define PB_ELFSEARCH_H

#include <stddef.h>

/* Where dlopen(file), called from the code at `caller`, would find a file through the
 * caller's RPATH, RUNPATH or $ORIGIN: `file`, or the path written to `found`.  Calls the
 * linker. */
const char *pb_elf_search(const void *caller, const char *file, char *found, size_t size);

#endif
