# SPDX-License-Identifier: MIT
"""Elements of arrays through ordinary proxies: what numpy gives, whatever the array is."""

from __future__ import annotations

import gc
import warnings

import children
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scalars import ACCESS, comparable, is_late, outcome

import pybridge

JUDGE = (
    ACCESS
    + """
def array_of(shape, steps, kind):
    full = [n * abs(s) for n, s in zip(shape, steps)]
    a = numpy.arange(float(numpy.prod(full, dtype=int))).astype(kind).reshape(full)
    return a[(..., *(slice(None, None, s) for s in steps))]

def read_row(a, i, j):
    return outcome(lambda: a[i][j])[:2]

def write_row(a, i, j, value):
    return (*outcome(lambda: operator.setitem(a[i], j, value))[:2], repr(a.tolist()))
"""
)


def read(a, key):
    return outcome(lambda: a[key])[:2]


indices = st.integers(-7, 7)
keys = (
    indices
    | st.lists(indices, max_size=4).map(tuple)
    | st.sampled_from([slice(1, None), None, ..., True, 1.0, "x", 2**63, -(2**70), (2**64, 0)])
)
shapes = st.lists(st.tuples(st.integers(0, 5), st.sampled_from([1, 2, -1, -3])), max_size=4)
kinds = st.sampled_from(["f8", "f8", "i8", "f4", ">f8", "bool", "object", "complex"])
values = st.floats() | st.integers() | st.sampled_from([None, "1.5", "x", True, [1.0], 1j])


@settings(max_examples=200, deadline=None)
@given(shape=shapes, kind=kinds, key=keys)
def test_reading_gives_what_numpy_gives(np, judge, shape, kind, key):
    a = judge["array_of"]([n for n, _ in shape], [s for _, s in shape], kind)
    expected = judge["read"](a, key)
    got, expected = comparable(read(a, key), expected, kind)
    assert got == expected


@pytest.mark.filterwarnings("ignore")  # numpy's, of complex numbers and overflows
@settings(max_examples=200, deadline=None)
@given(shape=shapes, kind=kinds, key=keys, value=values)
def test_writing_does_what_numpy_does(np, judge, shape, kind, key, value):
    shape, steps = [n for n, _ in shape], [s for _, s in shape]
    a, b = (judge["array_of"](shape, steps, kind) for _ in range(2))
    *expected, content = judge["write"](b, key, value)

    def write():
        a[key] = value

    assert list(outcome(write)[:2]) == expected
    assert repr(a.tolist()) == repr(content)


def test_a_scalar_of_an_array_can_be_written(np):
    a = np.zeros(3)
    a[0], a[1], a[-1] = np.ones(1)[0] * 2.5, True, np.float32(0.5)
    assert a.tolist() == [2.5, 1.0, 0.5]


def test_length_and_iteration(np):
    a = np.arange(5.0)
    assert len(a) == 5 and [type(x) for x in a] == [np.float64] * 5
    assert list(a[::-2]) == [4.0, 2.0, 0.0]
    assert [row.tolist() for row in np.ones((2, 3))] == [[1.0] * 3] * 2
    assert (len(np.zeros((0, 3))), list(np.zeros(0))) == (0, [])
    for f in (len, iter):
        with pytest.raises(TypeError):
            f(np.array(1.5))
    assert sum(a) == 10.0 and max(a) == 4.0 and 3.0 in a
    assert next(iter(a)) == 0.0
    one_by_one = iter(a)
    assert iter(one_by_one) is one_by_one and list(one_by_one) == a.tolist()
    a.resize(6, refcheck=False)
    assert next(one_by_one, None) is None
    assert pybridge.eval("lambda i: [type(x).__name__ for x in i]")(iter(a)) == ["float64"] * 6


@pytest.mark.filterwarnings("ignore:Setting the")
def test_an_array_that_changes_in_place_is_never_stale(np):
    a = np.arange(6.0)
    assert a[5] == 5.0
    a.shape = (2, 3)
    assert a[1, 2] == 5.0 and a[1].tolist() == [3.0, 4.0, 5.0]
    with pytest.raises(IndexError, match="index 2 is out of bounds for axis 0 with size 2"):
        a[2, 0]
    a.shape = 6
    a[2] = 7.5
    a.resize(10000, refcheck=False)
    assert a[9999] == 0.0 and a[2] == 7.5
    a.resize(2, refcheck=False)
    with pytest.raises(IndexError, match="index 2 is out of bounds"):
        a[2]
    b = np.arange(2.0)
    b.dtype = "i8"
    assert type(b[1]) is np.int64 and b[1] == 4607182418800017408
    b[0] = 2**63 - 1
    with pytest.raises(OverflowError):
        b[0] = 2**63
    assert b[0] == 2**63 - 1


def test_what_may_not_be_written_is_refused(np):
    a = np.zeros(3)
    a[0] = 1.0
    a.setflags(write=False)
    with pytest.raises(ValueError, match="read-only"):
        a[0] = 2.0
    with pytest.raises(ValueError, match="read-only"):
        np.broadcast_to(np.zeros(1), (3,))[0] = 1.0
    assert a.tolist() == [1.0, 0.0, 0.0]


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_classes_that_derive_from_ndarray_keep_their_own_ways(np):
    assert np.matrix([[1.0, 2.0]])[0].tolist() == [[1.0, 2.0]]
    masked = np.ma.array([1.0, 2.0], mask=[True, False])
    assert masked[0] is np.ma.masked or repr(masked[0]) == "masked"
    assert masked[1] == 2.0
    names = {}
    pybridge.exec(
        "import numpy\n"
        "class Loud(numpy.ndarray):\n"
        "    def __getitem__(self, key): return 'loud'\n"
        "    def __len__(self): return 77\n"
        "loud = numpy.zeros(3).view(Loud)",
        names,
    )
    assert names["loud"][0] == "loud" and len(names["loud"]) == 77


def test_a_released_array_refuses(np):
    a = np.zeros(3)
    a[0]
    pybridge.release(a)
    for f in (lambda: a[0], lambda: a.__setitem__(0, 1.0), lambda: len(a), lambda: iter(a)):
        with pytest.raises(pybridge.ClosedHandle):
            f()


def test_misaligned_elements(np):
    a = np.frombuffer(b"\0" + np.arange(3.0).tobytes(), "f8", 3, 1).copy()
    raw = np.zeros(25, "u1")
    b = raw[1:].view("f8")
    b[1] = a[1] + 0.5
    assert b.tolist() == [0.0, 1.5, 0.0] and b[1] == 1.5


def test_a_converter_for_arrays_or_scalars_sees_them_all(np):
    children.run("""
        import pybridge
        np = pybridge.import_module("numpy")
        a = np.arange(3.0)
        assert type(a[1]) is np.float64 and a[1] + 1 == 2.0
        old = a[2]
        pybridge.converter("numpy:float64")(lambda x: ("converted", float(x)))
        assert a[1] == ("converted", 1.0) and [x for x in a][2] == ("converted", 2.0)
        assert np.arange(3.0).sum() == ("converted", 3.0)
        assert np.sqrt(4.0) == np.sqrt(4.0) == np.sqrt(4.0) == ("converted", 2.0)
        assert float(old) == 2.0
    """)


@pytest.mark.parametrize("kind", ["f8", "i4", "u1", "f4", "bool", "S2", ">f8", "object", "c16"])
def test_rows_are_what_numpy_gives(np, judge, kind):
    a = np.arange(12.0).reshape(3, 4).astype(kind)
    for matrix in (a, a[::-1, ::2], a.T, a[:, :0], np.broadcast_to(a[0], (3, 4))):
        for i in (0, 2, -1, -3, 3, -4, np.array([1])[0]):
            for j in (0, 1, -1, 4, -5, slice(1, None), (0,), np.array([1])[0], True, None):
                expected = judge["read_row"](matrix, i, j)
                got = outcome(lambda matrix=matrix, i=i, j=j: matrix[i][j])[:2]
                got, expected = comparable(got, expected, kind)
                assert got == expected, (i, j)
        assert [[repr(x) for x in row] for row in matrix] == pybridge.eval(
            "lambda a: [[repr(x) for x in row] for row in a]"
        )(matrix)
    for j, value in ((0, 1), (-1, 1.5), (9, 1), (1, None), (slice(None), 1), (2, b"x")):
        b, c = a.copy(), a.copy()
        *expected, after = judge["write_row"](b, 1, j, value)

        def write(c=c, j=j, value=value):
            c[1][j] = value

        assert list(outcome(write)[:2]) == expected and repr(c.tolist()) == after, (j, value)


def test_a_row_has_no_object_until_one_is_needed(np):
    a = np.arange(6.0).reshape(2, 3)
    row = a[1]
    assert type(row) is np.ndarray and row[2] == 5.0 and len(row) == 3 and is_late(row)
    row[0] = 7.0
    assert a[1, 0] == 7.0 and list(row) == [7.0, 4.0, 5.0] and sum(row) == 16.0 and is_late(row)
    assert all(is_late(x) for x in a) and is_late(row)
    a[1, 1] = 8.0
    assert row.tolist() == [7.0, 8.0, 5.0] and not is_late(row) and row.base is not None
    row[1] = 9.0
    row += 1
    assert a.tolist() == [[0.0, 1.0, 2.0], [8.0, 10.0, 6.0]] and row[1] == 10.0
    assert np.dot(a[0], a[1]) == 22.0 and (a[0] + a[1]).tolist() == [8.0, 11.0, 8.0]
    with pytest.raises(IndexError, match="index 3 is out of bounds for axis 0 with size 3"):
        a[0][3]
    a.setflags(write=False)
    with pytest.raises(ValueError, match="read-only"):
        a[0][0] = 1.0


def test_a_row_keeps_its_matrix_alive_and_notices_when_that_changes(np):
    row = np.full((2, 3), 7)[1]
    gc.collect()
    assert row[1] == 7 and list(row) == [7, 7, 7]
    a = np.zeros((3, 4))
    row = a[2]
    a.resize((2, 4), refcheck=False)
    with pytest.raises(ValueError, match="resized"):
        row[0]
    b = np.arange(12.0).reshape(3, 4)
    row, other = b[1], b[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        b.shape = (4, 3)  # other elements, all of them in bounds
    for f in (
        lambda: row[0],
        lambda: row.__setitem__(0, 1.0),
        lambda: list(row),
        lambda: row.sum(),
    ):
        with pytest.raises(ValueError, match="another dtype or shape"):
            f()
    with pytest.raises(ValueError, match="another dtype or shape"):
        len(other)
    assert b[1][0] == 3.0
    row = a[1]
    pybridge.release(a)
    for f in (lambda: row[0], lambda: row.__setitem__(0, 1.0), lambda: len(row)):
        with pytest.raises(pybridge.ClosedHandle):
            f()
    with pybridge.scope():
        row = np.zeros((2, 2))[0]
    with pytest.raises(pybridge.ClosedHandle):
        row[0]
