# SPDX-License-Identifier: MIT
"""Holding the guest's lock over a burst of calls.

Each call takes the guest's GIL and gives it up, which costs as much as a short call.  On the
main thread a lease (csrc/lease.c) saves that by itself while the guest has no other threads.
`attached` saves it on any thread, at a price: until its end every other thread of the guest
waits, so what is inside must not wait for one of them.
"""

from __future__ import annotations

import _thread

from pybridge import _runtime
from pybridge._core import lib
from pybridge._take import refusal

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any


class attached:
    """`with pybridge.attached():` keeps the guest's GIL on this thread until its end.

    Calls inside are as cheap as in a lease, whatever threads there are.  Host code of other
    threads runs on, but their calls of the guest, and the guest's own threads, wait for the
    end: inside, do not sleep, do not read from a pipe, do not wait for a lock, a queue or a
    future of another thread.  Logging waits for a lock (a thread that logs a guest object has
    it while it asks the guest for the text), and so does the import of a module that another
    thread is importing.  Guest code inside gives the GIL up as it always does (every 5 ms, and
    around input and output), and so does the bridge where it waits for a lock of its own: a
    burst of calls is not atomic.  May be nested.  Raises RuntimeError when it is ended
    by another thread than began it; GuestClosed at exit.
    """

    __slots__ = ("_threads",)

    def __init__(self) -> None:
        self._threads: list[int] = []

    def __enter__(self) -> attached:
        _runtime.running()
        word = lib.pb_attached_begin()
        if word:
            raise refusal(word >> 8)
        self._threads.append(_thread.get_ident())
        return self

    def __exit__(self, *exc: Any) -> None:
        if not self._threads or self._threads[-1] != _thread.get_ident():
            raise RuntimeError(
                "pybridge.attached() is ended on the thread that began it: the guest's lock is "
                "that thread's"
            )
        self._threads.pop()
        lib.pb_attached_end()
