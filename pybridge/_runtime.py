# SPDX-License-Identifier: MIT
"""The guest's life: started once, on the host's main thread; closed at the host's exit.

    NEW -> STARTING -> RUNNING -> CLOSED
                    -> FAILED

A guest cannot be started twice in a process, nor again after a failure inside it, so what
can be known is learnt before, from a child (`_discover`).  Before the library is loaded an
error leaves the state at NEW: another interpreter may be tried.

The main thread matters: the guest believes that the thread that starts it is its main
thread, which receives its signals and ends it.
"""

from __future__ import annotations

import _thread
import os
import sys

from pybridge import _described, _guest, _handle, _identity, _kinds, _release, _table
from pybridge._core import ffi, lib
from pybridge._errors import GuestClosed, StartError
from pybridge._host import long_traces
from pybridge._locks import locked, take

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

NEW, STARTING, RUNNING, FAILED, CLOSED = "new", "starting", "running", "failed", "closed"

state = NEW
guest: Any = None  # the _probe.Guest that runs
failure = ""
_asked: str | None = None
_preferred: str | None = None  # what `start` takes when it is not told, see `prefer`
_asks: Any = None  # the guest's objects for _interrupted and _look
signal: Any = None  # the builtin module below `signal`, which costs 5 ms at import
_lock = _thread.allocate_lock()
_starter = 0
at_start: list[Any] = []  # called before the guest starts, by upper layers: what they load


def start(python: str | None = None) -> None:
    """Start the guest, unless it runs already; see `pybridge.start`."""
    global state, _starter
    if state is RUNNING:
        _same(python)
        return
    me = _thread.get_ident()
    if _starter == me:
        raise StartError(
            "the guest is being started by this very thread: wait until it runs", code="PB201"
        )
    if not _starter and state is NEW and _thread.get_native_id() != os.getpid():
        raise StartError(
            "the guest must be started on the main thread, which will receive its signals and "
            "close it: call pybridge.start() there before other threads use it",
            code="PB201",
        )
    with locked(_lock):
        if state is RUNNING:
            _same(python)
            return
        if state is FAILED:
            raise StartError(
                f"the guest failed to start ({failure}) and cannot be started again in this "
                "process: begin a new one"
            )
        if state is CLOSED:
            raise GuestClosed(
                "the guest was closed and cannot be started again in this process"
            )
        _starter = me
        try:
            _start(python)
        finally:
            _starter = 0


def _same(python: str | None) -> None:
    """Refuse another interpreter than the one that runs."""
    if python is None or python == _asked:
        return
    from pybridge import _discover

    if _discover.discover(python).executable != guest.executable:
        raise StartError(
            f"the guest {guest.executable} runs already, so {python} cannot be started: a "
            "process has one guest; call pybridge.start(python=...) before the first use",
            code="PB203",
        )


def _start(python: str | None) -> None:
    global state, guest, failure, _asked
    from pybridge import _child, _discover, _settings

    settings = _settings.load()
    _child.meanwhile.append(_load)  # 15 ms, while the interpreter is asked what it is
    try:
        found = _discover.discover(_preferred if python is None else python, settings)
    finally:
        _child.meanwhile.clear()
    _load()
    error = ffi.new("char[]", 1024)
    argv = [ffi.new("char[]", _encoded(a)) for a in getattr(sys, "argv", None) or [""]]
    state = STARTING
    failure = "it was interrupted"
    status = 0
    try:
        status = lib.pb_start(
            _encoded(found.library),
            _encoded(found.executable),
            settings.isolate_symbols,
            len(argv),
            argv,
            error,
            len(error),
        )
        if status != 0:
            failure = ffi.string(error).decode("utf-8", "replace")
            raise StartError(f"{found.executable}: {failure}")
        guest = found
        failure = "its half of the bridge did not load"
        from pybridge import _async, _callback, _frames, _linked, _module, _streams, _warned

        _module.set_up(found.version[1])
        _guest.load()
        _described.set_up()
        _callback.set_up()
        _linked.set_up()
        _interrupts()
        _guest.call("begin")
        if settings.host_streams:
            _streams.connect()
        _frames.set_up()
        _warned.set_up()
        _async.set_up()
        long_traces()
        _at_exit_and_fork()
    except BaseException as exc:
        if not isinstance(exc, StartError):
            failure += f": {exc!r}"
        state = NEW if status == -2 else FAILED
        raise
    _asked = python
    state = RUNNING


def _load() -> None:
    """The modules that only a program with a guest needs: `import pybridge` does without."""
    global signal
    import _signal  # type: ignore[import-not-found]

    signal = _signal

    # For the rows that they add to the tables of _put.
    from pybridge import (  # noqa: F401
        _async,
        _derived,
        _hostderive,
        _items,
        _module,
        _sequences,
        _values,
    )

    while at_start:
        at_start[0]()
        del at_start[0]


def _encoded(text: str) -> bytes:
    """As the system has it.  PyPy with LC_ALL=C reads UTF-8 and would write ASCII."""
    try:
        return os.fsencode(text)
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape")


def _interrupts() -> None:
    """Give the core the functions to ask on Ctrl-C (csrc/signals.c)."""
    global _asks
    _asks = [_table.guest_object(f, _table.FUNCTION)[0] for f in (_interrupted, _look)]
    lib.pb_interrupt_set(*(asked._pybridge_handle for asked in _asks))


def _interrupted() -> bool:
    """Do what the program wants on Ctrl-C; True: raise KeyboardInterrupt in the guest."""
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler or not callable(handler):
        return True
    handler(signal.SIGINT, sys._getframe())
    return False


def _look() -> None:
    """Let the host look for signals: it does so at backward jumps."""
    for _ in range(3):
        pass


def _at_exit_and_fork() -> None:
    import atexit

    atexit.register(_close)
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_in_parent, after_in_child=_after_in_child
    )


# The bridge's locks in the order in which they may be taken; the guest's GIL comes after.
_locks: tuple[Any, ...] = (
    _kinds.lock,
    _table._lock,
    _release._lock,
    _handle._release_lock,
    _identity.lock,
)


def _before_fork() -> None:
    """Nobody else may be in the middle of something: in the child he would be for ever."""
    for lock in _locks:
        take(lock)
    lib.pb_fork_before()


def _after_in_parent() -> None:
    lib.pb_fork_after(0)
    _unlock()


def _after_in_child() -> None:
    lib.pb_fork_after(1)
    _unlock()
    from pybridge import _frames, _streams

    _streams.forked()
    _frames.set_up()


def _unlock() -> None:
    for lock in reversed(_locks):
        lock.release()


def _close() -> None:
    """At the host's exit: what the guest does at its own exit, then no more calls."""
    global state
    if state is not RUNNING:
        return
    try:
        _guest.call("end")
    except BaseException:
        sys.excepthook(*sys.exc_info())
    state = CLOSED
    lib.pb_close()


def prefer(python: str) -> None:
    """The interpreter to start when it is needed, unless `start` is told another."""
    global _preferred
    _preferred = python


def preferred() -> str | None:
    """What `prefer` was told."""
    return _preferred


def starting() -> bool:
    """Is this very thread starting the guest?"""
    return _starter == _thread.get_ident()


def running() -> None:
    """Start the guest if that has not been done: the first line of what needs it."""
    if state is not RUNNING:
        start()
