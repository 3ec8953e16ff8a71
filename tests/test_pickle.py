# SPDX-License-Identifier: MIT
"""Guest objects in pickles."""

from __future__ import annotations

import copy
import pickle

import children
import pytest

import pybridge
import pybridge.pickle

make = pybridge.eval


def has_numpy():
    return make("__import__('importlib.util').util.find_spec('numpy') is not None")


@pytest.fixture
def np():
    if not has_numpy():
        pytest.skip("no numpy in this guest")
    return pybridge.import_module("numpy")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_proxy_comes_back(protocol):
    x = make("[1, {'a': (2.5, 'é')}, {3}]")
    for dumps in (pickle.dumps, pybridge.pickle.dumps):
        back = pybridge.pickle.loads(dumps(x, protocol))
        assert isinstance(back, pybridge.Proxy)
        assert back == x and not pybridge.eval("lambda a, b: a is b")(back, x)


def test_among_host_objects():
    x = make("bytearray(b'abc')")
    data = pickle.dumps({"x": x, "again": [x], "n": 1})
    back = pybridge.pickle.loads(data)
    assert back["n"] == 1 and back["x"] is back["again"][0]
    assert bytes(back["x"]) == b"abc"


def test_files():
    import io

    file = io.BytesIO()
    pybridge.pickle.dump([make("{1: 2}")], file)
    pickle.dump("next", file)
    file.seek(0)
    assert pybridge.pickle.load(file)[0][1] == 2
    assert pybridge.pickle.load(file) == "next"


def test_loads_elsewhere(tmp_path):
    file = tmp_path / "data"
    file.write_bytes(pickle.dumps([make("[1, 2]")]))
    children.run(
        """
        import pickle, sys
        data = open(sys.argv[1], "rb").read()
        try:
            pickle.loads(data)
        except pickle.UnpicklingError as error:
            assert "install" in str(error)
        import pybridge.pickle
        from pybridge import _runtime
        assert _runtime.state == "new"      # refusing started nothing
        assert list(pybridge.pickle.loads(data)[0]) == [1, 2]
        pybridge.pickle.install()
        assert list(pickle.loads(data)[0]) == [1, 2]
        """,
        str(file),
    )
    without = (
        "import sys, pickle; sys.modules['pybridge'] = None; pickle.load(open({!r}, 'rb'))"
    )
    result = children.run(f"exec({without.format(str(file))!r})", rc=1, stacks=False)
    assert "ModuleNotFoundError" in result.err and "pybridge" in result.err


def test_a_process_pool_of_the_hosts(tmp_path):
    children.run(
        """
        import multiprocessing, pybridge, pybridge.pickle

        def double(x):
            x.append(len(x))
            return x

        if __name__ == "__main__":
            lists = [pybridge.eval("list(range(%d))" % i) for i in range(6)]
            pybridge.pickle.install()
            with multiprocessing.get_context("fork").Pool(
                2, initializer=pybridge.pickle.install
            ) as pool:
                back = pool.map(double, lists)
            assert [list(x) for x in back] == [list(range(i + 1)) for i in range(6)]
        """,
        timeout=60,
    )


def test_buffers_stay_where_they_are(np):
    a = np.arange(1000.0)
    buffers = []
    data = pybridge.pickle.dumps([a, a[::2].copy()], 5, buffer_callback=buffers.append)
    assert len(data) < 1500 and [memoryview(b).nbytes for b in buffers] == [8000, 4000]
    a[3] = -1.0
    assert memoryview(buffers[0]).cast("B").cast("d")[3] == -1.0  # the array's own memory
    back, half = pybridge.pickle.loads(data, buffers=buffers)
    assert np.array_equal(back, a) and back.flags.writeable
    assert list(half[:3]) == [0.0, 2.0, 4.0]
    back[5] = -5.0
    assert a[5] == -5.0  # loaded without a copy: it is the same memory
    shared = bytearray(buffers[1])
    half = pybridge.pickle.loads(data, buffers=[buffers[0], shared])[1]
    half[0] = 9.0
    assert memoryview(shared).cast("d")[0] == 9.0
    copies = [bytes(b) for b in buffers]
    del a, buffers
    assert not pybridge.pickle.loads(data, buffers=copies)[0].flags.writeable


@pytest.fixture
def used(np):
    """What a first use keeps for ever is there; functions of the module are kept as well."""
    pybridge.pickle.dumps(np.zeros(1000), 5, buffer_callback=lambda b: None)


def test_a_buffer_outlives_its_array(np, used, leakfree):
    buffers = []
    pybridge.pickle.dumps(np.zeros(100000), 5, buffer_callback=buffers.append)
    for _ in range(50):
        np.zeros(100000)[:] = 1.0
    assert set(memoryview(buffers[0]).cast("B").cast("d").tolist()) == {0.0}
    del buffers


def test_buffers_that_are_read_only_or_not_wanted_apart(np):
    a = np.arange(10)
    a.flags.writeable = False
    buffers = []
    pybridge.pickle.dumps(a, 5, buffer_callback=buffers.append)
    assert memoryview(buffers[0]).readonly
    keep = pybridge.pickle.dumps(a, 5, buffer_callback=lambda b: True)  # true: in the bytes
    assert np.array_equal(pybridge.pickle.loads(keep), a)
    with pytest.raises(pickle.UnpicklingError):
        pybridge.pickle.loads(pybridge.pickle.dumps(a, 5, buffer_callback=lambda b: None))


def test_copies_are_the_guests():
    x = make("[[1], 2]")
    shallow, deep = copy.copy(x), copy.deepcopy(x)
    x[0].append(5)
    assert list(shallow[0]) == [1, 5] and list(deep[0]) == [1]
    with pytest.raises(TypeError, match="pickle"):
        copy.deepcopy(make("__import__('threading').Lock()"))
