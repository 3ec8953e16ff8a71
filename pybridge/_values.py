# SPDX-License-Identifier: MIT
"""Classes whose objects cross by value, through their fields.

One row of `ROWS` for each class: how the host takes its object apart, how the guest makes
one of those fields, and the two halves of the way back (the guest's are functions of
pybridge/guest/support.py).  A row is looked up by module and name when an object of the
class first crosses, so nothing is imported before.

Exact classes only.  A datetime's tzinfo crosses by its own row if it has one; any other
guest tzinfo becomes a `GuestTimezone`, which asks the guest.
"""

from __future__ import annotations

import datetime
import os
import sys

from pybridge import _guest
from pybridge._frame import Frame
from pybridge._handle import Handle, settle
from pybridge._put import fallbacks, put, put_build
from pybridge._take import decoders

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

    from pybridge._put import Encoder


class GuestTimezone(datetime.tzinfo):
    """A guest tzinfo that has no host form; `guest` is the proxy that is asked.

    `key`: of a ZoneInfo that the host's data base does not have.
    """

    def __init__(self, guest: Any, key: str | None = None) -> None:
        self.guest = guest
        self.key = key

    def utcoffset(self, when: datetime.datetime | None) -> datetime.timedelta | None:
        """As the guest says."""
        return self.guest.utcoffset(_naive(when))  # type: ignore[no-any-return]

    def dst(self, when: datetime.datetime | None) -> datetime.timedelta | None:
        """As the guest says."""
        return self.guest.dst(_naive(when))  # type: ignore[no-any-return]

    def tzname(self, when: datetime.datetime | None) -> str | None:
        """As the guest says."""
        return self.guest.tzname(_naive(when))  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return repr(self.guest)


def _naive(when: datetime.datetime | None) -> datetime.datetime | None:
    return None if when is None else when.replace(tzinfo=None)


class _Row:
    """`fields`: the host's object taken apart; `build`: the guest's maker, "module:name" or a
    function of support.py; `reduce`: the guest's object taken apart, a function of
    support.py; `make`: the host's maker; `place`: module and name of the class."""

    __slots__ = ("build", "fields", "make", "place", "reduce")

    def __init__(self, fields: Any, build: str, reduce: str, make: Any) -> None:
        self.fields = fields
        self.build = build
        self.reduce = reduce
        self.make = make
        self.place = ("", "")

    def host_class(self) -> type:
        """The host's class of that name."""
        module, name = self.place
        module = module.partition("._")[0]
        __import__(module)
        return getattr(sys.modules[module], name)  # type: ignore[no-any-return]


def _timezone_fields(x: datetime.timezone) -> tuple[Any, ...]:
    offset = x.utcoffset(None)
    name = x.tzname(None)
    return (offset,) if datetime.timezone(offset).tzname(None) == name else (offset, name)


def _time_made(*fields: Any) -> datetime.time:
    *numbers, tz, fold = fields
    hour, minute, second, microsecond = numbers
    return datetime.time(hour, minute, second, microsecond, _tzinfo(tz), fold=fold)


def _datetime_made(*fields: Any) -> datetime.datetime:
    *numbers, tz, fold = fields
    year, month, day, *rest = numbers
    hour, minute, second, microsecond = rest
    return datetime.datetime(
        year, month, day, hour, minute, second, microsecond, _tzinfo(tz), fold=fold
    )


def _tzinfo(tz: Any) -> datetime.tzinfo | None:
    return GuestTimezone(tz) if isinstance(tz, Handle) else tz


def _zone_made(key: str) -> Any:
    import zoneinfo

    try:
        return zoneinfo.ZoneInfo(key)
    except Exception:  # no such key, or no data base, on the host
        return GuestTimezone(_guest.call("zone_of", key), key)


def _decimal_made(text: str) -> Any:
    import decimal

    return decimal.Decimal(text)


def _fraction_made(numerator: int, denominator: int) -> Any:
    import fractions

    return fractions.Fraction(numerator, denominator)


def _uuid_made(number: int) -> Any:
    import uuid

    return uuid.UUID(int=number)


def _path_row(name: str) -> _Row:
    def made(encoded: bytes) -> Any:
        import pathlib

        return getattr(pathlib, name)(os.fsdecode(encoded))

    def fields(x: Any) -> tuple[Any, ...]:
        return name, os.fsencode(x)

    return _Row(fields, "build_path", "reduce_path", made)


ROWS: dict[tuple[str, str], _Row] = {
    ("datetime", "date"): _Row(
        lambda x: (x.year, x.month, x.day), "datetime:date", "reduce_date", datetime.date
    ),
    ("datetime", "time"): _Row(
        lambda x: (x.hour, x.minute, x.second, x.microsecond, x.tzinfo, x.fold),
        "build_time",
        "reduce_time",
        _time_made,
    ),
    ("datetime", "datetime"): _Row(
        lambda x: (
            *(x.year, x.month, x.day, x.hour, x.minute, x.second, x.microsecond),
            *(x.tzinfo, x.fold),
        ),
        "build_datetime",
        "reduce_datetime",
        _datetime_made,
    ),
    ("datetime", "timedelta"): _Row(
        lambda x: (x.days, x.seconds, x.microseconds),
        "datetime:timedelta",
        "reduce_timedelta",
        datetime.timedelta,
    ),
    ("datetime", "timezone"): _Row(
        _timezone_fields, "datetime:timezone", "reduce_timezone", datetime.timezone
    ),
    ("zoneinfo", "ZoneInfo"): _Row(
        lambda x: (x.key,), "zoneinfo:ZoneInfo", "reduce_zoneinfo", _zone_made
    ),
    ("decimal", "Decimal"): _Row(
        lambda x: (str(x),), "decimal:Decimal", "reduce_text", _decimal_made
    ),
    ("fractions", "Fraction"): _Row(
        lambda x: (x.numerator, x.denominator),
        "fractions:Fraction",
        "reduce_fraction",
        _fraction_made,
    ),
    ("uuid", "UUID"): _Row(lambda x: (x.int,), "build_uuid", "reduce_uuid", _uuid_made),
    **{
        (module, name): _path_row(name)
        for module in ("pathlib", "pathlib._local")  # 3.13 moved the classes
        for name in ("PosixPath", "PurePosixPath", "PureWindowsPath")
    },
}
for _place, _row in ROWS.items():
    _row.place = _place
_factories: dict[str, Any] = {}


def _factory(build: str) -> Any:
    if build not in _factories:
        module, colon, name = build.partition(":")
        if colon:
            _factories[build] = settle(_guest.call_raw("find", module, name))
        else:
            _factories[build] = _guest.support(build)
    return _factories[build]


def _value_encoder(x: Any) -> Encoder | None:
    kind = type(x)
    row = ROWS.get((kind.__module__, kind.__qualname__))
    if (
        row is None
        or getattr(sys.modules.get(kind.__module__), kind.__name__, None) is not kind
    ):
        return None
    if kind.__qualname__ == "ZoneInfo" and x.key is None:
        return None  # made from a file: it has no name to find it by
    fields, build = row.fields, row.build

    def encode(frame: Frame, at: int, x: Any) -> int:
        return put_build(frame, at, _factory(build), fields(x))

    return encode


def _timezone_encoder(x: Any) -> Encoder | None:
    if type(x) is not GuestTimezone:
        return None
    if x.key is not None:
        zone = _factory("zoneinfo:ZoneInfo")
        return lambda frame, at, x: put_build(frame, at, zone, (x.key,))
    return lambda frame, at, x: put(frame, at, x.guest)


def decode_as(number: int, row: _Row) -> None:
    """Objects of guest class `number` cross by this row."""
    decoders[number] = lambda fields: row.make(*fields)


fallbacks.extend([_value_encoder, _timezone_encoder])
