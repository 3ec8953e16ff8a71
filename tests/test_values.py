# SPDX-License-Identifier: MIT
"""Dates, numbers, identifiers and paths cross by their fields, both ways."""

from __future__ import annotations

import datetime
import decimal
import fractions
import os
import pathlib
import uuid
import zoneinfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pybridge
from pybridge._values import GuestTimezone

quick = settings(deadline=None, max_examples=40)

zones = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]).map(
    zoneinfo.ZoneInfo
)
offsets = st.timedeltas(
    min_value=-datetime.timedelta(hours=23, minutes=59, seconds=59, microseconds=1),
    max_value=datetime.timedelta(hours=23, minutes=59, seconds=59, microseconds=1),
)
timezones = st.one_of(
    offsets.map(datetime.timezone),
    st.builds(datetime.timezone, offsets, st.text(st.characters(exclude_categories=["Cs"]))),
)
tzinfos = st.one_of(st.none(), zones, timezones)
folds = st.sampled_from([0, 1])

dates = {
    "date": st.dates(),
    "time": st.builds(
        lambda t, tz, fold: t.replace(tzinfo=tz, fold=fold), st.times(), tzinfos, folds
    ),
    "datetime": st.builds(
        lambda t, tz, fold: t.replace(tzinfo=tz, fold=fold), st.datetimes(), tzinfos, folds
    ),
    "timedelta": st.timedeltas(),
    "timezone": timezones,
    "zoneinfo": zones,
    "decimal": st.decimals(),
    "fraction": st.fractions(),
    "uuid": st.uuids(),
    "path": st.text(st.characters(exclude_characters="\0"), max_size=30).map(pathlib.Path),
    "pure path": st.text(max_size=30).map(pathlib.PurePosixPath),
    "windows path": st.text(max_size=30).map(pathlib.PureWindowsPath),
}


def encodable(x: object) -> bool:
    try:
        os.fsencode(str(x))
    except UnicodeEncodeError:
        return False
    return True


def told(x: object) -> tuple[object, ...]:
    """What equality does not look at."""
    if isinstance(x, datetime.time):
        return repr(x), x.fold, repr(x.tzinfo)
    if isinstance(x, datetime.datetime):
        return repr(x), x.fold, repr(x.tzinfo)
    if isinstance(x, decimal.Decimal):
        return (str(x),)
    return type(x).__name__, repr(x)


@pytest.fixture(scope="module")
def echo(guest):
    return pybridge.eval("lambda x: x")


@pytest.mark.parametrize("kind", dates)
def test_it_comes_back_equal_and_looks_the_same_in_the_guest(echo, kind):
    text = pybridge.eval("lambda x: (type(x).__name__, str(x))")

    @quick
    @given(dates[kind].filter(encodable) if "path" in kind else dates[kind])
    def check(x):
        back = echo(x)
        assert type(back) is type(x)
        assert told(back) == told(x)
        assert text(x) == (type(x).__name__, str(x))

    check()


@pytest.mark.parametrize(
    "name", ["NaN", "-NaN", "sNaN123", "Infinity", "-0", "1E+1000", "0.1000", "-0E-10"]
)
def test_decimals_keep_sign_exponent_and_payload(echo, name):
    assert echo(decimal.Decimal(name)).as_tuple() == decimal.Decimal(name).as_tuple()


def test_a_path_that_is_no_text_keeps_its_bytes(echo):
    path = pathlib.Path(os.fsdecode(b"/tmp/\xff\xfe caf\xc3\xa9"))
    assert os.fsencode(echo(path)) == b"/tmp/\xff\xfe caf\xc3\xa9"
    there = pybridge.eval("lambda p: __import__('os').fsencode(p)")
    assert there(path) == b"/tmp/\xff\xfe caf\xc3\xa9"


def test_the_repeated_hour_is_told_apart(echo):
    berlin = zoneinfo.ZoneInfo("Europe/Berlin")
    first = datetime.datetime(2023, 10, 29, 2, 30, tzinfo=berlin)
    second = first.replace(fold=1)
    offset = pybridge.eval("lambda t: t.utcoffset()")
    assert offset(first) == datetime.timedelta(hours=2)
    assert offset(second) == datetime.timedelta(hours=1)
    assert echo(second).utcoffset() == datetime.timedelta(hours=1)
    assert echo(second).tzinfo is berlin


def test_the_limits_of_each_class(echo):
    for kind in (datetime.date, datetime.time, datetime.datetime, datetime.timedelta):
        for x in (kind.min, kind.max, kind.resolution):
            assert echo(x) == x


def test_a_guest_time_zone_without_a_host_form_is_asked(guest):
    pybridge.exec(
        """
import datetime
class Zone(datetime.tzinfo):
    def utcoffset(self, when):
        return datetime.timedelta(minutes=90)
    def dst(self, when):
        return None
    def tzname(self, when):
        return "odd" if when is None else "odd %d" % when.year
zone = Zone()
"""
    )
    x = pybridge.eval("datetime.datetime(2024, 1, 2, tzinfo=zone)")
    assert type(x) is datetime.datetime
    assert x.utcoffset() == datetime.timedelta(minutes=90)
    assert x.tzname() == "odd 2024"
    assert x.dst() is None
    assert type(x.tzinfo) is GuestTimezone
    assert repr(x.tzinfo) == repr(x.tzinfo.guest)
    assert x.astimezone(datetime.timezone.utc).hour == 22
    assert pybridge.eval("lambda x: x.tzinfo is zone")(x)


def test_values_inside_containers_and_dict_keys(echo):
    x = (uuid.UUID(int=5), (decimal.Decimal("1.5"), frozenset([fractions.Fraction(1, 3)])))
    assert echo(x) == x
    day = datetime.date(2024, 2, 29)
    assert pybridge.eval("lambda d: tuple(d.items())")({day: [day]})[0][0] == day


class Day(datetime.date):
    pass


def test_a_subclass_is_no_value(echo):
    day = Day(2024, 1, 1)
    assert echo(day) is day
    assert pybridge.eval("lambda x: type(x).__mro__[:2]")(day)[0] is Day
    x = pybridge.eval("type('Day', (__import__('datetime').date,), {})(2024, 1, 1)")
    assert isinstance(x, pybridge.Proxy)
    assert x.year == 2024


def test_a_class_that_only_has_the_name_of_a_value_is_none(guest):
    """Classified by what the module really has, not by what the class says."""
    pybridge.exec("class date:\n    __module__ = 'datetime'\n    year = month = day = 1")
    assert isinstance(pybridge.eval("date()"), pybridge.Proxy)


def test_an_object_with_a_broken_field_stays_a_guest_object(guest):
    x = pybridge.eval("object.__new__(__import__('fractions').Fraction)")
    assert isinstance(x, pybridge.Proxy)
    with pytest.raises(AttributeError, match=r"_numerator|_denominator"):
        x + 1


def test_a_class_that_died_is_not_mistaken_for_the_next_one(guest):
    """Types are classified by address; a dead type's entry goes with it."""
    pybridge.exec(
        "import gc\ndef some(n):\n    x = type('T%d' % n, (), {'n': n})()\n    return x\n"
    )
    some = pybridge.eval("some")
    for n in range(300):
        with pybridge.scope():
            assert some(n).n == n
        if n % 50 == 0:
            pybridge.eval("gc.collect()")
    assert pybridge.eval("__import__('decimal').Decimal(1)") == 1


@pytest.mark.parametrize("x", [int, dict, ValueError, type, object, print, len], ids=repr)
def test_builtin_types_and_functions_are_callable_there(guest, x):
    if isinstance(x, type):
        there = pybridge.eval(f"lambda x: x is {x.__name__}")
        assert there(x)
    else:
        assert pybridge.eval("callable")(x)


def test_a_zone_that_the_host_does_not_know_is_asked_in_the_guest(guest, monkeypatch):
    def unknown(key):
        raise zoneinfo.ZoneInfoNotFoundError(key)

    monkeypatch.setattr(zoneinfo, "ZoneInfo", unknown)
    zone = pybridge.eval("__import__('zoneinfo').ZoneInfo('Europe/Paris')")
    assert type(zone) is GuestTimezone
    assert zone.key == "Europe/Paris"
    summer = datetime.datetime(2024, 7, 1, tzinfo=zone)
    assert summer.utcoffset() == datetime.timedelta(hours=2)
    assert summer.dst() == datetime.timedelta(hours=1)
    assert summer.tzname() == "CEST"
    there = pybridge.eval("lambda t: (type(t.tzinfo).__name__, t.tzinfo.key, str(t))")
    assert there(summer) == ("ZoneInfo", "Europe/Paris", "2024-07-01 00:00:00+02:00")


def test_no_value_imports_its_module_before_it_crosses():
    import children

    names = "'decimal', 'fractions', 'uuid', 'pathlib', 'zoneinfo'"
    result = children.run(
        f"""
        import sys
        before = set(sys.modules)
        import pybridge
        print(sorted(set([{names}]) & (set(sys.modules) - before)))
        """,
        stacks=False,
    )
    assert result.out == "[]\n"
