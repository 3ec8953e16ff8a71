# SPDX-License-Identifier: MIT
"""What is known of interpreters and settings, as objects with named values.

On PyPy 3.9 importing `collections` for a named tuple takes 4 ms, `typing` 28 and `dataclasses`
40, which every start of a guest would wait for.  mypy takes the types from the annotations.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any


class Facts:
    """Named values that do not change; the names are those of `__slots__`."""

    __slots__: tuple[str, ...] = ()

    def __init__(self, *values: Any, **named: Any) -> None:
        named.update(zip(self.__slots__, values))
        if len(values) > len(self.__slots__) or sorted(named) != sorted(self.__slots__):
            raise TypeError(f"{type(self).__name__} takes {', '.join(self.__slots__)}")
        for name, value in named.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{name} of a {type(self).__name__} does not change")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    def __hash__(self) -> int:
        return hash(tuple([getattr(self, name) for name in self.__slots__]))

    def __repr__(self) -> str:
        values = ", ".join([f"{name}={getattr(self, name)!r}" for name in self.__slots__])
        return f"{type(self).__name__}({values})"
