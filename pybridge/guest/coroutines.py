# SPDX-License-Identifier: MIT
"""The bridge's Python in the guest: coroutines that cross.

`_loops.py`, which both interpreters run, says how their event loops share a thread.
"""

import contextvars
import sys

_BEFORE_311 = sys.version_info < (3, 11)
_host = None  # the functions of pybridge/_async.py


class _Finder:
    """Notices when asyncio is imported: then the guest may ask for the running loop."""

    def find_spec(self, name, path=None, target=None):
        if name != "asyncio":
            return None
        import importlib.util

        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            _patch(module)

        spec.loader.exec_module = exec_module
        return spec


def set_up(*functions):
    """`functions`: is there a running loop of the host's, which now hosts one here?; make a
    host loop that the loop here hosts; a guest awaitable is done."""
    global _host
    _host = functions
    if "asyncio" in sys.modules:
        _patch(sys.modules["asyncio"])
    else:
        sys.meta_path.insert(0, _Finder())


def _patch(asyncio):
    """`get_running_loop` finds the loop of a host that runs one."""
    events = asyncio.events
    running, current = events.get_running_loop, events.get_event_loop

    def get_running_loop():
        """Return the running event loop.  Raise a RuntimeError if there is none."""
        if events._get_running_loop() is None:
            _host[0]()
        return running()

    def get_event_loop():
        """Return an asyncio event loop."""
        if events._get_running_loop() is None:
            _host[0]()
        return current()

    inner = getattr(events, "_get_event_loop", None)  # CPython 3.9 to 3.11
    if inner is not None:

        def _get_event_loop(stacklevel=3):
            if events._get_running_loop() is None:
                _host[0]()
            return inner(stacklevel + 1)

        events._get_event_loop = _get_event_loop

    for module in (asyncio, events):
        module.get_running_loop, module.get_event_loop = get_running_loop, get_event_loop


def _loops():
    """The shared file as a module of the guest's."""
    global _shared
    if _shared is None:
        import os
        from importlib.machinery import SourceFileLoader

        path = os.path.join(os.path.dirname(os.path.dirname(__file__)), "_loops.py")
        module = type(sys)("_pybridge_loops")
        module.__file__ = path
        SourceFileLoader(module.__name__, path).exec_module(module)
        _shared = module
    return _shared


_shared = None


def hosted(want):
    """A loop that the host's drives: its functions."""
    loop = _loops().HostedLoop(want)
    fd = loop.begin()
    loop.enter()
    return loop.pump, fd, loop.leave, loop.end, loop.enter


_tasks = {}  # by the host's number
_awaited = contextvars.ContextVar("pybridge")  # an _Awaited
_NONE = object()


class _Awaited:
    """What a guest task has of the await of the host's for which it was made; tasks that it
    makes have it too, with the copy of its context."""

    __slots__ = ("number", "task")


def context():
    """A copy of the current one, for a context of the host's."""
    return contextvars.copy_context()


def begin(awaitable, number, context):
    """Begin a guest awaitable as a task of this thread's loop, in a copy of `context`, which
    is the guest's half of that of the host's task; None: of the current one."""
    import asyncio
    import functools

    loop = asyncio.events._get_running_loop()
    own = contextvars.copy_context() if context is None else context.copy()
    awaited = _Awaited()
    awaited.number, awaited.task = number, None
    own.run(_awaited.set, awaited)
    before = own.copy()
    if _BEFORE_311 or not asyncio.iscoroutine(awaitable):
        task = own.run(functools.partial(asyncio.ensure_future, awaitable, loop=loop))
        context = None
    else:
        task = loop.create_task(awaitable, context=own)
    _tasks[number] = awaited.task = task
    task.add_done_callback(functools.partial(_done, awaited, own, before, context))


def _done(awaited, own, before, context, task):
    del _tasks[awaited.number]
    awaited.task = None  # a ring, through the context
    if context is not None:
        _merge(own, before, context)
    _host[2](awaited.number, *_loops().outcome(task))


def _merge(own, before, context):
    """Set in `context` what was set in `own` since it was `before`."""
    for variable, value in own.items():
        if variable is not _awaited and before.get(variable, _NONE) is not value:
            try:
                context.run(variable.set, value)
            except RuntimeError:  # it is entered: nobody awaits there
                return


def cancel(number):
    """Ask a task that the host awaits to stop."""
    task = _tasks.get(number)
    if task is not None:
        task.cancel()


async def from_host(start):
    """A coroutine that stands for a host awaitable, which `start` begins."""
    import asyncio

    loop = asyncio.events._get_running_loop()
    loops = _loops()
    if not isinstance(loop, loops.HostedLoop) and not hasattr(loop, "_pybridge_pump"):
        pump = loop._pybridge_pump = loops.Pump(loop)
        turn, fd, leave, end = _host[1](pump.want)
        pump.begin(turn, fd, leave, end)
    future = loops.OtherFuture(loop=loop)
    awaited = _awaited.get(None)
    if awaited is None:
        future.cancel_other = start(future.finish, 0, False)
    else:
        direct = awaited.task is asyncio.current_task(loop)
        future.cancel_other = start(future.finish, awaited.number, direct)
    return await future


def method(x, name, *args):
    """Call a special method as `async with` and `async for` do: looked up on the class."""
    cls = type(x)
    for base in cls.__mro__:
        if name in base.__dict__:
            found = base.__dict__[name]
            get = getattr(type(found), "__get__", None)
            return (found if get is None else get(found, x, cls))(*args)
    if name in ("__aiter__", "__anext__"):
        raise TypeError("'async for' requires an object with %s method, got %s"
                        % (name, cls.__name__))  # fmt: skip
    if sys.version_info < (3, 11):
        raise AttributeError(name)
    raise TypeError("'%s' object does not support the asynchronous context manager protocol"
                    % cls.__name__)  # fmt: skip


def leave(x, exc):
    """`__aexit__` with an exception, or with none."""
    if exc is None:
        return method(x, "__aexit__", None, None, None)
    return method(x, "__aexit__", type(exc), exc, exc.__traceback__)
