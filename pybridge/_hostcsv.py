# SPDX-License-Identifier: MIT
"""`csv.writer` of PyPy, which writes `repr` of floats where CPython writes `str`: of a
numpy.float64 it would write "np.float64(2.5)".

The two differ only for classes below float, so what is wrapped is those: each is shown by its
`str`.  Installed with numpy's classes, in place of `csv.writer`; a program that had taken that
one by `from csv import writer` before it imported numpy keeps the host's.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any


class _Shown(float):
    """A float whose `repr` is the `str` of another."""

    __slots__ = ("of",)
    of: float

    def __repr__(self) -> str:
        return str(self.of)


def _shown(x: Any) -> Any:
    if type(x) is float or not isinstance(x, float):
        return x
    shown = _Shown(x)
    shown.of = x
    return shown


def _fields(row: Any) -> Any:
    try:
        fields = iter(row)
    except TypeError:
        return row  # the writer's own words
    return [_shown(x) for x in fields]


class _Writer:
    """The host's writer, with floats as CPython's shows them."""

    __slots__ = ("_host", "_write")

    def __init__(self, host: Any) -> None:
        self._host = host
        self._write = host.writerow

    @property
    def dialect(self) -> Any:
        return self._host.dialect

    def writerow(self, row: Any) -> Any:
        """writerow(iterable)"""
        return self._write(_fields(row))

    def writerows(self, rows: Any) -> None:
        """writerows(iterable of iterables)"""
        for row in rows:
            self._write(_fields(row))


class _Probe(float):
    __slots__ = ()

    def __repr__(self) -> str:
        return "repr"

    def __str__(self) -> str:
        return "str"


class _Lines(list):  # type: ignore[type-arg]
    write = list.append


def install() -> None:
    """Have `csv.writer` write what CPython's does, if it does not."""
    if sys.implementation.name != "pypy":
        return  # there `_csv` is a file
    import _csv

    host, lines = _csv.writer, _Lines()
    host(lines).writerow([_Probe(1.0)])
    if not lines[0].startswith("repr"):
        return

    def writer(*args: Any, **kwargs: Any) -> Any:
        return _Writer(host(*args, **kwargs))

    writer.__doc__ = host.__doc__
    for module in (_csv, sys.modules.get("csv")):
        if getattr(module, "writer", None) is host:
            module.writer = writer  # type: ignore[union-attr]
