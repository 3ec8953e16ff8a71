# SPDX-License-Identifier: MIT
"""What arrays say of their extent, read from their memory."""

from __future__ import annotations

import pytest

import pybridge
from pybridge._release import shared

SHAPES = [
    (),
    (0,),
    (1,),
    (5,),
    (0, 3),
    (3, 0),
    (2, 5),
    (1, 1, 1),
    (2, 3, 4),
    (2, 0, 4),
    (1, 2, 3, 4),
]


@pytest.fixture(scope="module")
def told(np):
    return pybridge.eval("lambda a: (a.shape, a.ndim, a.size)")


def seen(a):
    assert [type(n) for n in (*a.shape, a.ndim, a.size)] == [int] * (len(a.shape) + 2)
    assert type(a.shape) is tuple
    return a.shape, a.ndim, a.size


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_they_are_the_guests(np, told, shape):
    for a in (np.zeros(shape), np.zeros(shape, "i2", order="F"), np.zeros(shape)[..., None]):
        assert seen(a) == told(a) == (a.shape, len(a.shape), a.size)
    for a in (np.zeros((3, *shape))[1], np.zeros((3, *shape))[::2], np.zeros(shape).T):
        assert seen(a) == told(a)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of setting a shape
def test_rows_subclasses_and_changes(np, told):
    matrix = np.zeros((3, 4))
    row = matrix[1]
    assert seen(row) == ((4,), 1, 4) == told(row)
    masked = np.ma.masked_array([1, 2, 3], [0, 1, 0])
    assert seen(masked) == told(masked)
    names = pybridge.eval("{}")
    pybridge.exec(
        "import numpy\n"
        "class Odd(numpy.ndarray):\n"
        "    shape = 'odd'\n"
        "    @property\n"
        "    def size(self): return 'odder'\n"
        "odd = numpy.zeros(3).view(Odd)\n",
        names,
    )
    odd = names["odd"]
    assert (odd.shape, odd.ndim, odd.size) == ("odd", 1, "odder")
    matrix.shape = 2, 6
    assert seen(matrix) == ((2, 6), 2, 12) == told(matrix)
    matrix.resize((5, 1), refcheck=False)
    assert seen(matrix) == ((5, 1), 2, 5)
    with pytest.raises(ValueError, match="cannot reshape"):
        matrix.shape = 7
    with pytest.raises(AttributeError):
        matrix.size = 3
    pybridge.release(matrix)
    for name in ("shape", "ndim", "size"):
        with pytest.raises(pybridge.ClosedHandle):
            getattr(matrix, name)


def test_they_cost_no_crossing(np):
    for shape in ((5,), (2, 5), (2, 3, 4)):
        a = np.zeros(shape)
        before = shared.entered
        assert (a.shape, a.ndim) == (shape, len(shape)) and a.size > 0
        assert shared.entered == before


def test_the_class_has_the_guests_own(np):
    assert repr(np.ndarray.shape) == "<attribute 'shape' of 'numpy.ndarray' objects>"
    assert repr(np.complex128.real) == repr(np.complex64.real)
    assert "shape" in dir(np.zeros(3)) and hasattr(np.zeros(3), "ndim")
