/* SPDX-License-Identifier: MIT
 *
 * Blocks of host memory that must not go while the guest uses them: guard.c.
 */
#ifndef PB_GUARD_H
#define PB_GUARD_H

/* The block at `start`, as malloc or mmap gave it, stays until as many unpins.  Needs the
 * guest GIL.  0, or -1 when the host's calls cannot be led through the guard. */
int pb_guard_pin(void *start);
void pb_guard_unpin(void *start);

#endif
