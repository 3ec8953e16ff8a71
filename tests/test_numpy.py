# SPDX-License-Identifier: MIT
"""When the faster ways for numpy's objects are in use, and when they are not."""

from __future__ import annotations

import inspect

import children
import pytest
from scalars import is_late

pytestmark = pytest.mark.usefixtures("np")

LATE = f"import pybridge\n\n{inspect.getsource(is_late)}\n"


@pytest.mark.parametrize(
    "first",
    [
        "x = np.arange(3.0)",
        "x = np.float64(1.5)",
        "x = np.sqrt",
        "x = np.float64(1.5) < 1",
        "x = np.int8(1)",
        "x = isinstance(1, np.ndarray)",
        "with pybridge.scope(): x = np.arange(3.0)[1]",
    ],
)
def test_whatever_comes_first_elements_are_made_on_the_host(first):
    children.run(
        f"{LATE}np = pybridge.import_module('numpy')\n{first}\n"
        "a = np.arange(3.0)\n"
        "assert is_late(a[1]) and is_late(a[1] + 1.0) and a[1] + 1.0 == 2.0\n"
        "assert is_late(a[1] < 2.0) and bool(a[1] < 2.0)\n"
        "assert [np.sqrt(4.0) for _ in range(3)] == [2.0] * 3 and is_late(np.sqrt(4.0))\n"
    )


@pytest.mark.parametrize("name", ["float64", "ndarray"])
def test_a_converter_from_the_start_sees_all_objects(name):
    children.run(f"""
        import pybridge
        np = pybridge.import_module("numpy")
        pybridge.converter("numpy:{name}")(lambda x: ("converted", x))
        for a in (np.arange(3.0), np.float64(2.0), np.arange(3.0)):
            pass
        if "{name}" == "float64":
            assert a[1][0] == "converted" and np.sqrt(4.0)[0] == "converted"
        else:
            assert a[0] == "converted" and a[1][1] == 1.0
    """)


def test_a_module_that_is_called_numpy_may_be_another():
    children.run("""
        import pybridge
        names = {}
        pybridge.exec('''
        import sys, types
        module = types.ModuleType("numpy")
        class ndarray:
            def __getitem__(self, i): return i
        class float64(float): pass
        for cls in ndarray, float64:
            cls.__module__ = "numpy"
            setattr(module, cls.__name__, cls)
        sys.modules["numpy"] = module
        a, x = module.ndarray(), module.float64(1.5)
        ''', names)
        a, x = names["a"], names["x"]
        assert a[5] == 5 and x + 1.0 == 2.5 and type(x).__name__ == "float64"
        assert x.real == 1.5
    """)


def test_threads_that_meet_numpy_first_at_once():
    children.run(f"""{LATE}
import threading
np = pybridge.import_module("numpy")
barrier, seen = threading.Barrier(4), []

def work():
    barrier.wait()
    a = np.arange(100.0)
    s = 0.0
    for i in range(100):
        s += a[i]
    # Late or not: one may be through before another has installed the faster ways.
    seen.append((float(s), type(s) is np.float64))

threads = [threading.Thread(target=work) for _ in range(4)]
for t in threads: t.start()
for t in threads: t.join()
assert seen == [(4950.0, True)] * 4, seen
""")
