# SPDX-License-Identifier: MIT
"""Waiting for a lock of the bridge.

A lock is taken before the guest's GIL: under some of them the guest is called (`_kinds.lock`,
`_table._lock`), and under any of them a finalizer or a signal handler of the program may call
it.  A thread that waits for a lock must therefore not hold the GIL.  It does not by itself,
since host code runs without, except inside `pybridge.attached()`, which keeps it between calls.
So such a thread lets go of it while it waits (`pb_attached_suspend`), and has it again with its
next call.

The locks stay the interpreter's own, and so does `with`, as long as no thread is attached.  In
an `__enter__` written in Python Ctrl-C could come after the lock was taken, and it would never
be given back: signals wait from there to the end of the block, but not while the lock is
awaited.  (On a CPython host they do not, and that remains.)
"""

from __future__ import annotations

from time import sleep

from pybridge._core import lib
from pybridge._host import signals_off, signals_on

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

_shared = lib.pb_shared_state()


def locked(lock: Any) -> Any:
    """`with locked(lock):` takes the lock, and waits for it without the guest's GIL."""
    return lock if _shared.attached == 0 else _Patient(lock)


def take(lock: Any) -> None:
    """Take the lock likewise; who took it gives it back."""
    if lock.acquire(False):
        return
    depth = lib.pb_attached_suspend()
    try:
        lock.acquire()
    finally:
        lib.pb_attached_resume(depth)


_SOON = 0.0005  # seconds


class _Patient:
    __slots__ = ("_lock", "_signals")

    def __init__(self, lock: Any) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        while True:
            self._signals = signals_off()
            if self._lock.acquire(False):
                return
            depth = lib.pb_attached_suspend()
            try:
                signals_on(self._signals)
                sleep(_SOON)  # they come here
            finally:
                lib.pb_attached_resume(depth)

    def __exit__(self, *exc: object) -> None:
        self._lock.release()
        signals_on(self._signals)
