# SPDX-License-Identifier: MIT
"""Host memory in the guest: shared, kept in place, and never a pointer to nothing."""

from __future__ import annotations

import array
import gc
import hashlib
import mmap
import struct
import sys

import cffi
import children
import pytest

import pybridge

ffi = cffi.FFI()
ffi.cdef("struct point { char c; double x; int y[2]; }; enum color { red, green };")


@pytest.fixture
def same():
    return pybridge.eval("lambda x: x")


def mapped(data):
    m = mmap.mmap(-1, len(data))
    m[:] = data
    return m


ABC = b"abc" * 100
KINDS = {
    "bytearray": lambda: bytearray(ABC),
    "array": lambda: array.array("B", ABC),
    "memoryview": lambda: memoryview(bytearray(ABC)),
    "memoryview of array": lambda: memoryview(array.array("B", ABC)),
    "part": lambda: memoryview(bytearray(b"xx" + ABC + b"yy"))[2:-2],
    "mmap": lambda: mapped(ABC),
    "cffi array": lambda: ffi.new("unsigned char[300]", ABC),
    "cffi buffer": lambda: ffi.buffer(ffi.new("char[]", ABC), len(ABC)),
}
kinds = pytest.mark.parametrize("kind", KINDS)


@kinds
def test_the_guest_reads_and_writes_the_hosts_memory(kind, same):
    x = KINDS[kind]()
    assert pybridge.eval("lambda x: bytes(memoryview(x))")(x) == ABC
    pybridge.eval("lambda x: memoryview(x).cast('B').__setitem__(slice(1, 3), b'YZ')")(x)
    assert bytes(memoryview(ffi.buffer(ffi.from_buffer(x)) if kind != "cffi array" else
                            ffi.buffer(x)))[:4] == b"aYZa"  # fmt: skip
    x[0] = b"Q" if kind == "cffi buffer" else 81
    assert pybridge.eval("lambda x: bytes(x)[:4]")(x) == b"QYZa"


@kinds
def test_it_comes_back_as_the_very_object(kind, same, leakfree):
    x = KINDS[kind]()
    assert same(x) is x and same((x, [x]))[0] is x
    identity = pybridge.eval("id")
    assert identity(x) == identity(x)


@kinds
def test_the_guest_keeps_the_memory(kind):
    views = pybridge.eval("lambda x: memoryview(x)")(KINDS[kind]())
    for _ in range(5):
        gc.collect()
        pybridge.statistics()
        garbage = [KINDS[kind]() for _ in range(100)]
    assert bytes(views.tobytes()) == ABC
    del garbage


def test_what_takes_buffers_takes_them(tmp_path):
    data = bytearray(b"some bytes")
    sha = pybridge.import_module("hashlib").sha256
    assert sha(data).digest() == hashlib.sha256(data).digest()
    path = str(tmp_path / "out")
    opened = pybridge.eval("open")
    with opened(path, "wb") as f:
        assert f.write(data) == 10
    target = bytearray(10)
    with opened(path, "rb") as f:
        assert f.readinto(target) == 10
    assert target == data
    unpack = pybridge.import_module("struct").unpack_from
    assert unpack("<h", data, 2) == struct.unpack_from("<h", data, 2)


def test_it_has_what_a_memoryview_has():
    x = bytearray(b"abc")
    look = pybridge.eval(
        "lambda x: (len(x), x[0], x[1:].tobytes(), list(x), bytes(x), x == b'abc', x != b'abd',"
        " x.nbytes, x.format, x.decode(), 98 in x, repr(x)[:21])"
    )
    assert look(x) == (3, 97, b"bc", look(x)[3], b"abc", True, True, 3, "B", "abc", True,
                       "<host memory, 3 bytes")  # fmt: skip
    pybridge.exec("x[0] = 122", {"x": x})
    assert x == b"zbc"
    with pytest.raises(AttributeError, match="nothing"):
        pybridge.eval("x.nothing", {"x": x})
    with pytest.raises(TypeError, match="made by the host"):
        pybridge.eval("type(x)()", {"x": x})


@pytest.mark.parametrize("code", "bBhHiIlLqQfd")
def test_arrays_of_every_kind(np, code):
    a = array.array(code, [1, 2, 100])
    b = np.asarray(a)
    assert b.dtype.char == code and list(b.tolist()) == [1, 2, 100]
    b[1] = 7
    assert a[1] == 7


def test_cffi_memory_of_every_kind(np):
    two = ffi.new("int16_t[2][3]", [[1, 2, 3], [4, 5, 6]])
    assert repr(np.asarray(two).tolist()) == "[[1, 2, 3], [4, 5, 6]]"
    points = ffi.new("struct point[3]")
    seen = np.asarray(points)
    points[1].x, points[2].y[1] = 2.5, 7
    assert repr(seen.tolist()[1])[:12] == "(b'', 2.5, a"
    assert seen.dtype.itemsize == ffi.sizeof("struct point") and int(seen[2]["y"][1]) == 7
    assert np.asarray(ffi.new("enum color[2]", [1, 0])).tolist()[0] == 1
    assert np.asarray(ffi.new("_Bool[2]", [1, 0])).dtype.char == "?"
    for ctype in ("void *[3]", "int *", "struct point *"):
        with pytest.raises(pybridge.ConversionError, match="cffi"):
            np.asarray(ffi.new(ctype))


def test_memoryviews_of_every_shape(np):
    m = memoryview(bytearray(range(24))).cast("B", (2, 3, 4))
    assert tuple(np.asarray(m).shape) == (2, 3, 4) and int(np.asarray(m)[1, 2, 3]) == 23
    doubles = memoryview(array.array("d", range(4)))
    assert np.asarray(doubles).dtype.char == "d"
    with pytest.raises(pybridge.ConversionError, match="gaps"):
        np.asarray(memoryview(bytes(10))[::2])


def test_read_only_memory_stays_so(np):
    for x in (memoryview(b"abc"), memoryview(bytearray(b"abc")).toreadonly()):
        a = np.asarray(x)
        assert a.tobytes() == b"abc" and not a.flags.writeable
        with pytest.raises(TypeError, match="read-write"):
            pybridge.eval("lambda x: open('/dev/zero', 'rb').readinto(x)")(x)
    m = mmap.mmap(-1, 4096, access=mmap.ACCESS_READ)
    assert not np.asarray(m).flags.writeable


@pytest.mark.parametrize("kind", ["bytearray", "array"])
def test_no_memory_at_all(np, kind):
    x = bytearray() if kind == "bytearray" else array.array("d")
    assert np.asarray(x).size == 0
    assert np.asarray(memoryview(x)).size == 0


# ---- the host resizes ------------------------------------------------------------------------


@pytest.mark.skipif(sys.implementation.name == "pypy", reason="PyPy lets it")
@pytest.mark.parametrize("kind", ["bytearray", "array"])
def test_a_cpython_host_refuses_to_resize_what_the_guest_has(kind):
    x = KINDS[kind]()
    held = pybridge.eval("memoryview")(x)
    with pytest.raises(BufferError):
        x.extend(b"more")
    pybridge.release(held)
    for _ in range(4):
        gc.collect()
        pybridge.statistics()
    x.extend(b"more")


on_pypy = pytest.mark.skipif(sys.implementation.name != "pypy", reason="a CPython refuses")


@on_pypy
@pytest.mark.parametrize("kind", ["bytearray", "array", "memoryview", "memoryview of array"])
def test_the_old_memory_stays_when_the_host_resizes(kind):
    x = KINDS[kind]()
    owner = x.obj if isinstance(x, memoryview) else x
    held = pybridge.eval("memoryview")(x)
    owner.extend(b"z" * 100_000)
    for _ in range(5):
        gc.collect()
        garbage = [bytearray(b"?" * 300) for _ in range(1000)]
        garbage += [array.array("B", b"?" * 300) for _ in range(1000)]
    held[0] = 90
    assert pybridge.eval("lambda m: m.tobytes()")(held) == b"Z" + ABC[1:]
    with pytest.raises(BufferError, match="resized by the host while the guest has a buffer"):
        pybridge.eval("len")(x)
    pybridge.release(held)
    assert pybridge.eval("lambda x: memoryview(x).nbytes")(owner) == 100_300


@on_pypy
def test_growing_again_and_again_while_the_guest_looks_does_not_crash():
    children.run("""
        import array, gc, pybridge
        look = pybridge.eval("memoryview")
        held = []
        for kind in (bytearray, lambda x: array.array("B", x)):
            for i in range(300):
                x = kind(b"abc" * (i + 1))
                held.append((i, look(x)))
                for _ in range(20):
                    x.extend(b"z" * 1000)
                del x[10:]
            gc.collect()
        for i, m in held:
            assert m.tobytes() == b"abc" * (i + 1), (i, m.tobytes()[:20])
            m[0] = 1
    """)


@on_pypy
def test_a_closed_mmap_stays_mapped_while_the_guest_has_it(same):
    children.run("""
        import mmap, pybridge
        m = mmap.mmap(-1, 1 << 20)
        m[:3] = b"abc"
        held = pybridge.eval("memoryview")(m)
        try:
            m.resize(1 << 22)
        except (OSError, SystemError, BufferError):
            pass
        m.close()
        assert held[:3].tobytes() == b"abc"
        held[5] = 1
        m = mmap.mmap(-1, 1 << 20)
        n = mmap.mmap(-1, 1 << 20)
        assert held[:3].tobytes() == b"abc"
        pybridge.release(held)
        pybridge.statistics()
        for i in range(200):        # what is no longer held is unmapped
            m = mmap.mmap(-1, 64 << 20)
            pybridge.release(pybridge.eval("memoryview")(m))
            m.close()
            pybridge.statistics()
        sizes = [line for line in open("/proc/self/status") if "VmSize" in line]
        assert int(sizes[0].split()[1]) < 8 << 20, sizes
    """)


@on_pypy
def test_released_cffi_memory_stays_while_the_guest_has_it():
    children.run("""
        import cffi, pybridge
        ffi = cffi.FFI()
        held = []
        for i in range(200):
            x = ffi.new("int64_t[]", [i] * 100)
            held.append(pybridge.eval("memoryview")(x))
            ffi.release(x)
            ffi.new("int64_t[]", [-1] * 100)
        for i, m in enumerate(held):
            assert m.tolist() == [i] * 100, (i, m[0])
    """)


def test_memory_of_a_fork_is_the_childs_own():
    children.run("""
        import array, os, pybridge
        x = array.array("b", [5, 6, 7])
        held = pybridge.eval("memoryview")(x)
        pid = os.fork()
        if pid == 0:
            held[0] = 1
            fine = list(x) == [1, 6, 7]
            try:
                x.extend([8] * 100000)      # the guard works in the child
            except BufferError:             # of a CPython host
                pass
            os._exit(0 if fine and held.tolist()[0] == 1 else 1)
        assert os.waitpid(pid, 0)[1] == 0 and list(x) == [5, 6, 7]
    """)


# ---- views of guest memory -------------------------------------------------------------------


def test_a_part_view_crosses_with_its_strides(np, same):
    v = pybridge.view(np.arange(24.0).reshape(4, 6))
    for part in (v[1], v[::-1], v[:, ::2], v[1:3, 2:], v[::-2, ::-1], v[3:3], v[:, 5]):
        a = np.asarray(part)
        assert tuple(a.shape) == part.shape
        assert repr(a.tolist()) == repr(part.tolist())
        assert same(part) is part
    np.asarray(v[2:])[0, 0] = -1
    assert v[2, 0] == -1.0
    assert not np.asarray(v[1].toreadonly()).flags.writeable or v.shape == ()


def test_a_part_outlives_the_release_of_its_view(np):
    a = np.arange(1000.0)
    v = pybridge.view(a)
    part = np.asarray(v[10:20])
    v.release()
    pybridge.release(a)
    for _ in range(4):
        gc.collect()
        pybridge.statistics()
        np.zeros(1000)
    assert list(part.tolist()) == list(map(float, range(10, 20)))


def test_records_cross_as_numpys_own(np):
    a = pybridge.eval("np.zeros(3, [('x', 'f8'), ('in', [('k', '>i2', (2,))])])", {"np": np})
    r = pybridge.view(a)[1]
    there = pybridge.eval("lambda r: (type(r).__name__, r)")(r)
    assert there[0] == "void"
    r.x = 2.5
    assert float(there[1]["x"]) == 2.5
    part = pybridge.view(a)[1:]
    assert (
        np.asarray(part).dtype.names == ("x", "in") and float(np.asarray(part)["x"][0]) == 2.5
    )


def test_a_part_with_dates_is_refused(np):
    v = pybridge.view(pybridge.eval("np.zeros(3, 'M8[D]')", {"np": np}))
    assert pybridge.eval("len")(v) == 3
    with pytest.raises(pybridge.ConversionError, match=r"v.obj\[...\]"):
        np.asarray(v[1:])


def test_large_memory_is_not_copied(np):
    children.run("""
        import pybridge, resource
        np = pybridge.import_module("numpy")
        big = bytearray(200 << 20)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(20):
            a = np.asarray(big)
            a[-1] = 7
        b = np.frombuffer(memoryview(bytes(big)), dtype="u1")
        assert big[-1] == 7 and int(b[-1]) == 7
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown < 250 << 10, grown
    """)


def test_a_part_of_an_array_of_int64_is_one_of_int64(np):
    for kind in ("int64", "uint64", ">i8", "int32"):
        a = np.arange(6).astype(kind)
        b = np.asarray(pybridge.view(a)[::2])
        assert b.dtype == a.dtype and type(b[0]) is type(a[0]), kind
        assert pybridge.view(a).format == pybridge.eval("lambda a: memoryview(a).format")(a), (
            kind
        )
