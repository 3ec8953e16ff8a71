# SPDX-License-Identifier: MIT
"""The guest's half of the bridge: pybridge/guest/support.py, loaded into the guest.

`support(name)` is the guest function of that name, as a proxy; `call(name, ...)` calls it.
Available once `load` has run, which `_runtime` does right after the start.
"""

from __future__ import annotations

import os

from pybridge._core import lib
from pybridge._errors import BridgeError
from pybridge._frame import frame_get, frames
from pybridge._handle import adopt_alone, settle
from pybridge._host import hidden
from pybridge._names import interned, put_arguments
from pybridge._put import put
from pybridge._tags import CLASS, HEAVY, HOST, OBJECT, UNKNOWN
from pybridge._take import late, take

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

_functions: dict[str, Any] = {}
_module: Any = None
SUPPORT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "guest", "support.py")


@hidden
def import_guest(name: str) -> Any:
    """A guest module, as a proxy."""
    frame = frame_get()
    put(frame, 0, name)
    return take(frame, lib.pb_import(frame.mem))


@hidden
def get_attribute(x: Any, name: str) -> Any:
    """An attribute of a guest object."""
    frame = frame_get()
    return take(frame, lib.pb_get_attribute(frame.mem, x._pybridge_handle, interned(name)))


@hidden
def call_guest(x: Any, *args: Any, **kwargs: Any) -> Any:
    """Call a guest object."""
    frame = frame_get()
    n, names = put_arguments(frame, args, kwargs)
    return take(frame, lib.pb_call(frame.mem, x._pybridge_handle, n, names))


def load() -> None:
    """Load the module.  A loader of the guest's own does it, so that it caches the code."""
    global _module
    machinery = import_guest("importlib.machinery")
    loader = call_guest(
        get_attribute(machinery, "SourceFileLoader"), "_pybridge_support", SUPPORT
    )
    types = import_guest("types")
    module = call_guest(get_attribute(types, "ModuleType"), "_pybridge_support")
    frame = frame_get()
    put(frame, 0, SUPPORT)
    take(
        frame,
        lib.pb_set_attribute(frame.mem, module._pybridge_handle, interned("__file__")),
    )
    call_guest(get_attribute(loader, "exec_module"), module)
    # What classifies types must be at hand before the first type is asked about, what tells
    # of errors before the first error: it may be that no call has any room left.
    for name in (
        "class_loaded",
        "genuine",
        "describe_exception",
        "describe_plainly",
        "make_exception",
        "mark_seen",
        "describe_class",
    ):
        _functions[name] = settle(get_attribute(module, name))
    _module = settle(module)


def loaded() -> bool:
    """Is the module there?"""
    return _module is not None


def support(name: str) -> Any:
    """A function of the module, as a proxy; "file.function" for those in other files."""
    try:
        return _functions[name]
    except KeyError:
        file, dot, rest = name.partition(".")
        home = get_attribute(_module, file) if dot else _module
        function = _functions[name] = settle(get_attribute(home, rest or name))
        return function


@hidden
def call(name: str, *args: Any) -> Any:
    """Call a function of the module."""
    return call_guest(support(name), *args)


def call_raw(name: str, *args: Any) -> Any:
    """Likewise for one that gives an object: the bare proxy of it, also of a class."""
    return adopt_alone(handle_of_call(name, *args))


@hidden
def handle_of_call(name: str, *args: Any) -> int:
    """Likewise: the handle (new)."""
    function = support(name)
    frame = frame_get()
    n, names = put_arguments(frame, args, {})
    word = lib.pb_call(frame.mem, function._pybridge_handle, n, names)
    return handle_in(frame, word)


@hidden
def handle_in(frame: Any, word: int) -> int:
    """The handle (new) that a crossing left in `frame` as its result, which is raised if it is
    an error; puts the frame back."""
    if word & 255 not in _HANDLES:
        take(frame, word)
        raise BridgeError(f"the core answered with {word:#x} where an object was to come")
    if frame.keep is not None:
        if frame.links is not None and frame.mem.links_used:
            late.settle(frame)  # the result keeps containers
        frame.reset()
    handle: int = frame.ints[1]
    frames.append(frame)
    return handle


_HANDLES = (OBJECT, HEAVY, CLASS, UNKNOWN, HOST)
