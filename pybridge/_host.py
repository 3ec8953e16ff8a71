# SPDX-License-Identifier: MIT
"""What the bridge uses of the host's implementation: PyPy's own functions, and what stands in
for them on a CPython host, which serves development and tests."""

from __future__ import annotations

import gc
import os
import sys
from _weakref import ref
from time import sleep

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any, Callable, TypeVar

    _F = TypeVar("_F", bound=Callable[..., Any])

    def hidden(function: _F) -> _F:
        """Mark a function whose frames no traceback shows; nothing on a CPython host."""

    def list_strategy(x: list[Any]) -> str:
        """How the host stores a list: as raw numbers, say; "" on a CPython host."""

    def utf8(s: str) -> bytes:
        """The text in UTF-8, lone surrogates included; PyPy does not copy it."""

    def promote(x: Any) -> Any:
        """`x`, which a trace takes for a constant from here on, behind a guard."""

    def newlist_hint(n: int) -> list[Any]:
        """An empty list, with memory for `n` items, not cleared, as soon as it has one."""

    def module_dict() -> dict[Any, Any]:
        """A dict whose look-ups fold to constants in PyPy's traces when the key is one."""

    def signals_off() -> bool:
        """From now on signals wait, Ctrl-C too; was it otherwise?  For a few steps that have to
        be done all or none: nothing comes between this, a `try`, and the `signals_on` in its
        `finally`.  PyPy's main thread only: no other has signals, and a CPython host cannot."""

    def signals_on(were_on: bool) -> None:
        """The end of that: those that waited come now."""

else:
    try:
        from __pypy__ import _promote as promote
        from __pypy__ import hidden_applevel as hidden
        from __pypy__ import newdict, newlist_hint
        from __pypy__ import strategy as list_strategy
        from __pypy__ import utf8content as utf8
        from __pypy__.thread import _signals_enter, _signals_exit

        def signals_off():
            try:
                _signals_exit()
            except RuntimeError:  # not on this thread, or off already
                return False
            return True

        def signals_on(were_on):
            if were_on:
                _signals_enter()
                sleep(0)  # PyPy looks for those that waited when it has given up its GIL

        def module_dict():
            return newdict("module")

    except ImportError:

        def hidden(function):
            return function

        def promote(x):
            return x

        def list_strategy(x):
            return ""

        def utf8(s):
            return s.encode("utf-8", "surrogatepass")

        def module_dict():
            return {}

        def signals_off():
            return False

        def signals_on(were_on):
            pass


def library_module(name: str) -> Any:
    """The host's module of this name, if it is loaded and of the standard library."""
    module = sys.modules.get(name)
    if module is None or name == "__main__":
        return None
    file = getattr(module, "__file__", None)
    if file is None:
        return module if name in sys.builtin_module_names else None
    home = os.path.dirname(os.__file__) + os.sep
    if "site-packages" not in file and (
        file.startswith(home) or os.path.realpath(file).startswith(os.path.realpath(home))
    ):
        return module
    return None


def is_array(x: Any) -> bool:
    """Is `x` an array of the host's own numpy, which is not loaded for this?"""
    return any(c.__name__ == "ndarray" and c.__module__ == "numpy" for c in type(x).__mro__)


collect_step = getattr(gc, "collect_step", None)  # PyPy only


class _Sentinel:
    __slots__ = ("__weakref__",)


def collect_young() -> int:
    """Have PyPy make a minor collection, which it does when its nursery is full: fill it, with
    memory that is not touched, 4 us for a megabyte.  Gives how many bytes that took; 0 on a
    CPython host, and where it did not help."""
    sentinel = ref(_Sentinel())
    filled = 0
    while collect_step is not None and filled < _MOST_FILLED:
        newlist_hint(_items[0]).append(0)
        filled += 8 * _items[0]
        if sentinel() is None:
            return filled
    return 0


_MOST_FILLED = 64 << 20  # bytes
# PyPy keeps what is twice as large elsewhere.  In a list: of a number that it knew, a trace
# would make no memory.
_items = [8192]


def long_traces() -> None:
    """Let PyPy compile loops of more operations than by default (6000), where five calls, or an
    expression of eight elements of a matrix, do not fit in: what does not fit is compiled in
    pieces, which pass each other allocated objects.

    `retrace_limit`, which would compile an inner loop anew for the way it is entered from the
    outer one, is left at 0: PyPy 7.3.11 then fails an assertion of its compiler when a variable
    has another type in the first turn (docs/performance.md)."""
    try:
        from pypyjit import set_param  # type: ignore[import-not-found]
    except ImportError:
        return
    set_param("trace_limit=16000")  # 16384 is the most that PyPy accepts


def replace_attributes(cls: Any, new: dict[str, Any]) -> None:
    """Set attributes of a class, so that PyPy takes them for constants, which it does not of
    those that were overwritten: an old one is deleted first.  No other thread runs between."""
    calm = getattr(sys, "setcheckinterval", None)
    if calm is None:
        for name, value in new.items():
            type.__setattr__(cls, name, value)
        return
    own = type.__dict__["__dict__"].__get__(cls)
    before = sys.getcheckinterval()  # type: ignore[attr-defined]
    calm(10**9)
    try:
        for name, value in new.items():
            if name in own:
                type.__delattr__(cls, name)
            type.__setattr__(cls, name, value)
    finally:
        calm(before)
