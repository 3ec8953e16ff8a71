# SPDX-License-Identifier: MIT
"""Dates and durations: counts of a unit, to datetime's classes and back."""

from __future__ import annotations

import datetime

import pytest

import pybridge
from pybridge import _dates


def kind(letter, unit):
    """Reading and writing one count."""
    cell = [0]

    def write(address, x):
        cell[0] = x

    read, write = _dates.kind_of(letter, unit, lambda address: cell[0], write)
    return cell, lambda: read(0), lambda x: write(0, x)


@pytest.mark.parametrize(
    ("letter", "unit", "count", "value"),
    [
        ("M", "Y", -9, datetime.date(1961, 1, 1)),
        ("M", "M", -9, datetime.date(1969, 4, 1)),
        ("M", "W", 3, datetime.date(1970, 1, 22)),
        ("M", "D", 3, datetime.date(1970, 1, 4)),
        ("M", "25s", 3, datetime.datetime(1970, 1, 1, 0, 1, 15)),
        ("M", "us", -9, datetime.datetime(1969, 12, 31, 23, 59, 59, 999991)),
        ("M", "ns", 12345, 12345),
        ("m", "Y", 3, 3),
        ("m", "h", -9, datetime.timedelta(hours=-9)),
        ("m", "us", 7, datetime.timedelta(microseconds=7)),
        ("m", "", 7, 7),
        ("M", "D", -(1 << 63), None),
    ],
)
def test_there_and_back(letter, unit, count, value):
    cell, read, write = kind(letter, unit)
    cell[0] = count
    assert read() == value and type(read()) is type(value)
    cell[0] = 1
    write(value)
    assert cell[0] == count


@pytest.mark.parametrize("unit", ["Y", "M", "W", "D", "h", "s", "us"])
def test_what_datetime_cannot_hold_is_the_count(unit):
    cell, read, _ = kind("M", unit)
    cell[0] = 1 << 62
    assert read() == 1 << 62


@pytest.mark.parametrize(
    ("letter", "unit", "value", "error"),
    [
        ("M", "D", datetime.datetime(2020, 1, 1, 12), ValueError),
        ("M", "M", datetime.date(2020, 1, 2), ValueError),
        ("M", "Y", datetime.date(2020, 2, 1), ValueError),
        ("M", "2Y", datetime.date(1971, 1, 1), ValueError),
        ("M", "s", datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc), ValueError),
        ("M", "s", "2020-01-01", TypeError),
        ("M", "ns", datetime.datetime(2020, 1, 1), TypeError),
        ("m", "h", datetime.timedelta(minutes=90), ValueError),
        ("m", "s", 1.5, TypeError),
    ],
)
def test_nothing_is_rounded(letter, unit, value, error):
    cell, _, write = kind(letter, unit)
    with pytest.raises(error):
        write(value)
    assert cell[0] == 0


def test_an_unknown_unit_is_refused():
    with pytest.raises(pybridge.ConversionError, match="fortnight"):
        _dates.kind_of("M", "fortnight", None, None)
