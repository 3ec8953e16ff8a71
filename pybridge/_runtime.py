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

from pybridge import _guest, _module, _values
from pybridge._callback import set_up
from pybridge._core import ffi, lib
from pybridge._errors import GuestClosed, StartError

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

NEW, STARTING, RUNNING, FAILED, CLOSED = "new", "starting", "running", "failed", "closed"

state = NEW
guest: Any = None  # the _probe.Guest that runs
failure = ""
_lock = _thread.allocate_lock()
_starter = 0
_REGISTERED = _values, _module  # imported for the rows that it adds to the tables of _convert


def start(python: str | None = None) -> None:
    """Start the guest, unless it runs already; see `pybridge.start`."""
    global state, _starter
    if state is RUNNING:
        _same(python)
        return
    me = _thread.get_ident()
    if _starter == me:
        raise StartError("the guest is being started by this very thread: wait until it runs")
    import threading

    if state is NEW and threading.current_thread() is not threading.main_thread():
        raise StartError(
            "the guest must be started on the main thread, which will receive its signals and "
            "close it: call pybridge.start() there before other threads use it"
        )
    with _lock:
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
    if python is None:
        return
    asked = os.path.abspath(os.path.expanduser(python))
    if os.path.isdir(asked):
        asked = os.path.join(asked, "bin", "python")
    if os.path.realpath(asked) != os.path.realpath(guest.executable):
        raise StartError(
            f"the guest {guest.executable} runs already, so {python} cannot be started: a "
            "process has one guest; call pybridge.start(python=...) before the first use"
        )


def _start(python: str | None) -> None:
    global state, guest, failure
    from pybridge import _discover, _settings

    settings = _settings.load()
    found = _discover.discover(python, settings)
    state = STARTING
    error = ffi.new("char[]", 1024)
    arguments = [os.fsencode(a) for a in (getattr(sys, "argv", None) or [""])]
    argv = [ffi.new("char[]", a) for a in arguments]
    status = lib.pb_start(
        os.fsencode(found.library),
        os.fsencode(found.executable),
        settings.isolate_symbols,
        len(argv),
        argv,
        error,
        len(error),
    )
    if status != 0:
        state = FAILED
        failure = ffi.string(error).decode("utf-8", "replace")
        raise StartError(f"{found.executable}: {failure}")
    guest = found
    try:
        _guest.load()
        set_up()
        _guest.call("begin")
    except BaseException as exc:
        state = FAILED
        failure = f"its half of the bridge did not load: {exc!r}"
        raise
    state = RUNNING
    import atexit

    atexit.register(_close)
    os.register_at_fork(
        before=lib.pb_fork_before,
        after_in_parent=_after_in_parent,
        after_in_child=_after_in_child,
    )


def _after_in_parent() -> None:
    lib.pb_fork_after(0)


def _after_in_child() -> None:
    lib.pb_fork_after(1)


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


def running() -> None:
    """Start the guest if that has not been done: the first line of what needs it."""
    if state is not RUNNING:
        start()
