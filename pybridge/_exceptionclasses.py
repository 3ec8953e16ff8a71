# SPDX-License-Identifier: MIT
"""The host's classes of exceptions for the guest's, and the guest's for the host's.

One of the builtins, or of the standard library where the host has it loaded, is the host's own.
Any other becomes a class of the same name below the same bases, made once, so that
`except numpy.linalg.LinAlgError` and `except ValueError` both catch.
"""

from __future__ import annotations

import builtins
import sys

from pybridge import _kinds
from pybridge._host import library_module

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

TEXT = "__pybridge_text__"  # attribute: what the guest's __str__ said
_classes: dict[tuple[str, str, tuple[type, ...]], type] = {}


def host_class(described: Any) -> Any:
    """The host's class for a guest exception: its class, or where that cannot be asked for
    its MRO: (module, name, positions of the bases) each."""
    if isinstance(described, type):
        return described
    made: dict[int, Any] = {}
    for i in range(len(described) - 1, -1, -1):
        module, name, bases = described[i]
        cls = _builtin(name) if module == "builtins" else _of_the_library(module, name)
        if cls is None:
            cls = exception_class(module, name, tuple([made[j] for j in bases]))
        made[i] = cls
    return made[0]


def exception_class(module: str, qualname: str, bases: tuple[Any, ...], name: str = "") -> Any:
    """The host's class for a guest exception class that is no builtin one: made once, below
    the same bases, so that one with two builtin bases (io.UnsupportedOperation) is caught by
    either.  `name`: its `__name__`, where that is known to be another (numpy's UFuncTypeError
    is that of several classes)."""
    own = _of_the_library(module, qualname)
    if own is not None:
        return own
    bases = tuple([b for b in bases if issubclass(b, BaseException)]) or (Exception,)
    key = module, qualname, bases
    cls = _classes.get(key)
    if cls is None:
        space = {"__module__": module, "__qualname__": qualname, "__str__": text_of}
        short = qualname.rpartition(".")[2]
        try:
            cls = type(short, bases, space)
        except TypeError:  # bases that the host cannot combine
            cls = type(short, bases[:1], space)
        _classes[key] = cls
    if name and cls.__name__ != name:
        cls.__name__ = name
    return cls


def _builtin(name: str) -> Any:
    cls = getattr(builtins, name, None)
    if cls is None and name.endswith("ExceptionGroup"):
        # The back-port, where the program uses it.
        cls = getattr(sys.modules.get("exceptiongroup"), name, None)
    return cls if isinstance(cls, type) and issubclass(cls, BaseException) else None


def _of_the_library(module: str, name: str) -> Any:
    """The host's own exception of the standard library: `except json.JSONDecodeError`
    catches the guest's."""
    cls = getattr(library_module(module), name, None)
    if cls is None and module.startswith("_"):  # of a C module: the host's may be in Python
        cls = getattr(library_module(module[1:]), name, None)
    return cls if isinstance(cls, type) and issubclass(cls, BaseException) else None


def text_of(self: BaseException) -> str:
    """What the guest's __str__ said, if it has one of its own."""
    text = self.__dict__.get(TEXT)
    if text is not None:
        return text  # type: ignore[no-any-return]
    for cls in type(self).__mro__:
        function = vars(cls).get("__str__")
        if function is not None and function is not text_of:
            return function(self)  # type: ignore[no-any-return]
    return ""


def described_classes(cls: type) -> tuple[Any, ...]:
    """The MRO of an exception class, for the guest: module, name, positions of the bases, and
    the guest class, where the host's stands for one of the guest's own."""
    mro = [base for base in cls.__mro__ if issubclass(base, BaseException)]
    return tuple(
        [
            (
                base.__module__,
                base.__qualname__,
                tuple([mro.index(b) for b in base.__bases__ if b in mro]),
                None if base.__module__ == "builtins" else _kinds.guest_classes.get(base),
            )
            for base in mro
        ]
    )
