# SPDX-License-Identifier: MIT
"""What the host's pickle finds of a proxy, and who may load it."""

from __future__ import annotations

import pickle

import pytest

import pybridge
import pybridge.pickle
from pybridge import _pickled

make = pybridge.eval


def test_what_the_guest_refuses_is_refused_with_its_reason():
    for source in ("__import__('threading').Lock()", "(i for i in ())", "lambda: 1"):
        with pytest.raises((TypeError, AttributeError, pickle.PicklingError)) as caught:
            pickle.dumps(make(source))
        assert "pickle" in str(caught.value)


def test_the_guest_does_not_pickle_host_functions():
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(make("lambda f: [f]")(lambda: 1))
    made = make("lambda f: type(f)()")
    with pytest.raises(TypeError, match="made by the host"):
        made(lambda: 1)


def test_ordinary_loads_refuses():
    data = pickle.dumps(make("[1]"))
    with pytest.raises(pickle.UnpicklingError, match=r"use pybridge\.pickle\.loads"):
        pickle.loads(data)


def test_a_pickle_names_a_public_function_and_has_the_guests_bytes():
    x = make("[1, (2, 'three')]")
    function, (data,) = x.__reduce_ex__(2)
    assert (function.__module__, function.__name__) == ("pybridge.pickle", "guest_object")
    assert getattr(pybridge.pickle, "guest_object", None) is function
    assert make("lambda data: __import__('pickle').loads(data)")(data) == x
    assert _pickled.load(data) == x and _pickled.load(bytearray(data)) == x


def test_a_picklingerror_of_the_guest_is_the_hosts():
    pybridge.exec("class Refusing:\n    def __reduce__(self): return 5\n", names := {})
    with pytest.raises(pickle.PicklingError) as caught:
        _pickled.dumped("dumps", names["Refusing"](), 2)
    assert "__reduce__" in str(caught.value)
    with pytest.raises(ZeroDivisionError):
        pybridge.exec("class Bad:\n    def __reduce__(self): 1 / 0\n", names)
        _pickled.dumped("dumps", names["Bad"](), 2)


def test_what_is_no_pickle_is_an_error_of_the_guests():
    with pytest.raises(Exception, match=r"pickle|load key|invalid|truncated"):
        _pickled.load(b"no pickle at all")
    assert _pickled.allowed is False
