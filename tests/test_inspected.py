# SPDX-License-Identifier: MIT
"""`inspect.signature` of guest callables is the guest's answer."""

from __future__ import annotations

import inspect

import pytest

import pybridge
from pybridge._inspected import signature_of

SIGNATURES = [
    "()", "(a, b=2)", "(a, /, b, *, c)", "(*args, **kwargs)",
    "(a: int, *, k: str = 'x') -> float", "(x=None, y=(1, 'two'), z=2.5)",
    "(a, *rest, last=True)", "(self, other: 'Forward') -> None",
]  # fmt: skip


@pytest.mark.parametrize("text", SIGNATURES)
def test_a_signature_is_that_of_the_same_host_function(text):
    names: dict = {}
    source = f"def f{text}: pass"
    exec(compile(source, "host", "exec", dont_inherit=True), names)
    there: dict = {}
    pybridge.exec(source, there)
    expected, found = inspect.signature(names["f"]), signature_of(there["f"])
    assert isinstance(found, inspect.Signature)
    assert found == expected and str(found) == str(expected)
    assert inspect.signature(there["f"]) == expected
    for ours, theirs in zip(found.parameters.values(), expected.parameters.values()):
        assert (ours.kind, ours.default) == (theirs.kind, theirs.default)


def test_defaults_that_are_guest_objects_are_proxies(guest):
    names: dict = {}
    pybridge.exec("class Thing: pass\nthing = Thing()\ndef f(x=thing): return x", names)
    default = signature_of(names["f"]).parameters["x"].default
    assert isinstance(default, pybridge.Proxy)
    assert pybridge.same(default, names["thing"])


def test_arguments_are_bound_as_the_guest_would(guest):
    f = pybridge.eval("lambda a, b=5, *, c: (a, b, c)")
    bound = signature_of(f).bind(1, c=2)
    bound.apply_defaults()
    assert f(*bound.args, **bound.kwargs) == (1, 5, 2)
    with pytest.raises(TypeError, match="missing a required"):
        signature_of(f).bind(1)


def test_what_has_no_signature_raises_as_in_the_guest(guest):
    with pytest.raises(TypeError, match="not a callable"):
        signature_of(pybridge.eval("type('Plain', (), {})()"))
    with pytest.raises(TypeError, match="unexpected object 5 in __signature__"):
        signature_of(pybridge.eval("type('C', (), {'__signature__': 5, '__call__': id})()"))
