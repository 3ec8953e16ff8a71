# SPDX-License-Identifier: MIT
"""DLPack and Arrow: tensors, columns and tables of the guest, and host memory as these.

Needs torch, jax, pyarrow, polars or pandas in the guest; each test says which.
"""

from __future__ import annotations

import array
import gc

import children
import pytest

import pybridge
from pybridge import _interchange


def guest_module(name):
    try:
        return pybridge.import_module(name)
    except ModuleNotFoundError:
        pytest.skip(f"this guest has no {name}")


@pytest.fixture(scope="module")
def torch(guest):
    return guest_module("torch")


@pytest.fixture(scope="module")
def pa(guest):
    return guest_module("pyarrow")


def settled():
    for _ in range(5):
        gc.collect()
        pybridge.statistics()


# ---- DLPack ----------------------------------------------------------------------------------

DTYPES = ["float64", "float32", "float16", "int8", "int16", "int32", "int64", "uint8", "bool",
          "complex64", "complex128"]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_tensor_is_viewed(torch, dtype):
    t = pybridge.eval(f"torch.arange(6).reshape(2, 3).to(torch.{dtype})", {"torch": torch})
    v = pybridge.view(t)
    assert v.shape == (2, 3) and v.itemsize == t.element_size()
    assert repr(v.tolist()) == pybridge.eval("repr(t.tolist())", {"t": t})
    v[1, 2] = v[0, 1]
    assert pybridge.eval("bool(t[1, 2] == t[0, 1])", {"t": t})


@pytest.mark.parametrize("text", ["t.T", "t[1:]", "t[:, ::2]", "t[0]", "t[1, 1]", "t[:0]"])
def test_shapes_and_strides_of_tensors(torch, text):
    t = pybridge.eval(text, {"t": torch.arange(12.0).reshape(3, 4)})
    v = pybridge.view(t)
    assert v.shape == tuple(t.shape)
    assert repr(v.tolist()) == pybridge.eval("repr(t.tolist())", {"t": t})


def test_tensors_that_cannot_be_viewed(torch):
    with pytest.raises((BufferError, RuntimeError), match="grad"):
        pybridge.view(pybridge.eval("torch.zeros(2, requires_grad=True)", {"torch": torch}))
    with pytest.raises(pybridge.ConversionError, match="type 4 in 16 bits"):
        pybridge.view(pybridge.eval("torch.zeros(2, dtype=torch.bfloat16)", {"torch": torch}))
    with pytest.raises(Exception, match=r"(?i)meta|device"):
        pybridge.view(pybridge.eval("torch.zeros(2, device='meta')", {"torch": torch}))


def test_a_tensor_whose_memory_is_negated_is_refused(torch):
    t = pybridge.eval("torch.full((2,), 1j).conj().imag", {"torch": torch})
    assert t.tolist() == [-1.0, -1.0]
    with pytest.raises(BufferError, match="resolve_neg"):
        pybridge.view(t)
    assert pybridge.view(t.resolve_neg()).tolist() == [-1.0, -1.0]


def test_a_view_of_a_tensor_keeps_it_and_lets_it_go(torch):
    space = {}
    pybridge.exec("import torch, weakref\nt = torch.zeros(1000)\nw = weakref.ref(t)", space)
    watch = space["w"]
    v = pybridge.view(pybridge.eval("w().untyped_storage() and w()", {"w": watch}))
    part = v[10:]
    assert part[0] == 0.0
    v.release()
    for use in (lambda: part[0], lambda: v.tolist()):
        with pytest.raises(ValueError, match="released"):
            use()
    held = pybridge.view(torch.ones(100_000))
    settled()
    torch.zeros(100_000)
    assert held[99_999] == 1.0


def test_a_view_of_a_tensor_crosses(torch):
    t = torch.arange(10.0)
    v = pybridge.view(t)
    assert pybridge.eval("lambda x, t: x is t")(v, t)
    part = v[2:4]
    v.release()
    np = guest_module("numpy")
    v = pybridge.view(t)
    part = np.asarray(v[2:4])
    v.release()
    pybridge.release(t)
    settled()
    assert list(part.tolist()) == [2.0, 3.0]


@pytest.mark.parametrize("code", "bhiqfdB")
def test_host_memory_is_a_tensor(torch, code):
    a = array.array(code, [1, 2, 100])
    t = torch.from_dlpack(a)
    assert list(t.tolist()) == [1, 2, 100]
    t[1] = 7
    assert a[1] == 7
    pybridge.release(t)


def test_a_part_view_is_a_tensor_with_its_strides(torch):
    np = guest_module("numpy")
    v = pybridge.view(np.arange(24.0).reshape(4, 6))[1:3, ::2]
    t = torch.from_dlpack(v)
    assert repr(t.tolist()) == repr(v.tolist())


def test_memory_that_is_lent_stays_while_the_tensor_lives(torch):
    t = torch.from_dlpack(array.array("d", range(1000)))
    settled()
    garbage = [array.array("d", [-1.0]) * 1000 for _ in range(200)]
    assert float(t.sum()) == 499500.0
    del garbage


# Both protocols, by numpy.  Classes of the guest's that offer an array's.
OFFERS = """
import ctypes

class Offer:
    def __init__(self, a):
        self.a = a
        self.asked = []

class New(Offer):
    def __dlpack__(self, *, max_version=None):
        self.asked.append(max_version)
        return self.a.__dlpack__(max_version=max_version)

class Old(Offer):
    def __dlpack__(self, stream=None):
        self.asked.append(stream)
        return self.a.__dlpack__()

class Future(Offer):
    def __dlpack__(self, *, max_version=None):
        self.memory = (ctypes.c_uint32 * 40)(2, 0)
        new = ctypes.pythonapi.PyCapsule_New
        new.restype = ctypes.py_object
        return new(self.memory, ctypes.c_char_p(NAME), None)

NAME = b"dltensor_versioned"
"""


@pytest.fixture(scope="module")
def offers(guest):
    space = {}
    pybridge.exec(OFFERS, space)
    return space


def versioned(np):
    """Does this numpy give capsules of DLPack 1.0?"""
    if tuple(int(part) for part in np.__version__.split(".")[:2]) < (2, 1):
        pytest.skip("this guest's numpy is older than 2.1")


@pytest.mark.parametrize("kind", ["New", "Old"])
def test_capsules_of_both_kinds_are_viewed(np, offers, kind):
    if kind == "New":
        versioned(np)
    a = np.arange(12.0).reshape(3, 4)[::2, 1:]
    x = offers[kind](a)
    v = pybridge.view(x)
    assert (v.shape, v.readonly, v.tolist()) == (
        (2, 3), False, [[1.0, 2.0, 3.0], [9.0, 10.0, 11.0]],
    )  # fmt: skip
    v[1, 0] = 50.0
    assert a[1, 0] == 50.0
    assert list(x.asked) == ([(1, 0)] if kind == "New" else [None])


def test_a_tensor_that_nobody_may_write_is_a_read_only_view(np, offers):
    """Its view could be written."""
    versioned(np)
    a = np.arange(3)
    a.flags.writeable = False
    v = pybridge.view(offers["New"](a))
    assert v.readonly and v[1:].readonly and v.tolist() == [0, 1, 2]
    for write in (lambda: v.__setitem__(0, 5), lambda: v[1:].__setitem__(0, 5)):
        with pytest.raises(TypeError, match="read-only"):
            write()
    b = np.asarray(v[1:])
    assert not b.flags.writeable and list(b.tolist()) == [1, 2]
    with pytest.raises(BufferError, match=r"(?i)read-?only"):  # numpy's own refusal
        pybridge.view(offers["Old"](a))


def test_a_capsule_of_a_dlpack_to_come_is_refused(offers):
    with pytest.raises(BufferError, match=r"only 1\.x and older"):
        pybridge.view(offers["Future"](None))


def test_a_view_of_a_capsule_keeps_the_memory_and_lets_it_go(np, offers):
    versioned(np)
    space = {"np": np, "New": offers["New"]}
    pybridge.exec(
        "import weakref\nclass Array(np.ndarray): pass\n"
        "a = np.arange(1000.0).view(Array)\nw = weakref.ref(a)\nx = New(a)\ndel a",
        space,
    )
    v = pybridge.view(space["x"])
    pybridge.exec("del x.a", space)
    settled()
    assert v[999] == 999.0
    assert pybridge.eval("w() is not None", space)
    v.release()
    settled()
    assert pybridge.eval("w() is None", space)


def test_host_memory_says_that_it_is_read_only(np):
    versioned(np)
    memory = array.array("d", [1.0, 2.0])
    a = np.from_dlpack(memory)
    assert a.flags.writeable
    a[0] = 5.0
    assert memory[0] == 5.0
    b = np.from_dlpack(memoryview(memory).toreadonly())
    assert not b.flags.writeable and list(b.tolist()) == [5.0, 2.0]
    with pytest.raises(ValueError, match="read-only"):
        b[0] = 1.0
    memory[1] = 7.0
    assert b[1] == 7.0


def test_host_memory_gives_the_capsule_that_is_asked_for(np):
    ask = pybridge.eval("lambda x, **k: repr(x.__dlpack__(**k)).split('\"')[1]")
    memory = array.array("d", [1.0, 2.0])
    for version, name in (
        (None, "dltensor"), ((0, 8), "dltensor"), ((1, 0), "dltensor_versioned"),
        ((2, 5), "dltensor_versioned"),
    ):  # fmt: skip
        assert ask(memory, max_version=version) == name
    assert ask(memory) == "dltensor"
    settled()
    memory.append(3.0)  # capsules that nobody took have let it go
    read_only = memoryview(memory).toreadonly()
    assert ask(read_only, max_version=(1, 0)) == "dltensor_versioned"
    with pytest.raises(BufferError, match="read-only"):
        ask(read_only)  # that kind of capsule cannot say so
    with pytest.raises(BufferError, match="without a copy"):
        ask(memory, copy=True)


# ---- Arrow -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "text", "expected"),
    [
        ("polars", "m.Series([1, 2, None])", [1, 2, None]),
        ("polars", "m.Series([1.5, 2.5])", [1.5, 2.5]),
        ("polars", "m.Series(['a', 'a text of more than twelve', None])",
         ["a", "a text of more than twelve", None]),
        ("polars", "m.DataFrame({'a': [1, 2], 'b': ['x', None]})",
         {"a": [1, 2], "b": ["x", None]}),
        ("pandas", "m.Series([1, 2, 3])", [1, 2, 3]),
        ("pandas", "m.DataFrame({'a': [1.5, 2], 'b': ['x', None]})",
         {"a": [1.5, 2.0], "b": ["x", None]}),
    ],
)  # fmt: skip
def test_frames_of_polars_and_pandas(pa, module, text, expected):
    x = pybridge.eval(text, {"m": guest_module(module)})
    v = pybridge.view(x)
    found = {k: c.tolist() for k, c in v.items()} if isinstance(v, dict) else v.tolist()
    assert found == expected


def test_host_memory_is_an_arrow_array(pa):
    a = array.array("d", range(1000))
    x = pa.array(a)
    assert pybridge.eval("lambda x: (str(x.type), len(x), x.sum().as_py())")(x) == (
        "double", 1000, 499500.0,
    )  # fmt: skip
    a[0] = 0.5
    assert pybridge.eval("lambda x: x[0].as_py()")(x) == 0.5  # without a copy
    del a
    settled()
    assert pybridge.eval("lambda x: x[999].as_py()")(x) == 999.0
    for wrong in (bytearray(b"ab"), memoryview(b"ab")):
        assert pybridge.eval("lambda x: str(x.type)")(pa.array(wrong)) == "uint8"
    with pytest.raises(BufferError, match="one row of numbers"):
        pa.array(memoryview(bytearray(4)).cast("B", (2, 2)))


def test_what_offers_nothing_is_refused():
    with pytest.raises(TypeError, match="bytes-like object is required"):
        pybridge.view(pybridge.eval("[1, 2]"))
    broken = pybridge.eval(
        "type('Broken', (), {'__arrow_c_array__': lambda self: (1, 2),"
        " '__dlpack__': lambda self: 5})()"
    )
    with pytest.raises(TypeError, match="capsule"):
        pybridge.view(broken)


def test_a_stream_that_was_consumed_or_fails_is_an_error(pa):
    space = {"pa": pa}
    pybridge.exec(
        "class Once:\n"
        "    def __init__(self, fail):\n"
        "        def batches():\n"
        "            yield pa.record_batch({'a': [1]})\n"
        "            if fail: raise KeyError('no more')\n"
        "        schema = pa.schema([('a', pa.int64())])\n"
        "        self.reader = pa.RecordBatchReader.from_batches(schema, batches())\n"
        "        self.capsule = self.reader.__arrow_c_stream__()\n"
        "    columns = ['a']\n"
        "    def __arrow_c_stream__(self, requested=None): return self.capsule\n"
        "good, bad = Once(False), Once(True)\n"
        "used = Once(False)\n"
        "pa.RecordBatchReader._import_from_c_capsule(used.capsule)\n",
        space,
    )
    assert pybridge.view(space["good"])["a"].tolist() == [1]
    with pytest.raises(Exception, match="no more"):
        pybridge.view(space["bad"])
    with pytest.raises(ValueError, match="consumed"):
        pybridge.view(space["used"])


def test_a_stream_may_wait_for_the_guests_other_threads():
    """`getchar` is its get_next: it waits, in C, for what another thread writes."""
    result = children.run(
        """
        import pybridge

        def look(x):
            try:
                pybridge.view(x)
            except ValueError as error:
                print(error)

        names = {"look": look}
        pybridge.exec('''
        import ctypes as c, os, threading, time
        class Schema(c.Structure):
            _fields_ = [
                ("format", c.c_char_p), ("name", c.c_char_p), ("metadata", c.c_char_p),
                ("flags", c.c_int64), ("n_children", c.c_int64), ("children", c.c_void_p),
                ("dictionary", c.c_void_p), ("release", c.c_void_p), ("data", c.c_void_p),
            ]
        NOTHING = c.CFUNCTYPE(None, c.c_void_p)
        SCHEMA = c.CFUNCTYPE(c.c_int, c.c_void_p, c.POINTER(Schema))
        @NOTHING
        def release(address): pass
        @SCHEMA
        def schema(stream, out):
            out[0] = Schema(b"l", b"", None, 0, 0, None, None, None, None)
            look(Again())
            thread.start()
            return 0
        read, write = os.pipe()
        os.dup2(read, 0)
        words = (c.c_void_p * 5)(
            c.cast(schema, c.c_void_p), c.cast(c.CDLL(None).getchar, c.c_void_p), None,
            c.cast(release, c.c_void_p), None)
        new = c.pythonapi.PyCapsule_New
        new.restype, new.argtypes = c.py_object, (c.c_void_p, c.c_void_p, c.c_void_p)
        name = c.create_string_buffer(b"arrow_array_stream")
        class Stream:
            capsule = new(c.addressof(words), c.addressof(name), None)
            def __arrow_c_stream__(self, requested=None): return self.capsule
        class Again:
            def __arrow_c_stream__(self, requested=None): return Stream.capsule
        def later():
            time.sleep(0.2)  # by then it is in getchar, most likely
            os.write(write, bytes(1))
        thread = threading.Thread(target=later)
        '''.replace("        ", ""), names)
        print(list(pybridge.view(names["Stream"]())))
        """,
        stacks=False,  # their handlers are new ones: the look at them would end getchar
    )
    assert result.out.splitlines() == [
        "this Arrow stream was consumed, or is being read, by somebody else", "[]",
    ]  # fmt: skip


# ---- jax ---------------------------------------------------------------------------------


@pytest.fixture
def jax(guest):
    return guest_module("jax")


@pytest.mark.parametrize(
    "dtype", ["float32", "float16", "int32", "int8", "uint16", "bool", "complex64"]
)
def test_a_jax_array_is_viewed_by_its_buffer_and_by_dlpack(jax, dtype):
    x = jax.numpy.arange(6).reshape(2, 3).astype(dtype)
    expected = pybridge.to_host(pybridge.eval("lambda x: x.tolist()")(x))
    for v in (pybridge.view(x), _interchange.view_of(x)):
        assert v.shape == (2, 3) and v.tolist() == expected
        assert v[1, 2] == expected[1][2]
    # Jax's arrays do not change.  Its capsules are of before DLPack 1.0, and cannot say so.
    with pytest.raises(TypeError, match="read-only"):
        pybridge.view(x)[0, 0] = 1


def test_jax_takes_host_memory_by_dlpack(jax):
    memory = array.array("f", range(1000))
    x = jax.numpy.from_dlpack(memory)
    assert x.shape == (1000,) and float(x.sum()) == 499500.0
    part = pybridge.view(pybridge.import_module("array").array("f", range(64)))[32:]
    assert float(jax.numpy.from_dlpack(part).sum()) == sum(range(32, 64))
    with pytest.raises(RuntimeError, match="strid"):  # jax's own refusal
        jax.numpy.from_dlpack(part[::2])
    del memory
    gc.collect()
    assert float(x[999]) == 999.0


def test_jax_compiles_and_differentiates_host_functions(jax):
    x = jax.numpy.arange(4.0)
    assert pybridge.view(jax.jit(lambda x: x * 3.0 + 1.0)(x)).tolist() == [1.0, 4.0, 7.0, 10.0]
    assert pybridge.view(jax.grad(lambda x: (x * x).sum())(x)).tolist() == [0.0, 2.0, 4.0, 6.0]


def test_what_jax_has_and_the_host_has_not_is_refused(jax):
    with pytest.raises((pybridge.ConversionError, BufferError)):
        pybridge.view(jax.numpy.zeros(3, "bfloat16"))
