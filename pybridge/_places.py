# SPDX-License-Identifier: MIT
"""Numbers of places in lists that grow.

Between any two steps another thread may come, and also with a lock, on this very thread, a
signal handler or a finalizer that needs a number too, or Ctrl-C, which ends what it comes into.
So a number is not the length that a list has: it is taken in one step, and nobody else has it
then; the lists have a place for it afterwards, whoever made that.  Ctrl-C may cost a number.
"""

from __future__ import annotations

from itertools import count

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any


class Places:
    """Gives numbers, of `lists` that have one length, `size` numbers at a time."""

    __slots__ = ("lists", "numbers", "size")

    def __init__(self, *lists: list[Any], size: int = 1) -> None:
        self.lists = lists
        self.size = size
        self.numbers = count(len(lists[0]), size)

    def new(self) -> int:
        """The first of `size` numbers that were never given; at their places is None.
        Any thread."""
        first: int = next(self.numbers)
        for items in self.lists:
            while len(items) < first + self.size:
                items.append(None)
        return first
