# SPDX-License-Identifier: MIT
"""The bridge's Python in the guest: values that cross by their fields.

`reduce_*` gives the fields of a value, of which the host makes its own; `build_*` makes one of
the host's fields, where the class itself does not take them in order (pybridge/_values.py).
"""


def reduced(reduce, x):
    """What `reduce` gives of `x`; None if it fails, as of an object that is half made."""
    try:
        return reduce(x)
    except Exception:
        return None


def reduce_date(x):
    return x.year, x.month, x.day


def reduce_time(x):
    return x.hour, x.minute, x.second, x.microsecond, x.tzinfo, x.fold


def reduce_datetime(x):
    return (
        x.year, x.month, x.day, x.hour, x.minute, x.second, x.microsecond, x.tzinfo, x.fold,
    )  # fmt: skip


def reduce_timedelta(x):
    return x.days, x.seconds, x.microseconds


def reduce_timezone(x):
    name = x.tzname(None)
    offset = x.utcoffset(None)
    plain = type(x)(offset)
    return (offset,) if plain.tzname(None) == name else (offset, name)


def reduce_zoneinfo(x):
    return (x.key,)


def reduce_text(x):
    return (str(x),)


def reduce_fraction(x):
    return x.numerator, x.denominator


def reduce_uuid(x):
    return (x.int,)


def reduce_path(x):
    # As bytes: the two sides may decode file names differently.
    import os

    return (os.fsencode(x),)


def build_time(hour, minute, second, microsecond, tzinfo, fold):
    import datetime

    return datetime.time(hour, minute, second, microsecond, tzinfo, fold=fold)


def build_datetime(year, month, day, hour, minute, second, microsecond, tzinfo, fold):
    import datetime

    return datetime.datetime(
        year, month, day, hour, minute, second, microsecond, tzinfo, fold=fold
    )


def zone_of(key):
    """A ZoneInfo that does not cross by value: for a host that does not know its key."""
    import datetime
    import zoneinfo

    zone = zoneinfo.ZoneInfo(key)

    class Zone(datetime.tzinfo):
        def utcoffset(self, when):
            return zone.utcoffset(None if when is None else when.replace(tzinfo=zone))

        def dst(self, when):
            return zone.dst(None if when is None else when.replace(tzinfo=zone))

        def tzname(self, when):
            return zone.tzname(None if when is None else when.replace(tzinfo=zone))

        def __repr__(self):
            return repr(zone)

    return Zone()


def build_uuid(number):
    import uuid

    return uuid.UUID(int=number)


def build_path(class_name, name):
    import os
    import pathlib

    return getattr(pathlib, class_name)(os.fsdecode(name))
