# SPDX-License-Identifier: MIT
"""Records: elements of structured arrays, compared with numpy's own."""

from __future__ import annotations

import datetime
import gc

import children
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pybridge


def zeros(np, dtype, shape="3"):
    return pybridge.eval(f"np.zeros({shape}, dtype={dtype})", {"np": np})


POINT = "[('x', 'f8'), ('y', '>i4')]"


def test_fields_are_attributes_that_read_and_write(np):
    a = zeros(np, POINT)
    v = pybridge.view(a)
    r = v[1]
    r.x, r.y = 3, -7
    assert (r.x, r.y) == (3.0, -7) and type(r.x) is float and type(r.y) is int
    assert pybridge.eval("a[1].item() == (3.0, -7)", {"a": a})
    pybridge.eval("a.__setitem__(1, (4.5, 9))", {"a": a})
    assert (r.x, r.y) == (4.5, 9)


def test_a_record_looks_like_a_tuple_with_names(np):
    r = pybridge.view(zeros(np, POINT))[0]
    r.x = 1.5
    assert r._fields == ("x", "y") and len(r) == 2
    assert tuple(r) == (1.5, 0) == r._astuple() == r and r != (1.5, 1)
    assert r._asdict() == {"x": 1.5, "y": 0}
    assert (r[0], r[-1], r["x"]) == (1.5, 0, 1.5)
    assert repr(r) == "Record(x=1.5, y=0)"
    assert isinstance(r, pybridge.Record) and type(r) is pybridge.view(zeros(np, POINT)).record
    with pytest.raises(ValueError, match="no field of name z"):
        r["z"]
    with pytest.raises(IndexError, match=r"invalid index \(2\)"):
        r[2]
    with pytest.raises(AttributeError):
        r.z = 1
    with pytest.raises(TypeError, match="unhashable"):
        hash(r)
    assert "offset" in dir(type(r).y) and type(r).y.offset == 8


def test_nested_records_and_sub_arrays(np):
    a = zeros(np, "[('in', [('a', 'i2'), ('b', 'f4', (2, 2))]), ('rows', [('k', 'u1')], (3,))]")
    v = pybridge.view(a)
    r = v[2]
    inner = r["in"]
    inner.a = 5
    inner.b = [[1, 2], [3, 4]]
    inner.b[1, 0] = 9
    r.rows[1].k = 200
    r.rows[2] = (7,)
    assert r._astuple() == ((5, [[1, 2], [9, 4]]), [(0,), (200,), (7,)])
    assert v[0] != r
    v[0] = r
    v[1]["in"] = r["in"]
    assert v[0] == r and v[1]["in"] == inner and v[1]["in"]._astuple() == (5, [[1, 2], [9, 4]])
    r.rows = (1,)
    assert [x.k for x in r.rows] == [1, 1, 1]
    assert (
        v["in"].shape == (3,) and v["rows"].shape == (3, 3) and v["in"]["b"].shape == (3, 2, 2)
    )
    assert bytes(a.tobytes()) == v.tobytes()


def test_the_padding_of_a_nested_record_is_where_numpy_has_it(np):
    """Its format does not tell, numpy 2.5: T{b:a:(2)T{=d:a:b:b:}:i:xxxxxxxxxxxxxxb:z:}"""
    a = zeros(
        np,
        "[('a', 'i1'), ('z', 'i1'), "
        "('i', np.dtype([('a', 'f8'), ('b', 'i1')], align=True), (2,))]",
    )
    v = pybridge.view(a)
    v[1] = (1, 6, [(2.5, 3), (4.5, 5)])
    assert pybridge.eval("repr(a[1].item()[2].tolist())", {"a": a}) == "[(2.5, 3), (4.5, 5)]"


@pytest.mark.parametrize(
    "dtype",
    [
        "{'names': ['x', 'y'], 'formats': ['f8', 'u2'], 'offsets': [3, 20], 'itemsize': 40}",
        "{'names': ['x', 'y'], 'formats': ['f8', 'u2'], 'offsets': [8, 0], 'itemsize': 16}",
        "{'names': ['x', 'y'], 'formats': ['u4', 'u2'], 'offsets': [0, 2], 'itemsize': 9}",
        "np.dtype([('x', 'u1'), ('y', 'f8')], align=True)",
    ],
    ids=["holes", "backwards", "overlapping", "aligned"],
)
def test_layouts_of_every_kind(np, dtype):
    a = zeros(np, dtype)
    v = pybridge.view(a)
    for i, r in enumerate(v):
        r.x = i + 1
        r.y = 7 * i
    assert repr(v.tolist()) == pybridge.eval("repr(a.tolist())", {"a": a})


def test_shapes(np):
    assert pybridge.view(zeros(np, POINT, "()"))[()].x == 0.0
    empty = pybridge.view(zeros(np, POINT, "0"))
    assert list(empty) == [] == empty.tolist()
    with pytest.raises(IndexError, match="out of bounds"):
        empty[0]
    for shape in ("(2, 3)", "(2, 3, 2)", "(2, 1, 2, 2)"):
        a = zeros(np, POINT, shape)
        pybridge.exec("a['y'].flat = range(a.size)", {"a": a})
        for text in ("a", "a.T", "a[::-1]", "a[..., ::-2]", "np.asfortranarray(a)"):
            part = pybridge.eval(text, {"a": a, "np": np})
            v = pybridge.view(part)
            assert repr(v.tolist()) == pybridge.eval("repr(a.tolist())", {"a": part})
            first = (0,) * v.ndim
            last = tuple(n - 1 for n in v.shape)
            assert v[first] == v["y"][first] or v[first].y == v["y"][first]
            assert v[last].y == v["y"][last] == v[(-1,) * v.ndim].y
            for outside in (v.shape, (-v.shape[0] - 1, *last[1:])):
                with pytest.raises(IndexError, match="out of bounds"):
                    v[outside]


def test_a_record_of_a_read_only_array_refuses_as_numpy_does(np):
    a = zeros(np, "[('x', 'f8'), ('in', [('a', 'i2')]), ('b', 'f4', (2,))]")
    pybridge.eval("a.setflags(write=False)", {"a": a})
    for v in (pybridge.view(a), pybridge.view(zeros(np, POINT)).toreadonly()):
        with pytest.raises(ValueError, match=r"^assignment destination is read-only$"):
            v[0].x = 1.0
        with pytest.raises(TypeError, match="read-only"):
            v[0] = v[1]
        with pytest.raises(TypeError, match="read-only"):
            v["x"][0] = 1.0
    r = pybridge.view(a)[0]
    with pytest.raises(ValueError, match="read-only"):
        r["in"].a = 1
    with pytest.raises(TypeError, match="read-only"):
        r.b[0] = 1
    assert isinstance(r, pybridge.view(a).record)


@pytest.mark.parametrize(
    ("value", "error", "match"),
    [
        ((1,), ValueError, "could not assign tuple of length 1 to structure with 2 fields"),
        ((1, 2, 3), ValueError, "tuple of length 3"),
        (1.5, TypeError, "written from a tuple"),
        ("ab", TypeError, "written from a tuple"),
        (("a", 1), TypeError, None),
        ((1, 2**31), OverflowError, None),
    ],
)
def test_what_is_no_record_is_not_written(np, value, error, match):
    v = pybridge.view(zeros(np, POINT))
    with pytest.raises(error, match=match):
        v[0] = value


def test_slices_take_one_record_or_many(np):
    v = pybridge.view(zeros(np, POINT, "5"))
    v[1:3] = (1.5, 2)
    v[3:] = [(3, 3), (4, 4)]
    assert v.tolist() == [(0, 0), (1.5, 2), (1.5, 2), (3, 3), (4, 4)]
    v[::-1] = v
    assert v["y"].tolist() == [4, 3, 2, 2, 0]
    v["y"] = 8
    assert v["y"].tolist() == [8] * 5
    with pytest.raises(ValueError, match="items for"):
        v[:2] = [(1, 1)]
    with pytest.raises(ValueError, match="no field of name z"):
        v["z"]
    with pytest.raises(IndexError, match="only views of records"):
        v["y"]["x"]


def test_names_that_are_no_identifiers_or_are_taken(np):
    a = zeros(
        np, "[('a b', 'f8'), ('_fields', 'i4'), ('__len__', 'i4'), ('é', 'i4'), ('x:y', 'u1')]"
    )
    r = pybridge.view(a)[0]
    r["_fields"], r["__len__"], r["a b"], r["x:y"] = 3, 4, 5.0, 6
    r.é = 9
    assert len(r) == 5 and r._fields[1] == "_fields"
    assert tuple(r) == (5.0, 3, 4, 9, 6) and getattr(r, "a b") == 5.0


def test_released_records_refuse(np):
    v = pybridge.view(zeros(np, "[('x', 'f8'), ('in', [('a', 'i2')]), ('b', 'f4', (2,))]"))
    r = v[0]
    inner, row = r["in"], r.b
    v.release()
    for use in (
        lambda: r.x,
        lambda: r["in"],
        lambda: r.b,
        lambda: setattr(r, "x", 1.0),
        lambda: setattr(r, "in", (1,)),
        lambda: inner.a,
        lambda: row[0],
        lambda: tuple(r),
        lambda: pybridge.view(
            zeros(np, "[('x', 'f8'), ('in', [('a', 'i2')]), ('b', 'f4', (2,))]")
        ).__setitem__(0, r),
    ):
        with pytest.raises(ValueError, match="released"):
            use()
    assert repr(r) == "<released pybridge record>"


def test_a_record_keeps_its_array_alive(np):
    r = pybridge.view(zeros(np, POINT, "100000"))[99999]
    for _ in range(4):
        gc.collect()
        pybridge.statistics()
        zeros(np, POINT, "100000")
    r.x = 2.5
    assert r.x == 2.5


@pytest.mark.parametrize("dtype", ["[('x', 'f8'), ('o', 'O')]", "[('x', 'g')]"])
def test_fields_without_a_host_form_are_refused(np, dtype):
    with pytest.raises(pybridge.ConversionError, match="no host form"):
        pybridge.view(zeros(np, dtype))


def test_structures_of_ctypes_are_records(guest_version):
    space = {}
    pybridge.exec(
        "import ctypes\n"
        "class P(ctypes.Structure): _fields_ = [('a', ctypes.c_int), ('q', ctypes.c_double)]\n"
        "class S(ctypes.Structure):\n"
        "    _fields_ = [('c', ctypes.c_ubyte), ('p', P), ('r', ctypes.c_short * 3)]\n"
        "    _fields_ += [('z', P * 2)]\n"
        "many = (S * 2)()\n"
        "many[1].p.q = 2.5\n"
        "many[1].z[1].a = 7\n",
        space,
    )
    if guest_version < (3, 12):  # whose format leaves out the padding
        with pytest.raises(pybridge.ConversionError, match="describes 43 bytes of 64"):
            pybridge.view(space["many"])
        return
    v = pybridge.view(space["many"])
    assert (v[1].p.q, v[1].z[1].a, v[0].z[1].a) == (2.5, 7, 0)
    v[0].r = [1, 2, 3]
    assert list(space["many"][0].r) == [1, 2, 3]


# ---- any dtype, any shape, against numpy ---------------------------------------------------

HELPERS = """
import numpy as np

def deep(x):
    if isinstance(x, np.ndarray): return deep(x.tolist())
    if isinstance(x, np.void): return deep(x.item())
    if isinstance(x, tuple): return tuple([deep(y) for y in x])
    if isinstance(x, list): return [deep(y) for y in x]
    return x

def fill(a, seed):
    raw = np.random.default_rng(seed)
    def column(x):
        d = x.dtype
        if d.names is not None:
            for name in d.names: column(x[name])
        elif d.kind == 'b': x[...] = raw.integers(0, 2, x.shape)
        elif d.kind == 'U': x[...] = raw.choice(['', 'a', 'b\\u1234', '\\U0001f600x'], x.shape)
        elif d.kind in 'Mm': x[...] = raw.integers(-10**4, 10**4, x.shape).astype(d)
        elif d.kind in 'iu': x[...] = raw.integers(-2**63, 2**63 - 1, x.shape).astype(d)
        elif d.kind == 'S': x[...] = raw.choice([b'', b'a', b'\\0b', b'xyz'], x.shape)
        elif d.kind == 'V': pass
        else: x[...] = raw.standard_normal(x.shape)
    column(a)

def dtype_of(text):
    try: return np.dtype(eval(text))
    except ValueError: return None

def answer(a): return repr(deep(a.tolist()))
def make(dtype, shape, cut, seed):
    a = np.zeros(shape, dtype)
    fill(a, seed)
    return eval('a' + cut, {'a': a, 'np': np})
def copy_of(a):
    b = np.zeros(a.shape, a.dtype)
    fill(b, 99)
    return b
"""

scalars = st.sampled_from(
    [
        *(order + code for code in ("i2", "i4", "i8", "u2", "u4", "u8", "f2", "f4", "f8", "c8")
          for order in "<>"),
        *("?", "i1", "u1", ">c16", "S1", "S5", "U2", ">U3", "V3", "M8[D]", ">M8[s]", "M8[us]"),
        *("M8[ns]", "m8[ms]", ">m8[25s]", "M8[M]", "M8[3Y]", "m8[Y]", "S0"),
    ]
)  # fmt: skip
shapes = st.lists(st.integers(0, 3), min_size=1, max_size=2).map(tuple)


def records(items):
    field = st.tuples(items, st.one_of(st.none(), shapes))

    def text(drawn):
        fields, align = drawn
        rows = []
        for i, (item, shape) in enumerate(fields):
            dtype = item if item.startswith("np.") else repr(item)
            rows.append(f"('f{i}x', {dtype}" + (f", {shape})" if shape else ")"))
        return f"np.dtype([{', '.join(rows)}], align={align})"

    return st.tuples(st.lists(field, min_size=1, max_size=4), st.booleans()).map(text)


dtypes = st.one_of(scalars.map(repr), records(st.recursive(scalars, records, max_leaves=4)))
cuts = st.sampled_from(
    ["", "[::-1]", "[::2]", "[1:]", "[..., ::-1]", ".T", "[:, None]", ".copy('F')", "[0]"]
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    dtype=dtypes,
    shape=st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple),
    cut=cuts,
    seed=st.integers(0, 1000),
)
def test_any_dtype_reads_and_writes_as_numpy_does(np, dtype, shape, cut, seed):
    space = _helpers()
    dtype = space["dtype_of"](dtype)
    if dtype is None:
        return  # numpy has none such: texts of no length in a sub-array
    a = space["make"](dtype, shape, cut, seed)
    if type(a).__name__ != "Proxy" or pybridge.eval("type")(a).__name__ not in (
        "ndarray",
        "void",
    ):
        return  # a scalar
    v = pybridge.view(a)
    assert v.shape == tuple(a.shape) and v.itemsize == a.itemsize
    mine = v.tolist()
    assert repr(mine) == space["answer"](a)
    b = space["copy_of"](a)
    w = pybridge.view(b)
    if w.shape:
        w[...] = mine if type(mine) is list else [mine]
    else:
        w[()] = mine
    assert space["answer"](b) == space["answer"](a)


_cache: dict[str, object] = {}


def _helpers():
    if not _cache:
        pybridge.exec(HELPERS, _cache)
    return _cache


def test_a_large_loop_over_records_does_not_grow(np):
    children.run("""
        import pybridge, resource, sys
        np = pybridge.import_module("numpy")
        n = 10**6 if sys.implementation.name == "pypy" else 4 * 10**5
        dtype = "[('x', 'f8'), ('y', 'i4')]"
        a = pybridge.eval(f"np.ones({n}, {dtype})", {"np": np})
        v = pybridge.view(a)
        def total():
            s = 0.0
            for r in v: s += r.x + r.y
            return s
        assert total() == 2.0 * n
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(3): total()
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30000
    """)


def test_dates_are_what_numpy_says(np):
    a = pybridge.eval(
        "np.zeros(2, [('d', 'M8[D]'), ('t', 'M8[us]'), ('n', 'M8[ns]'), ('m', 'm8[s]')])",
        {"np": np},
    )
    r = pybridge.view(a)[0]
    r.d, r.t = datetime.date(2026, 11, 22), datetime.datetime(2026, 11, 22, 1, 2, 3, 4)
    r.m, r.n = datetime.timedelta(hours=1), None
    assert pybridge.eval("str(a[0])", {"a": a}) == (
        "('2026-11-22', '2026-11-22T01:02:03.000004', 'NaT', 3600)"
    )
    assert tuple(r)[:2] == (r.d, r.t) and r.n is None and r.m == datetime.timedelta(hours=1)
