# SPDX-License-Identifier: MIT
"""Context variables: each context of the host's event loops has one of the guest's beside it.

Natively a task has one context, which is copied when the task is made.  Here it has two: the
host's own, and one of the guest's, in which the variables of guest libraries live
(`numpy.errstate`, `decimal.localcontext`).  The guest's is copied when the host's begins to
be used, which is when its first `asyncio.Handle` is made; while a handle runs, it is the
current context of the guest.  So tasks do not see what others set, and `call_soon` keeps what
was set at the time.

A task that awaits across the border has a second task there.  That one begins with a copy of
the context that belongs to the awaiting task, and what it has set is set there when it is done
(`merge`).

asyncio is not imported for this: a finder notices when the program does.  Contexts that run
in other threads, by `asyncio.to_thread`, have none of the guest's beside them.
"""

from __future__ import annotations

import _thread
import sys
from _weakref import ref

from pybridge import _guest
from pybridge._core import lib
from pybridge._errors import BridgeError
from pybridge._frame import frame_get
from pybridge._host import hidden
from pybridge._take import take

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

_variable: Any = None  # the host's ContextVar that holds a Pair; made by `_begin`
_entered: dict[int, list[Pair]] = {}  # by thread: those whose handles run, innermost last


class Pair:
    """A context of the host's and its context of the guest's."""

    __slots__ = ("guest", "host")

    def __init__(self, host: Any) -> None:
        self.host = ref(host)  # copies of `host` hold this object too
        self.guest = _guest.call("coroutines.context")


def current() -> Pair | None:
    """That of the handle that runs on this thread."""
    entered = _entered.get(_thread.get_ident())
    return entered[-1] if entered else None


def _pair_of(context: Any) -> Pair | None:
    pair: Pair | None = context.get(_variable)
    return pair if pair is not None and pair.host() is context else None


def _adopt(context: Any) -> None:
    """Put a copy of the guest's current context beside `context`, unless it has one."""
    if not _guest.loaded() or _pair_of(context) is not None:
        return
    try:
        pair = Pair(context)
        try:
            context.run(_variable.set, pair)
        except RuntimeError:  # entered, most likely by us
            _variable.set(pair)
    except BridgeError:  # the guest is closed, or cannot be had here
        pass


def _switch(context: Any, enter: int) -> None:
    frame = frame_get()
    take(frame, lib.pb_context(frame.mem, context._pybridge_handle, enter))


class _Notice:
    # asyncio imports more of its modules after `events`.
    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> None:
        if name.startswith("asyncio."):
            _begin()


def set_up() -> None:
    """Right after the start."""
    _begin()
    if _variable is None and _Notice not in sys.meta_path:
        sys.meta_path.insert(0, _Notice)


def _begin() -> None:
    global _variable
    handle = getattr(sys.modules.get("asyncio.events"), "Handle", None)
    if handle is None or _variable is not None:
        return
    if _Notice in sys.meta_path:
        sys.meta_path.remove(_Notice)
    from contextvars import ContextVar

    _variable = ContextVar("pybridge")
    initialise, run = handle.__init__, handle._run

    @hidden
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        initialise(self, *args, **kwargs)
        _adopt(self._context)

    @hidden
    def _run(self: Any) -> Any:
        pair = _pair_of(self._context)
        if pair is None:
            return run(self)
        try:
            _switch(pair.guest, 1)
        except (BridgeError, RuntimeError):  # the guest is closed, or it is entered already
            return run(self)
        entered = _entered.setdefault(_thread.get_ident(), [])
        entered.append(pair)
        try:
            return run(self)
        finally:
            entered.pop()
            try:
                _switch(pair.guest, 0)
            except (BridgeError, RuntimeError):
                pass

    handle.__init__, handle._run = __init__, _run


def merge(task: Any, before: Any, into: Any) -> None:
    """Set in the context `into` what the host task `task` has set since `before`.  Not known
    on CPython hosts before 3.12, which do not tell a task's context."""
    get = getattr(task, "get_context", None)
    after = get() if get is not None else getattr(task, "_context", None)
    if after is None:
        return
    for variable, value in after.items():
        if variable is not _variable and (
            variable not in before or before[variable] is not value
        ):
            try:
                into.run(variable.set, value)
            except RuntimeError:  # it is entered: nobody awaits there
                return
