# SPDX-License-Identifier: MIT
"""Guest calls as futures.

The host and the guest have a lock each, so a guest call on a worker thread runs at the same
time as host code on the main thread, on two cores; and calls that release the guest's lock
(numpy's kernels) run at the same time as each other.

The pool starts with the first call and ends with the program: calls that have begun are
waited for, before the guest is closed.
"""

from __future__ import annotations

import _thread

from pybridge import _runtime
from pybridge._locks import locked

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor
    from typing import Any, Callable

_lock = _thread.allocate_lock()
_pool: ThreadPoolExecutor | None = None
_pool_process = 0


def submit(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
    """Call `function` on a worker thread and give a `concurrent.futures.Future`.

    `function` is a guest callable, or a host function that makes guest calls.  The future is
    an ordinary one: `result`, `exception`, `add_done_callback`, `cancel` before it begins,
    `as_completed` and asyncio's `wrap_future` work.  There are as many workers as cores, plus
    one; calls beyond wait their turn, so a submitted call should not wait for another.
    Any thread.  Raises RuntimeError when the program is ending.
    """
    _runtime.running()
    return _workers().submit(function, *args, **kwargs)


def _workers() -> ThreadPoolExecutor:
    global _pool, _pool_process
    import os
    from concurrent.futures import ThreadPoolExecutor

    with locked(_lock):
        if _pool is None or _pool_process != os.getpid():  # a forked child has no workers
            _pool = ThreadPoolExecutor((os.cpu_count() or 1) + 1, "pybridge")
            _pool_process = os.getpid()
        return _pool
