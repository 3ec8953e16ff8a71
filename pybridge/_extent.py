# SPDX-License-Identifier: MIT
"""Extent: what a view says of its memory, under the names that memoryview has for it.

All of it is refused once the view is released: what was there may be anything by then.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any


class Extent:
    """The attributes of a view; see `pybridge.View`."""

    __slots__ = ()

    # Set by each class of views, and each view.
    _format = ""
    _itemsize = 0
    if TYPE_CHECKING:
        _pin: Any
        _shape: tuple[int, ...]
        _strides: tuple[int, ...]
        _readonly: bool

    def _check(self) -> None:
        if not self._pin.handle:
            raise ValueError("operation forbidden on released view object")

    @property
    def shape(self) -> tuple[int, ...]:
        """How many elements, for each dimension."""
        self._check()
        return self._shape

    @property
    def strides(self) -> tuple[int, ...]:
        """Bytes from one element to the next, for each dimension."""
        self._check()
        return self._strides

    @property
    def suboffsets(self) -> tuple[int, ...]:
        """(): no memory that is reached through pointers."""
        self._check()
        return ()

    @property
    def readonly(self) -> bool:
        """Is writing refused?"""
        self._check()
        return self._readonly

    @property
    def format(self) -> str:
        """How an element is written, as PEP 3118 says it."""
        self._check()
        return self._format

    @property
    def itemsize(self) -> int:
        """Bytes of an element."""
        self._check()
        return self._itemsize

    @property
    def ndim(self) -> int:
        """How many dimensions."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        total = self.itemsize
        for n in self._shape:
            total *= n
        return total

    @property
    def obj(self) -> Any:
        """The guest object."""
        self._check()
        return self._pin.guest

    @property
    def contiguous(self) -> bool:
        """Do the elements lie without gaps, in C or Fortran order?"""
        return self.c_contiguous or self.f_contiguous

    @property
    def c_contiguous(self) -> bool:
        """Do the elements lie without gaps, in C order?"""
        return self.nbytes == 0 or self._strides == c_strides(self._shape, self._itemsize)

    @property
    def f_contiguous(self) -> bool:
        """Do the elements lie without gaps, in Fortran order?"""
        backwards = c_strides(self._shape[::-1], self._itemsize)[::-1]
        return self.nbytes == 0 or self._strides == backwards


def c_strides(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    strides = []
    for n in reversed(shape):
        strides.append(itemsize)
        itemsize *= n
    return tuple(reversed(strides))
