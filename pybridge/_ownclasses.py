# SPDX-License-Identifier: MIT
"""Classes that both interpreters have: int, list, types.FunctionType, datetime.date.

`OWN` are those of the host that stand for the guest's builtin class of the same name.  The
other way, `guest_class_of` finds the guest's class for one of the host's: that of a mirror
class, or the guest's own of the same name, and what stands for it is kept in `_kinds`.
"""

from __future__ import annotations

import builtins
import sys
import types

from pybridge import _guest, _kinds, _values
from pybridge._frame import Frame
from pybridge._handle import settle
from pybridge._metatype import MirrorType
from pybridge._put import put

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

_get = type.__getattribute__
VALUES = {
    "int": int,
    "float": float,
    "complex": complex,
    "str": str,
    "bytes": bytes,
    "tuple": tuple,
}
# Types of the language that `builtins` does not name
LANGUAGE: dict[str, type] = {
    "function": types.FunctionType,
    "method": types.MethodType,
    "builtin_function_or_method": types.BuiltinFunctionType,
    "code": types.CodeType,
    "generator": types.GeneratorType,
    "coroutine": types.CoroutineType,
    "async_generator": types.AsyncGeneratorType,
    "frame": types.FrameType,
    "traceback": types.TracebackType,
    "module": types.ModuleType,
    "mappingproxy": types.MappingProxyType,
    "NoneType": type(None),
    "ellipsis": type(...),
    "NotImplementedType": type(NotImplemented),
}
BY_VALUE = (
    int, float, complex, str, bytes, tuple, bool, frozenset, slice, range,
    type(None), type(...), type(NotImplemented),
)  # fmt: skip
# The host's own for the guest's builtin class of that name.  Others, memoryview and zip, say,
# are mirrored: called, they work on guest objects.
OWN: dict[str, type] = {
    **LANGUAGE,
    **{cls.__name__: cls for cls in BY_VALUE},
    **{cls.__name__: cls for cls in (object, type, list, dict, set, bytearray)},
}
# host class that is no mirror class -> number of the guest class that it stands for
numbers: dict[type, int] = {}


def put_class(frame: Frame, at: int, cls: Any) -> int:
    return put(frame, at, _get(cls, "_pybridge_class"))


def guest_class_of(cls: Any) -> Any:
    """The proxy of the guest class that a host class stands for, or None."""
    if isinstance(cls, MirrorType):
        return _get(cls, "_pybridge_class")
    found = _kinds.guest_classes.get(cls)
    if found is None:
        place = _place(cls)
        if place is not None:
            try:
                proxy = _guest.call_raw("find_class", *place)
            except AttributeError:  # PyPy's builtins have names of their own
                return None
            found = _kinds.guest_classes[cls] = settle(proxy)
    return found


def _place(cls: type) -> tuple[str, str] | None:
    """Where the guest has its own of a class of the host's, or None."""
    name = cls.__name__
    if getattr(builtins, name, None) is cls:
        return "builtins", name
    for short, known in LANGUAGE.items():
        if known is cls:
            return "", short
    key = cls.__module__, cls.__qualname__
    if key in _values.ROWS and getattr(sys.modules.get(key[0]), name, None) is cls:
        return key
    return None


def put_own_class(frame: Frame, at: int, cls: Any) -> int:
    return put(frame, at, guest_class_of(cls))
