# SPDX-License-Identifier: MIT
"""A host that has a numpy of its own, by cpyext: arrays of the two share memory.

In a child, by the interpreter of .venv-bench, where such a numpy is installed."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import pybridge

ROOT = Path(__file__).resolve().parent.parent
BENCH = ROOT / ".venv-bench" / "bin" / "python"


@pytest.fixture(scope="module")
def run(guest):
    if sys.implementation.name != "pypy":
        pytest.skip("only PyPy's numpy is another build than the guest's")
    if not BENCH.exists():
        pytest.skip("no .venv-bench, in which PyPy has a numpy")
    try:
        pybridge.import_module("numpy")
    except ModuleNotFoundError:
        pytest.skip("this guest has no numpy")

    def run(text):
        begin = (
            "import gc, pybridge\nimport numpy as hnp\nnp = pybridge.import_module('numpy')\n"
        )
        done = subprocess.run(
            [BENCH, "-W", "error", "-c", begin + textwrap.dedent(text)],
            env=dict(os.environ, PYTHONPATH=str(ROOT), PYBRIDGE_PYTHON=guest.executable),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr

    return run


def test_arrays_of_the_guest_are_the_hosts_without_a_copy(run):
    run("""
        a = np.arange(6.0).reshape(2, 3)
        h = hnp.asarray(a)
        assert type(h) is hnp.ndarray and h.shape == (2, 3)
        h[0, 0] = 7
        assert a[0, 0] == 7 and hnp.asarray(a.T).strides == (8, 24)
        a[1, 2] = 5
        assert h[1, 2] == 5 and not hnp.asarray(np.broadcast_to(a, (4, 2, 3))).flags.writeable
        for kind in ("i2", ">f4", "c16", "bool", "U3", "S2", "M8[s]", [("x", "f8", (2,))]):
            g = np.zeros(3, kind)
            assert hnp.asarray(g).dtype == hnp.dtype(kind), kind
            assert hnp.asarray(g).tobytes() == g.tobytes()
        try:
            big = np.zeros(10)
            lent = hnp.asarray(big)
            big.resize(10**6)
        except ValueError:
            pass
        else:
            raise AssertionError("resized, and the host has the old address")
        kept = hnp.asarray(np.full(1000, 3.0))
        for _ in range(3):
            gc.collect()
            pybridge.statistics()
        assert kept.sum() == 3000.0
    """)


def test_arrays_of_the_host_are_the_guests_without_a_copy(run):
    run("""
        h = hnp.arange(6.0).reshape(2, 3)
        g = np.asarray(h)
        assert type(g) is np.ndarray and g.shape == (2, 3)
        g[0, 0] = 9
        assert h[0, 0] == 9
        see = pybridge.eval("lambda x: (type(x).__module__, str(x.dtype), x.strides, x.ndim)")
        assert see(h[:, ::-2]) == ("numpy", "float64", (24, -16), 2)
        assert see(hnp.array(5.0)) == ("numpy", "float64", (), 0)
        for kind in ("i2", ">f4", "c16", "bool", "U3", "S2", "M8[s]"):
            assert see(hnp.zeros(3, kind))[:2] == ("numpy", str(hnp.zeros(3, kind).dtype))
        # Of objects and records it is a host object, before and after the others.
        assert see(hnp.zeros(3, object))[1:3] == ("object", (8,))
        assert np.asarray(h).dtype == "float64"
        h.flags.writeable = False
        assert not pybridge.eval("lambda x: x.flags.writeable")(h)

        def sum_of_one_that_only_the_guest_has():
            g = np.asarray(hnp.full(1000, 5.0))
            for _ in range(3):
                gc.collect()
            return float(g.sum())

        assert sum_of_one_that_only_the_guest_has() == 5000.0
    """)


def test_functions_and_operators_of_both(run):
    run("""
        h, g = hnp.ones(3), np.ones(3)
        assert type(g + h) is np.ndarray and type(h + g) is hnp.ndarray
        assert type(hnp.add(h, g)) is hnp.ndarray and type(np.add(h, g)) is np.ndarray
        assert hnp.sum(g) == 3 and np.sum(h) == 3 and np.linalg.norm(h) == 3**0.5
        h *= g
        h[:] = g + 1
        assert h.tolist() == [2, 2, 2] and (h == g + 1).all()
        assert hnp.array(g).tolist() == np.array(h - 1).tolist()
    """)
