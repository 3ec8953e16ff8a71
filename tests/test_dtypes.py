# SPDX-License-Identifier: MIT
"""Elements of arrays of any kind, and records: what numpy gives, read from memory."""

from __future__ import annotations

import gc

import children
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scalars import ACCESS, comparable, is_late, outcome

import pybridge

KINDS = [
    "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32",
    "float64", "bool", "S1", "S3", "U2", "float16", "complex128", "complex64", ">i4", ">f8",
    ">u8", ">i2", ">f4", ">U2", ">c16", ">M8[s]", "M8[D]", "M8[25s]", "m8[ns]", "m8",
    "object", "longlong", "longdouble", "V3",
]  # fmt: skip
RECORD = [
    ("kind", "u1"), ("side", "S1"), ("name", "S5"), ("price", "f8"), ("ratio", "f4"),
    ("count", "i4"), ("on", "?"), ("big", ">i4"), ("text", "U3"), ("row", "f8", (2,)),
    ("inner", [("x", "i2"), ("deep", [("y", "f8")])]), ("number", "u8"), ("what", "O"),
]  # fmt: skip

JUDGE = (
    ACCESS
    + """
def field(a, i, name):
    return outcome(lambda: a[i][name])[:2]
"""
)


def content(np, kind):
    return np.array([0, 1, 2, 100, 5]).astype(kind) if kind != "V3" else np.zeros(5, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_elements_are_what_numpy_gives(np, judge, kind):
    a = content(np, kind)
    for array in (a, a[::-2], np.broadcast_to(a, (2, 5)), a.reshape(1, 5, 1)):
        for key in (
            0,
            -1,
            7,
            (1, 2),
            (0, -1, 0),
            (0, 5, 0),
            np.array([1])[0],
            (0, np.int8(3), 0),
        ):
            expected = judge["read"](array, key)
            got = outcome(lambda array=array, key=key: array[key])[:2]
            got, expected = comparable(got, expected, kind)
            assert got == expected, (kind, key)
    assert repr(list(a)) == pybridge.eval("lambda a: repr(list(a))")(a)


VALUES = [
    0, 1, -1, 127, 128, 255, 256, 2**31, 2**63, 2**70, 1.5, -0.0, 1e39, float("nan"), True,
    None, "x", b"q", b"abcdef", [1], 1j,
]  # fmt: skip


@pytest.mark.filterwarnings("ignore")  # numpy's, of overflows and complex numbers
@pytest.mark.parametrize("kind", KINDS)
def test_writing_does_what_numpy_does(np, judge, kind):
    numbers = [
        np.array([v], k)[0]
        for k, v in (("int8", -3), ("uint64", 2**63), ("int64", 300), ("float32", 0.1),
                     ("float64", 1e300), ("bool", True), ("S2", b"z"))
    ]  # fmt: skip
    numbers += [np.bool_(True), np.bool_(False), np.int8(-3), np.float32(0.1)]  # the guest's
    for value in (*VALUES, *numbers):
        a, b = content(np, kind), content(np, kind)
        *expected, after = judge["write"](b, 2, value)

        def write(a=a, value=value):
            a[2] = value

        assert list(outcome(write)[:2]) == expected, (kind, value)
        assert repr(a.tolist()) == repr(after), (kind, value)
        assert a.tobytes() == b.tobytes() or kind in ("object", "longdouble")


@settings(max_examples=200, deadline=None)
@given(
    kind=st.sampled_from(["int8", "uint16", "int64", "uint64", "float32", "bool"]),
    value=st.integers() | st.floats() | st.booleans(),
)
@pytest.mark.filterwarnings("ignore")
def test_any_value_written_is_as_numpy_has_it(np, judge, kind, value):
    a, b = content(np, kind), content(np, kind)
    *expected, after = judge["write"](b, 1, value)

    def write():
        a[1] = value

    assert list(outcome(write)[:2]) == expected and repr(a.tolist()) == repr(after)


def test_no_object_is_made_for_an_element(np):
    late = ["int8", "uint64", "float32", "bool", "S1", "S4", "float64", "U2", "float16"]
    late += ["complex128", "complex64", ">i4", ">f8", ">u8", "M8[D]", "M8[25s]", "m8[ns]"]
    for kind in late:
        a = content(np, kind)
        assert is_late(a[1]) and all(is_late(x) for x in a), kind
    a = np.zeros(3, RECORD[:4])
    r = a[1]
    assert is_late(r) and is_late(r["price"]) and is_late(r["name"]) and is_late(r)


def test_an_array_that_changes_its_dtype_in_place(np):
    a = np.arange(4)
    assert type(a[1]) is np.int64
    a = a.view("int32")
    assert len(a) == 8 and type(a[2]) is np.int32 and a[2] == 1
    many = [np.zeros(2, f"S{n}") for n in range(1, 60)]
    for n, array in enumerate(many):
        array[0] = b"x" * (n + 1)
        assert array[0] == b"x" * (n + 1) and type(array[0]) is np.bytes_
    del many
    gc.collect()
    for n in range(60, 1, -1):  # their addresses are others' by now, or not
        array = np.zeros(2, [(f"f{n}", "i4"), ("g", f"S{n}")])
        array[0] = n, b"y"
        assert array[0][f"f{n}"] == n and array[0]["g"] == b"y"


# ---- records ----------------------------------------------------------------------------


@pytest.fixture
def records(np):
    a = np.zeros(4, RECORD)
    a["price"] = [1.5, 2.5, -0.0, 1e300]
    a["name"] = [b"ab", b"", b"xxxxx", b"a\0b"]
    a["inner"]["x"] = [1, -2, 3, 4]
    a["inner"]["deep"]["y"] = 0.5
    a["number"] = 2**64 - 1
    return a


def test_fields_are_what_numpy_gives(np, judge, records):
    for array in (records, records[::-1], records[1:].copy()):
        for i in (0, -1, 2):
            for field in (
                *(name for name, *_ in RECORD),
                "nothing",
                0,
                3,
                -1,
                99,
                ["kind", "on"],
            ):
                expected = judge["field"](array, i, field)
                got = outcome(lambda array=array, i=i, field=field: array[i][field])[:2]
                assert got == expected, field
    assert [type(r) for r in records] == [np.void] * 4
    assert repr(records[1]) == pybridge.eval("lambda a: repr(a[1])")(records)
    assert records[1]["inner"]["deep"]["y"] == 0.5
    inner = records[2]["inner"]
    assert is_late(inner) and is_late(inner["deep"]) and inner["x"] == 3
    assert inner.item() == (3, (0.5,)) and inner["x"] == 3


def test_a_record_is_a_view(np, records):
    r = records[1]
    records["price"][1] = 9.0
    assert r["price"] == 9.0
    r["price"] = 10.0
    r["inner"]["x"] = 77
    r["row"] = [5.0, 6.0]
    r["what"] = "object"
    assert records["price"][1] == 10.0 and records["inner"]["x"][1] == 77
    assert records[1]["row"].tolist() == [5.0, 6.0] and records[1]["what"] == "object"
    with pytest.raises(ValueError, match="no field of name nothing"):
        r["nothing"] = 1
    with pytest.raises(OverflowError):
        r["count"] = 2**40
    r["name"] = b"toolongtext"
    assert r["name"] == b"toolo"
    records.setflags(write=False)
    with pytest.raises(ValueError, match="read-only"):
        records[0]["price"] = 1.0


def test_a_record_in_the_guest(np, records):
    r = records[1]
    assert is_late(r)
    assert pybridge.eval("lambda r: (type(r).__name__, float(r['price']))")(r) == ("void", 2.5)
    assert not is_late(r) and r["price"] == 2.5
    r["price"] = 4.0
    assert records["price"][1] == 4.0 and r.dtype == records.dtype
    assert pybridge.eval("lambda r, s: r is s")(r, r)
    assert len(r) == len(RECORD) and records[1] == records[1]
    r = records[0]
    pybridge.release(r)
    with pytest.raises(pybridge.ClosedHandle):
        r["price"]


def test_a_record_keeps_its_array_alive(np):
    r = np.full(3, 7, [("x", "i4"), ("y", "f8")])[1]
    gc.collect()
    np.zeros(1000)
    assert r["x"] == 7 and r["y"] == 7.0


def test_a_record_of_an_array_that_shrank_or_changed(np):
    a = np.zeros(3, [("x", "i4"), ("y", "f8")])
    r = a[2]
    a.resize(2, refcheck=False)
    with pytest.raises(ValueError, match="resized"):
        r["x"]
    a.resize(1000, refcheck=False)
    assert r["x"] == 0
    b = np.zeros(3, [("x", "i8"), ("y", "f8")])
    r = b[1]
    pybridge.release(b)
    with pytest.raises(pybridge.ClosedHandle):
        r["x"]


def test_arrays_of_records_that_are_classes_of_their_own(np):
    a = np.rec.array([(1, 2.5), (3, 4.5)], dtype=[("x", "i4"), ("y", "f8")])
    assert a[1].x == 3 and a[1]["y"] == 4.5 and a.y.tolist() == [2.5, 4.5]
    b = np.asarray(a).view(np.ndarray)
    assert b[0]["x"] == 1 and type(b[0]).__name__ == pybridge.eval(
        "lambda b: type(b[0]).__name__"
    )(b)


def test_a_converter_for_numbers_sees_them_all(np):
    children.run("""
        import pybridge
        np = pybridge.import_module("numpy")
        a, r = np.arange(3), np.zeros(2, [("x", "i4")])
        old, record = a[2], r[0]
        assert type(a[1]) is np.int64 and a[1] + 1 == 2 and record["x"] == 0
        pybridge.converter("numpy:int64")(lambda x: ("converted", int(x.item())))
        assert a[1] == ("converted", 1) and old.item() == 2 and record["x"] == 0
    """)
