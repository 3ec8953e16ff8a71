# SPDX-License-Identifier: MIT
"""The public functions, over everything below."""

from __future__ import annotations

import builtins
import sys
from itertools import count

from pybridge import _guest, _release, _runtime, _table
from pybridge._handle import Handle
from pybridge._host import hidden

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

_numbers = count(1)


def start(python: str | None = None) -> None:
    """Start the guest now, or do nothing if it runs.

    `python`: the guest's interpreter or its venv; by default the setting PYBRIDGE_PYTHON,
    `[tool.pybridge]` in the pyproject.toml beside the running script, the active VIRTUAL_ENV,
    or the newest python3.X on PATH, in this order.  Main thread only, the first time.  Not
    needed: the first use starts the guest.  Raises GuestNotFound when no interpreter is
    usable, StartError when it cannot be started (again, or from this thread).
    """
    _runtime.start(python)


@hidden
def import_module(name: str) -> Any:
    """Import a module in the guest and give its proxy, as importlib.import_module does.

    `name` is absolute and may have dots.  Raises what the guest's import raises; a
    ModuleNotFoundError has a note with the guest's interpreter and search path.
    """
    _runtime.running()
    if not isinstance(name, str):
        raise TypeError(f"a module's name is a str, not {type(name).__name__}")
    if not name or name.startswith("."):
        raise ValueError(f"not an absolute module name: {name!r}")
    _flush()
    try:
        return _guest.import_guest(name)
    except ModuleNotFoundError as error:
        _note_path(error)
        raise


def _note_path(error: BaseException) -> None:
    """Say where the guest looked: as a note, where the host prints notes."""
    path = _guest.call("search_path")
    note = (
        f"searched by the guest {_runtime.guest.executable}: "
        + ", ".join(str(p) for p in path)
        + f"; to install there: {_runtime.guest.executable} -m pip install {error.name}"  # type: ignore[attr-defined]
    )
    if hasattr(error, "add_note"):
        error.add_note(note)
    else:
        error.__notes__ = [*getattr(error, "__notes__", ()), note]  # type: ignore[attr-defined]


@hidden
def eval(source: str, namespace: Any = None) -> Any:
    """Evaluate a Python expression in the guest and give its value.

    `namespace`: None for the guest's `__main__`, a guest dict, or a host dict (`globals()`,
    say), whose values cross by the ordinary rules; names that the expression binds are not
    written back.
    Raises what the guest raises, SyntaxError included.
    """
    if isinstance(source, str):
        source = source.lstrip(" \t")  # as the builtin function does
    return _run(source, namespace, "eval", "evaluate")


@hidden
def exec(source: str, namespace: Any = None) -> None:
    """Execute Python statements in the guest.

    `namespace` as in `eval`; with a host dict, the names that the statements bind are
    written back to it, as proxies or values.
    """
    _run(source, namespace, "exec", "run")


@hidden
def _run(source: str, namespace: Any, mode: str, function: str) -> Any:
    _runtime.running()
    if not isinstance(source, str):
        raise TypeError(f"source must be a str, not {type(source).__name__}")
    if "\0" in source:
        raise ValueError("source code cannot contain null bytes")
    _flush()
    filename = f"<pybridge {next(_numbers)}>"
    code = _guest.call("compiled", filename, source, mode)
    before = None
    if namespace is None:
        space = _guest.call("main_namespace")
    elif isinstance(namespace, Handle):
        space = namespace
    else:
        space, before = _guest.call("namespace_of", _without_builtins(namespace))
    try:
        return _guest.call(function, code, space)
    finally:
        if mode == "exec" and before is not None:
            bound, deleted = _guest.call("bindings", space, before)
            namespace.update(bound)
            for key in deleted:
                namespace.pop(key, None)


def _without_builtins(namespace: Any) -> Any:
    """A program's `globals()` without the host's builtins: guest code has the guest's."""
    found = namespace.get("__builtins__") if isinstance(namespace, dict) else None
    if found is builtins or found is vars(builtins):
        return {name: x for name, x in namespace.items() if name != "__builtins__"}
    return namespace


def _flush() -> None:
    """What the host printed before comes out before what the guest prints now."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, ValueError, OSError):
            pass


def _count(at: int, doc: str) -> Any:
    return property(lambda self: self[at], doc=doc)


class Statistics(tuple):  # type: ignore[type-arg]
    """Exact counts at one moment: a tuple whose items have names."""

    __slots__ = ()
    handles_open = _count(0, "References to guest objects that the host owns.")
    handles_released = _count(1, "Since the start.")
    host_objects = _count(2, "Host objects that the guest holds.")
    crossings = _count(3, "Times that the guest's GIL was taken.")
    callbacks = _count(4, "Calls from the guest to the host.")
    leases_revoked = _count(5, "Times that a kept GIL was taken back by another thread.")

    def __repr__(self) -> str:
        counts = ", ".join(f"{name}={n}" for name, n in zip(_COUNTS, self))
        return f"Statistics({counts})"


_COUNTS = (
    "handles_open", "handles_released", "host_objects", "crossings", "callbacks",
    "leases_revoked",
)  # fmt: skip


def statistics() -> Statistics:
    """Release what is dead, then count.  Any thread.

    A dead proxy is found by a sweep once the host's collector has seen that it is dead:
    call gc.collect() before, for numbers that do not depend on when it last ran.
    """
    if _runtime.state is _runtime.RUNNING:
        _release.sweep()
        _table.forget_dropped()
    shared = _release.shared
    return Statistics(
        (
            _release.handles_open(),
            shared.released,
            _table.held(),
            shared.crossings,
            shared.callbacks,
            shared.leases_revoked,
        )
    )
