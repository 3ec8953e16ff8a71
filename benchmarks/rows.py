# SPDX-License-Identifier: MIT
"""The measured loops.  The same text runs on native CPython and on the host.

`make(native)` gives {row: function(n)}; each function does its operation n times in a plain
`for` loop.  The loop itself is part of the figure on both sides, because it is part of the
program.
"""

from __future__ import annotations

from typing import Any, Callable

GUEST = """
def f(x): return x

class Point:
    def __init__(self): self.x = 5

class Empty: pass

point = Point()
numbers = list(range(1000))
doubles = __import__("array").array("d", range(1000))
"""


def _guest(native: bool) -> tuple[Any, Any, dict[str, Any]]:
    names: dict[str, Any] = {}
    if native:
        import functools
        import math

        exec(GUEST, names)
        return math, functools, names
    import pybridge

    pybridge.exec(GUEST, names)
    return pybridge.import_module("math"), pybridge.import_module("functools"), names


def make(native: bool) -> dict[str, Callable[[int], None]]:
    """The rows, on this interpreter alone or through the bridge."""
    math, functools, names = _guest(native)
    sqrt, f, point, Empty = math.sqrt, names["f"], names["point"], names["Empty"]
    reduce, numbers = functools.reduce, names["numbers"]
    elements = names["doubles"]
    if not native:
        import pybridge

        elements = pybridge.view(elements)

    def call_sqrt(n: int) -> None:
        x = 2.5
        for _ in range(n):
            sqrt(x)

    def call_module_sqrt(n: int) -> None:
        x = 2.5
        for _ in range(n):
            math.sqrt(x)

    def call_function(n: int) -> None:
        x = 2.5
        for _ in range(n):
            f(x)

    def read_attribute(n: int) -> None:
        total = 0
        for _ in range(n):
            total += point.x

    def create_and_drop(n: int) -> None:
        for _ in range(n):
            Empty()

    def add(x: int, y: int) -> int:
        return x + y

    def call_back(n: int) -> None:
        for _ in range(n // 1000 or 1):
            reduce(add, numbers)

    def read_elements(n: int) -> None:
        for _ in range(n // 1000 or 1):
            total = 0.0
            for i in range(1000):
                total += elements[i]

    return {
        "sqrt(x)": call_sqrt,
        "math.sqrt(x)": call_module_sqrt,
        "f(x), a guest function": call_function,
        "point.x, an int": read_attribute,
        "Empty(), created and dropped": create_and_drop,
        "callback from reduce": call_back,
        "v[i], a double of a view": read_elements,
    }
