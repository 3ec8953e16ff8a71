# SPDX-License-Identifier: MIT
"""Two event loops on one thread, one in each interpreter.

Both interpreters run this file, each for its half.  One of them has a loop that really runs
(`asyncio.run`), the *outer* one.  The other's, the *hosted* one, is a selector loop that is
never run: whenever something may be due in it the outer loop calls its `pump`, which does one
turn without waiting.  Three things tell the outer loop when:

    the hosted loop's epoll descriptor, which is a reader of the outer loop's: files, sockets,
        and `call_soon_threadsafe`
    the delay until the next timer, which each turn gives back
    `want`, called when something is scheduled from outside of a turn

So both loops have one thread, and code of either side finds a running loop on it.  A loop in a
thread of its own was the alternative: every library object would then be used by two threads.

The hosted loop counts as running from `enter` to `leave`; `leave` is called when the outer loop
stops (its `_set_coroutine_origin_tracking` is called then: there is no other sign).
"""

from __future__ import annotations

import asyncio
import sys
import threading
from asyncio import events

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable


class HostedLoop(asyncio.SelectorEventLoop):
    """A loop that another one drives."""

    _thread_id: Any

    def __init__(self, want: Callable[[], Any]) -> None:
        super().__init__()
        self._want = want
        self._wanted = True  # nothing is to be heard before there is a pump
        self._hooks: Any = None
        self._owner = threading.get_ident()

    def begin(self) -> int:
        """The pump is there: the descriptor that it watches."""
        self._wanted = False
        return self._selector.fileno()  # type: ignore[attr-defined, no-any-return]

    def enter(self) -> None:
        """Be this thread's running loop."""
        if self._thread_id is None:
            self._thread_id = self._owner = threading.get_ident()
            self._hooks = sys.get_asyncgen_hooks()
            sys.set_asyncgen_hooks(
                firstiter=self._asyncgen_firstiter_hook,  # type: ignore[attr-defined]
                finalizer=self._asyncgen_finalizer_hook,  # type: ignore[attr-defined]
            )
            events._set_running_loop(self)

    def leave(self) -> None:
        """Be it no more."""
        if self._thread_id is not None:
            self._thread_id = None
            events._set_running_loop(None)
            sys.set_asyncgen_hooks(*self._hooks)

    def pump(self) -> float | None:
        """One turn.  Seconds until the next one is due, or None."""
        if self.is_closed():
            return None
        self.enter()
        self._wanted = True
        self._stopping = True  # so that it does not wait
        try:
            self._run_once()  # type: ignore[attr-defined]
        finally:
            self._stopping = False
            self._wanted = False
        if self._ready:  # type: ignore[attr-defined]
            return 0.0
        if self._scheduled:  # type: ignore[attr-defined]
            return max(0.0, self._scheduled[0]._when - self.time())  # type: ignore[attr-defined, no-any-return]
        return None

    def _notice(self) -> None:
        # Also while the outer loop does not run: then for its next run.
        if not self._wanted and self._owner == threading.get_ident():
            self._wanted = True
            self._want()

    def call_soon(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        """As any loop's."""
        handle = super().call_soon(*args, **kwargs)
        self._notice()
        return handle

    def call_at(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        """As any loop's."""
        handle = super().call_at(*args, **kwargs)
        self._notice()
        return handle

    def end(self) -> None:
        """The outer loop was closed: cancel what is left, and close."""
        self.leave()
        if self.is_closed():
            return
        self._wanted = True
        tasks = asyncio.all_tasks(self)
        for task in tasks:
            task.cancel()
        if tasks:
            self.run_until_complete(asyncio.wait(tasks, timeout=1))
        self.run_until_complete(self.shutdown_asyncgens())
        self.close()
        self._want = _nothing


def _nothing() -> None:
    pass


class Pump:
    """The outer loop's half."""

    def __init__(self, loop: Any) -> None:
        if not hasattr(loop, "_set_coroutine_origin_tracking"):
            raise RuntimeError(
                f"{type(loop).__name__} cannot host the other interpreter's loop: use one "
                "of asyncio's"
            )
        self._loop = loop
        self._timer: Any = None
        self._turn: Any = None
        self._leave: Any = None
        self._end: Any = None
        self._fd = -1

    def want(self) -> None:
        """The hosted loop has something to do."""
        if not self._loop.is_closed():
            self._loop.call_soon(self.run)

    def begin(self, turn: Any, fd: int, leave: Any, end: Any) -> None:
        """Drive the hosted loop by its functions from now on."""
        self._turn, self._leave, self._end, self._fd = turn, leave, end, fd
        loop = self._loop
        loop.add_reader(fd, self.run)
        tracking, close = loop._set_coroutine_origin_tracking, loop.close

        def stopping(enabled: Any) -> None:
            tracking(enabled)
            if self._leave is not None:
                self._leave()

        def closing() -> None:
            if self._end is not None and not loop.is_running():
                loop.remove_reader(fd)
                end, self._turn, self._leave, self._end = self._end, None, None, None
                self._timer = None
                end()
                # Each side's loop must not hold the other's: nobody collects such a ring.
                vars(loop).pop("_pybridge_pump", None)
            close()

        loop._set_coroutine_origin_tracking, loop.close = stopping, closing
        self.want()

    def run(self) -> None:
        """A turn of the hosted loop."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        delay = self._turn() if self._turn is not None else None
        if delay is not None:
            if delay <= 0:
                self._loop.call_soon(self.run)
            else:
                self._timer = self._loop.call_later(delay, self.run)


class OtherFuture(asyncio.Future):  # type: ignore[type-arg]
    """Stands for a task of the other loop's.  Cancelling asks that task; what it makes of it
    decides, as with a coroutine that is awaited directly."""

    cancel_other: Any = None

    def cancel(self, *args: Any, **kwargs: Any) -> bool:
        """Ask the other side."""
        if self.done() or self.cancel_other is None:
            return super().cancel(*args, **kwargs)
        self.cancel_other()
        return True

    def finish(self, kind: str, value: Any) -> None:
        """The other task is done: "result", "error" or "cancelled"."""
        if self.done():
            return
        if kind == "result":
            self.set_result(value)
        elif kind == "error":
            self.set_exception(value)
        else:
            super().cancel()


def outcome(task: Any) -> tuple[str, Any]:
    """How a task that is done ended, in the words of `OtherFuture.finish`."""
    if task.cancelled():
        return "cancelled", None
    error = task.exception()
    return ("result", task.result()) if error is None else ("error", error)
