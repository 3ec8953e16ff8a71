# SPDX-License-Identifier: MIT
"""Dates and durations in guest memory: numpy's datetime64 and timedelta64.

Both are 64-bit counts of a unit.  On the host they are what numpy's own `tolist` gives:
`datetime.date` for days and longer, `datetime.datetime` down to microseconds, `timedelta` for
durations (but not of months or years); a plain int, the count, for shorter units and for what
those classes cannot hold; None for NaT, "not a time".  What is written must be a whole number
of units, or it is a ValueError: nothing is rounded.
"""

from __future__ import annotations

import datetime

from pybridge._errors import ConversionError

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any, Callable

_NAT = -(1 << 63)
_MICROSECONDS = {
    "W": 7 * 86400 * 10**6, "D": 86400 * 10**6, "h": 3600 * 10**6, "m": 60 * 10**6,
    "s": 10**6, "ms": 1000, "us": 1,
}  # fmt: skip
_COUNTED = ("ns", "ps", "fs", "as", "")
_EPOCH = datetime.datetime(1970, 1, 1)
_FIRST_DAY = datetime.date(1970, 1, 1).toordinal()


def _split(unit: str) -> tuple[int, str]:
    """ "25s" -> 25, "s"."""
    name = unit.lstrip("0123456789")
    return int(unit[: len(unit) - len(name)] or 1), name


def kind_of(kind: str, unit: str, read: Any, write: Any) -> Any:
    """Functions that read and write; `read` and `write` are those of the count."""
    multiple, name = _split(unit)
    to_host: Callable[[int], Any]
    to_count: Callable[[Any], int]
    if name in _COUNTED:
        to_host, to_count = _plain, _count
    elif name in ("Y", "M"):
        months = multiple * (12 if name == "Y" else 1)
        to_host, to_count = (
            (_plain, _count) if kind == "m" else (_month_of(months), _months_in(months))
        )
    elif name in _MICROSECONDS:
        step = multiple * _MICROSECONDS[name]
        if kind == "m":
            to_host, to_count = _duration_of(step), _durations_in(step)
        elif name in "WD":
            to_host, to_count = _day_of(step), _moments_in(step)
        else:
            to_host, to_count = _moment_of(step), _moments_in(step)
    else:
        raise ConversionError(f"dates that count {unit!r} have no host form", code="PB304")

    def read_date(address: int) -> Any:
        count = read(address)
        if count == _NAT:
            return None
        try:
            return to_host(count)
        except (OverflowError, ValueError):  # beyond what datetime holds
            return count

    def write_date(address: int, x: Any) -> None:
        if x is None:
            count = _NAT
        elif type(x) is int:
            count = x
        else:
            count = to_count(x)
        write(address, count)

    return read_date, write_date


def _plain(count: int) -> int:
    return count


def _count(x: Any) -> int:
    raise TypeError(f"an element is an int, the number of units, not {type(x).__name__}")


def _month_of(months: int) -> Callable[[int], Any]:
    def to_host(count: int) -> datetime.date:
        return datetime.date(1970 + count * months // 12, count * months % 12 + 1, 1)

    return to_host


def _months_in(months: int) -> Callable[[Any], int]:
    def to_count(x: Any) -> int:
        if not isinstance(x, datetime.date):
            raise TypeError(f"an element is a date, not {type(x).__name__}")
        first = x.replace(day=1)
        if isinstance(first, datetime.datetime):
            first = datetime.datetime(first.year, first.month, 1, tzinfo=first.tzinfo)
        return _whole(12 * (x.year - 1970) + x.month - 1, months, x, first == x)

    return to_count


def _day_of(step: int) -> Callable[[int], Any]:
    days = step // _MICROSECONDS["D"]

    def to_host(count: int) -> datetime.date:
        return datetime.date.fromordinal(_FIRST_DAY + count * days)

    return to_host


def _moment_of(step: int) -> Callable[[int], Any]:
    def to_host(count: int) -> datetime.datetime:
        return _EPOCH + datetime.timedelta(microseconds=count * step)

    return to_host


def _moments_in(step: int) -> Callable[[Any], int]:
    def to_count(x: Any) -> int:
        if isinstance(x, datetime.datetime):
            if x.tzinfo is not None:
                raise ValueError("an element has no time zone: write x.replace(tzinfo=None)")
            return _whole(_microseconds(x - _EPOCH), step, x)
        if isinstance(x, datetime.date):
            return _whole((x.toordinal() - _FIRST_DAY) * _MICROSECONDS["D"], step, x)
        raise TypeError(f"an element is a date, not {type(x).__name__}")

    return to_count


def _duration_of(step: int) -> Callable[[int], Any]:
    def to_host(count: int) -> datetime.timedelta:
        return datetime.timedelta(microseconds=count * step)

    return to_host


def _durations_in(step: int) -> Callable[[Any], int]:
    def to_count(x: Any) -> int:
        if not isinstance(x, datetime.timedelta):
            raise TypeError(f"an element is a timedelta, not {type(x).__name__}")
        return _whole(_microseconds(x), step, x)

    return to_count


def _microseconds(x: datetime.timedelta) -> int:
    return (x.days * 86400 + x.seconds) * 10**6 + x.microseconds


def _whole(amount: int, step: int, x: Any, whole: bool = True) -> int:
    count, rest = divmod(amount, step)
    if rest or not whole:
        raise ValueError(f"{x!r} is no whole number of the array's units")
    return count
