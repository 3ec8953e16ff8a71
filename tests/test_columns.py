# SPDX-License-Identifier: MIT
"""Columns: Arrow arrays of more than plain numbers, read where they lie."""

from __future__ import annotations

import gc

import pytest

import pybridge
from pybridge import _columns
from pybridge._core import ffi


@pytest.fixture(scope="module")
def pa(guest):
    try:
        return pybridge.import_module("pyarrow")
    except ModuleNotFoundError:
        pytest.skip("this guest has no pyarrow")


def settled():
    for _ in range(5):
        gc.collect()
        pybridge.statistics()


# ---- structs made by hand ------------------------------------------------------------------


class Pin:
    """Holds what a test has made, as the pin of a guest's array holds the guest's."""

    def __init__(self):
        self.handle, self.guest, self.kept = 1, "the owner", []

    def release(self):
        self.handle = 0

    def words(self, *values: int) -> int:
        self.kept.append(ffi.new("int64_t[]", values))
        return int(ffi.cast("intptr_t", self.kept[-1]))

    def data(self, ctype: str, values) -> int:
        self.kept.append(ffi.new(ctype, values))
        return int(ffi.cast("intptr_t", self.kept[-1]))

    def schema(self, format: bytes, name: bytes = b"", children=(), dictionary: int = 0) -> int:
        parts = self.words(*children) if children else 0
        texts = [self.data("char[]", text) for text in (format, name)]
        return self.words(*texts, 0, 0, len(children), parts, dictionary)

    def array(self, length, nulls, buffers, offset=0, children=(), dictionary=0) -> int:
        parts = self.words(*children) if children else 0
        kept = self.words(*buffers) if buffers else 0
        numbers = (length, nulls, offset, len(buffers), len(children))
        return self.words(*numbers, kept, parts, dictionary)


@pytest.fixture
def pin():
    return Pin()


def test_numbers_have_nulls_where_a_bit_is_missing(pin):
    buffers = [pin.data("uint8_t[]", [0b1011]), pin.data("int32_t[]", [5, -6, 7, 8])]
    c = _columns.column(pin, pin.schema(b"i"), pin.array(4, 1, buffers))
    assert isinstance(c, pybridge.Column) and c.obj == "the owner"
    assert (c.tolist(), len(c), c.null_count, c.format) == ([5, -6, None, 8], 4, 1, "i")
    assert c[-1] == 8 and c[1:3] == [-6, None] and list(c) == c.tolist()
    # Nobody has counted (-1), and the array begins at its second value.
    c = _columns.column(pin, pin.schema(b"i"), pin.array(3, -1, buffers, offset=1))
    assert (c.tolist(), c.null_count) == ([-6, None, 8], 1)
    for i in (3, -4):
        with pytest.raises(IndexError, match="out of bounds for a column of 3"):
            c[i]
    with pytest.raises(TypeError), c:
        c["x"]
    with pytest.raises(ValueError, match="released"):
        c[0]
    assert repr(c) == "<released pybridge column>"


def test_numbers_without_nulls_are_a_view(pin):
    buffers = [0, pin.data("double[]", [0.5, 1.5, 2.5])]
    v = _columns.column(pin, pin.schema(b"g"), pin.array(2, 0, buffers, offset=1))
    assert isinstance(v, pybridge.View) and v.readonly and v.tolist() == [1.5, 2.5]


def test_texts_and_what_stands_for_them(pin):
    buffers = [0, pin.data("int32_t[]", [0, 1, 1, 4]), pin.data("char[]", "aé€".encode()[:4])]
    schema = pin.schema(b"u")
    texts = pin.array(2, 0, [0, *buffers[1:]])
    assert _columns.column(pin, schema, texts).tolist() == ["a", ""]
    keys = [pin.data("uint8_t[]", [0b101]), pin.data("int8_t[]", [1, 0, 0])]
    coded = pin.array(3, 1, keys, dictionary=texts)
    c = _columns.column(pin, pin.schema(b"c", dictionary=schema), coded)
    assert c.tolist() == ["", None, "a"]


def test_a_batch_is_its_columns_by_name(pin):
    def batch(*names: bytes, nulls: int = 0):
        arrays = [pin.array(1, 0, [0, pin.data("int64_t[]", [i])]) for i in range(len(names))]
        schema = pin.schema(b"+s", children=[pin.schema(b"l", name) for name in names])
        valid = pin.data("uint8_t[]", [0])
        return pin, schema, pin.array(1, nulls, [valid], children=arrays)

    found = _columns.children(*batch(b"a", "é".encode()))
    assert {name: c.tolist() for name, c in found.items()} == {"a": [0], "é": [1]}
    assert _columns.names(batch(b"x", b"y")[1]) == ["x", "y"]
    with pytest.raises(pybridge.ConversionError, match="two columns are named 'a'"):
        _columns.children(*batch(b"a", b"a"))
    with pytest.raises(pybridge.ConversionError, match="nulls of its own"):
        _columns.children(*batch(b"a", nulls=1))


def test_chunks_are_one_column(pin):
    def chunk(*values):
        return _columns.column(
            pin, pin.schema(b"l"), pin.array(len(values), 0, [0, pin.data("int64_t[]", values)])
        )

    one = chunk(1, 2)
    assert _columns.chunked([one], pin, "l") is one
    c = _columns.chunked([one, chunk(), chunk(3)], pin, "l")
    assert (c.tolist(), len(c), c[-1], c.null_count) == ([1, 2, 3], 3, 3, 0)


# ---- pyarrow's -----------------------------------------------------------------------------


COLUMNS = [
    "pa.array([1, 2, 3])", "pa.array([1, None, 3])", "pa.array([], pa.int8())",
    "pa.array([1.5, None], pa.float32())", "pa.array([1, 2], pa.uint64())",
    "pa.array([True, None, False] * 20)", "pa.array([True] * 9)[3:]", "pa.array([None, None])",
    "pa.array(['a', None, '\\u00e9x', ''])", "pa.array(['a', 'b'], pa.large_string())",
    "pa.array(['short', 'a rather long text, not inline', None], pa.string_view())",
    "pa.array([b'ab', None, b''])", "pa.array([b'ab', b'cd'], pa.binary(2))",
    "pa.array([datetime.date(2020, 1, 2), None])",
    "pa.array([datetime.datetime(2020, 1, 2, 3, 4, 5, 6), None])",
    "pa.array([datetime.datetime(2020, 1, 2)], pa.timestamp('s'))",
    "pa.array([datetime.timedelta(seconds=5), None])",
    "pa.array([datetime.date(2020, 1, 2)], pa.date64())",
    "pa.array([[1, 2], None, [3], []])",
    "pa.array([['a'], [None, 'b']], pa.large_list(pa.string()))",
    "pa.array([[1, 2], [3, 4]], pa.list_(pa.int32(), 2))",
    "pa.array([{'a': 1, 'b': 'x'}, None, {'a': None, 'b': 'y'}])",
    "pa.array(['a', 'b', None, 'a']).dictionary_encode()",
    "pa.array(list(range(100)))[17:60]", "pa.array(['t%d' % i for i in range(50)])[9:20]",
    "pa.array([None if i % 7 == 3 else i for i in range(100)])[5:90]",
    "pa.array([[1, None], [2]] * 9)[3:7]", "pa.array([{'a': i} for i in range(9)])[4:]",
    "pa.chunked_array([[1, 2], [3], []])", "pa.chunked_array([['a'], [None, 'b']])",
    "pa.chunked_array([], pa.int64())",
]  # fmt: skip


@pytest.mark.parametrize("text", COLUMNS)
def test_a_column_reads_as_to_pylist(pa, text):
    space = {"pa": pa, "datetime": pybridge.import_module("datetime")}
    x = pybridge.eval(text, space)
    c = pybridge.view(x)
    expected = pybridge.eval("repr(x.to_pylist())", {"x": x})
    assert repr(c.tolist()) == repr([c[i] for i in range(len(c))]) == repr(list(c)) == expected
    if len(c):
        assert repr(c[-1]) == repr(c[len(c) - 1])
    for i in (len(c), -len(c) - 1):
        with pytest.raises(IndexError, match="out of bounds"):
            c[i]


def test_numbers_without_nulls_are_read_only_views(pa):
    v = pybridge.view(pa.array([1.5, 2.5]))
    assert isinstance(v, pybridge.View) and v.readonly and v.format == "d"
    with pytest.raises(TypeError, match="read-only"):
        v[0] = 1.0
    c = pybridge.view(pa.array([1, None]))
    assert isinstance(c, pybridge.Column) and c.null_count == 1
    assert repr(c) == "<pybridge column of 2 'l', 1 nulls>" and c[0:1] == [1]


def test_moments_with_a_time_zone_come_in_utc(pa):
    x = pybridge.eval("pa.array([0, None], pa.timestamp('us', 'Europe/Rome'))", {"pa": pa})
    moment = pybridge.view(x)[0]
    assert moment.isoformat() == "1970-01-01T00:00:00+00:00" and pybridge.view(x)[1] is None


@pytest.mark.parametrize(
    "text", ["pa.array([1], pa.decimal128(5, 2))", "pa.array([1], pa.time32('s'))"]
)
def test_other_types_are_refused_by_name(pa, text):
    with pytest.raises(pybridge.ConversionError, match="have no host form"):
        pybridge.view(pybridge.eval(text, {"pa": pa}))


def test_a_table_is_a_dict_of_columns(pa):
    table = pybridge.eval(
        "pa.concat_tables([pa.table({'a': [1, 2], 'b': ['x', None]})] * 3)", {"pa": pa}
    )
    columns = pybridge.view(table)
    assert list(columns) == ["a", "b"]
    assert columns["a"].tolist() == [1, 2] * 3 and columns["b"].tolist() == ["x", None] * 3
    batch = pybridge.eval("pa.record_batch({'a': [1, 2], 'b': [1.5, None]})[1:]", {"pa": pa})
    columns = pybridge.view(batch)
    assert columns["a"].tolist() == [2] and columns["b"].tolist() == [None]
    empty = pybridge.view(pybridge.eval("pa.table({'a': pa.array([], pa.int8())})", {"pa": pa}))
    assert empty["a"].tolist() == []


def test_columns_keep_their_memory_and_let_it_go(pa):
    allocated = pa.total_allocated_bytes
    settled()
    before = allocated()
    c = pybridge.view(
        pybridge.eval("pa.array([str(i) if i % 2 else None for i in range(10**5)])", {"pa": pa})
    )
    settled()
    assert allocated() - before > 100_000
    assert c[99_999] == "99999" and c[0] is None
    c.release()
    with pytest.raises(ValueError, match="released"):
        c[0]
    assert repr(c) == "<released pybridge column>"
    del c
    settled()
    assert allocated() - before < 100_000
