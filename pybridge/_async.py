# SPDX-License-Identifier: MIT
"""async and await across the border.

    host awaits guest    `await x` makes `x` a task of the guest's loop, which the running loop
                         of the host hosts (`_loops`), and awaits a future that stands for it
    guest awaits host    a host coroutine, or other awaitable, crosses as a guest coroutine,
                         which makes it a task of the host's loop: the one that runs, or one
                         that the guest's running loop hosts

Cancelling is asked of the task on the other side, which may clean up or refuse.  Context
variables are those of the awaiting task: `_contexts`.

`SPECIALS` has the methods for proxies; they exist on those of guest classes that have them.
"""

from __future__ import annotations

from itertools import count
from types import CoroutineType

from pybridge import _contexts, _guest
from pybridge._handle import Handle
from pybridge._mirrorclass import extensions
from pybridge._proxy import POOL, Proxy
from pybridge._put import fallbacks
from pybridge._raised import to_host
from pybridge._table import FUNCTION, guest_object, put_object

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any, Callable

    from pybridge._put import Encoder

_PUMP = "_pybridge_pump"
_timeout: Any = None  # a class, made when it is needed


# ---- the host awaits ------------------------------------------------------------------------


def _running() -> Any:
    """The running loop of this thread, or None.  Does not import asyncio."""
    import sys

    events = sys.modules.get("asyncio.events")
    return None if events is None else events._get_running_loop()


def _host_guest_loop() -> bool:
    """Have the running loop host one of the guest's, which is then its running loop."""
    loop = _running()
    if loop is None:
        return False
    from pybridge import _loops

    if isinstance(loop, _loops.HostedLoop):
        return False  # the guest's own loop hosts this one
    enter = getattr(loop, _PUMP, None)
    if enter is None:
        pump = _loops.Pump(loop)
        turn, fd, leave, end, enter = _guest.call("coroutines.hosted", pump.want)
        pump.begin(turn, fd, leave, end)
        setattr(loop, _PUMP, enter)
    enter()
    return True


def _future(x: Any) -> Any:
    """A host future for a guest awaitable, which has begun."""
    import asyncio

    from pybridge import _loops

    loop = asyncio.get_running_loop()
    _host_guest_loop()
    future = _loops.OtherFuture(loop=loop)
    number = next(_numbers)
    pair = _contexts.current()
    _waiting[number] = future, pair
    try:
        _guest.call("coroutines.begin", x, number, None if pair is None else pair.guest)
    except BaseException:
        del _waiting[number]
        raise
    future.cancel_other = lambda: _guest.call("coroutines.cancel", number)
    return future


# A number each, and one function that the guest calls: a function each would cost more than
# all the rest of it.
_waiting: dict[int, tuple[Any, _contexts.Pair | None]] = {}
_numbers = count(1)


def _finished(number: int, kind: str, value: Any) -> None:
    """A guest awaitable is done."""
    future, _ = _waiting.pop(number, (None, None))
    if future is not None:
        future.finish(kind, _error(value) if kind == "error" else value)


def _error(value: Any) -> BaseException:
    import asyncio

    error = to_host(value)
    if isinstance(error, TimeoutError) and not isinstance(error, asyncio.TimeoutError):
        timeout = _timeout_class()(*error.args)  # one class, from Python 3.11 on
        timeout.__dict__.update(error.__dict__)
        return timeout.with_traceback(error.__traceback__)  # type: ignore[no-any-return]
    return error


def _timeout_class() -> Any:
    global _timeout
    if _timeout is None:
        import asyncio

        _timeout = type("TimeoutError", (TimeoutError, asyncio.TimeoutError), {})
    return _timeout


def _await(self: Any) -> Any:
    return _future(self).__await__()


def _aiter(self: Any) -> Any:
    return _guest.call("coroutines.method", self, "__aiter__")


def _anext(self: Any) -> Any:
    return _guest.call("coroutines.method", self, "__anext__")


def _aenter(self: Any) -> Any:
    return _guest.call("coroutines.method", self, "__aenter__")


def _aexit(self: Any, kind: Any, error: Any, traceback: Any) -> Any:
    return _guest.call("coroutines.leave", self, error)


SPECIALS: dict[str, Callable[..., Any]] = {
    "__await__": _await,
    "__aiter__": _aiter,
    "__anext__": _anext,
    "__aenter__": _aenter,
    "__aexit__": _aexit,
}


class _Coroutine:
    # What proxies of guest coroutines have.  A host task drives one by `send`: that awaits it.

    __class__ = property(lambda self: CoroutineType)

    def _pybridge_begin(self: Any) -> Any:
        future = _future(self)
        _set(self, "_pybridge_future", future)
        steps = future.__await__()
        _set(self, "_pybridge_steps", steps)
        return steps

    def _pybridge_begun(self: Any) -> Any:
        try:
            return _get(self, "_pybridge_steps")
        except AttributeError:
            return None

    def send(self: Any, value: Any) -> Any:
        """As a coroutine's; inside a running loop it yields futures of that loop."""
        steps = self._pybridge_begun()
        if steps is None:
            if _running() is None:
                return _guest.call_guest(_guest.get_attribute(self, "send"), value)
            steps = self._pybridge_begin()
        return steps.send(value)

    def __next__(self: Any) -> Any:  # what a CPython host's C code calls for send(None)
        return self.send(None)

    def throw(self: Any, *args: Any) -> Any:
        """As a coroutine's."""
        steps = self._pybridge_begun()
        if steps is None:
            return _guest.call_guest(_guest.get_attribute(self, "throw"), *args)
        _get(self, "_pybridge_future").cancel()
        return steps.throw(*args)

    def close(self: Any) -> None:
        """As a coroutine's."""
        if self._pybridge_begun() is None:
            _guest.call_guest(_guest.get_attribute(self, "close"))
        else:
            _get(self, "_pybridge_future").cancel()


_set = object.__setattr__
_get = object.__getattribute__


_KINDS = ("coroutine", "async_generator_asend", "async_generator_athrow")


def _install() -> None:
    for name, method in SPECIALS.items():
        method.__name__ = name
        method.__qualname__ = f"Proxy.{name}"
        POOL[name] = method
    space = {k: v for k, v in vars(_Coroutine).items() if k not in ("__module__", "__doc__")}
    for name in ("__dict__", "__weakref__"):
        space.pop(name, None)
    for kind in _KINDS:
        extensions["builtins", kind] = space
    # The host's asyncio takes what has the marks of a future, which it looks for on the class,
    # for one of its own loop's; a guest's future is an awaitable.
    for module in ("_asyncio", "asyncio.futures", "asyncio.tasks"):
        for name in ("Future", "Task"):
            extensions[module, name] = {"__class__": property(lambda self: Proxy)}


# ---- the guest awaits -----------------------------------------------------------------------


def _host_loop(want: Any) -> tuple[Any, ...]:
    """A host loop that the guest's running loop hosts: its functions."""
    from pybridge import _loops

    loop = _loops.HostedLoop(want)
    fd = loop.begin()
    loop.enter()
    return loop.pump, fd, loop.leave, loop.end


class _Starter:
    """Begins a host awaitable when the guest's coroutine for it begins."""

    __slots__ = ("awaitable",)

    def __init__(self, awaitable: Any) -> None:
        self.awaitable = awaitable

    def __call__(self, finish: Any, number: int, direct: bool) -> Any:
        """`number`: of the host's await that this one is below, `direct`: in the same task."""
        import asyncio
        from contextvars import copy_context

        from pybridge import _loops

        _, pair = _waiting.get(number, (None, None))
        outer = None if pair is None else pair.host()
        context = copy_context() if outer is None else outer.copy()
        task = context.run(asyncio.ensure_future, self.awaitable, loop=_running())

        def done(task: Any) -> None:
            if direct and outer is not None:
                _contexts.merge(task, context, outer)
            finish(*_loops.outcome(task))

        task.add_done_callback(done)
        return guest_object(task.cancel, FUNCTION)[0]


def _put_awaitable(frame: Any, at: int, x: Any) -> int:
    starter = guest_object(_Starter(x), FUNCTION)[0]  # nobody asks for its name
    return put_object(frame, at, _guest.call("coroutines.from_host", starter))


def _awaitable_encoder(x: Any) -> Encoder | None:
    if isinstance(x, Handle) or isinstance(x, type) or not hasattr(type(x), "__await__"):
        return None
    return _put_awaitable


def set_up() -> None:
    """Right after the start."""
    _guest.call("coroutines.set_up", _host_guest_loop, _host_loop, _finished)
    _contexts.set_up()


_install()
fallbacks.insert(0, _awaitable_encoder)
