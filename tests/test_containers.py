# SPDX-License-Identifier: MIT
"""Copies to either side, references to the guest's objects, identity; keys of both sides."""

from __future__ import annotations

import math

import pytest

import pybridge


def guest_of(source):
    return pybridge.eval(source)


# ---- copy --------------------------------------------------------------------------------


@pytest.mark.parametrize("x", [[1, "a"], {"a": 1}, {1, "a"}], ids=["list", "dict", "set"])
def test_a_copy_is_a_plain_guest_one_and_on_its_own(guest, x):
    there = pybridge.copy(x)
    assert isinstance(there, pybridge.Proxy)
    assert pybridge.eval(f"lambda x: type(x) is {type(x).__name__}")(there)
    assert there == x
    there.clear()
    assert len(x) == len({1, 2} if type(x) is not dict else {1}) and len(there) == 0


def test_a_copy_is_plain_inside_too_and_keeps_what_is_shared(guest):
    inner = [1]
    x = [inner, {"k": (inner, {2})}, inner]
    x.append(x)
    there = pybridge.copy(x)
    assert pybridge.eval(
        "lambda x: (type(x[0]) is list, type(x[1]['k'][1]) is set, x[0] is x[2],"
        " x[2] is x[1]['k'][0] and x[3] is x)"
    )(there) == (True, True, True, True)
    there[0].append(5)
    assert inner == [1]


def test_a_copy_of_a_guest_container_is_another(guest):
    x = guest_of("[1, [2]]")
    there = pybridge.copy(x)
    assert not pybridge.same(x, there)
    assert pybridge.same(x[1], there[1])


@pytest.mark.parametrize("x", [5, (1,), "text", frozenset()], ids=repr)
def test_what_is_no_list_dict_or_set_has_no_copy(guest, x):
    with pytest.raises(TypeError, match=f"not {type(x).__name__}"):
        pybridge.copy(x)


# ---- to_host -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source, expected",
    [
        ("[1, 'a', None, [2.5, [3]]]", [1, "a", None, [2.5, [3]]]),
        ("{'a': {1: [2]}, (1, 2): {3}}", {"a": {1: [2]}, (1, 2): {3}}),
        ("({1}, frozenset([(2, 3)]), ())", ({1}, frozenset([(2, 3)]), ())),
        ("__import__('collections').deque([1, [2]], 5)", [1, [2]]),
        ("__import__('collections').OrderedDict(b=1, a=[2])", {"b": 1, "a": [2]}),
        ("__import__('collections').defaultdict(list, a=[1])", {"a": [1]}),
        ("__import__('collections').Counter('aab')", {"a": 2, "b": 1}),
        ("[float(i) for i in range(1000)]", [float(i) for i in range(1000)]),
        ("[-i << 40 for i in range(1000)]", [-i << 40 for i in range(1000)]),
        ("[1 << 63] * 20", [1 << 63] * 20),
        ("[True] * 20", [True] * 20),
        ("[1, 2.0] * 20", [1, 2.0] * 20),
        ("[]", []),
        ("5", 5),
    ],
)
def test_a_host_copy_is_of_host_types_throughout(guest, source, expected):
    x = pybridge.to_host(pybridge.eval(source))
    assert x == expected
    assert repr(x) == repr(expected)
    assert type(x) is type(expected)


def test_a_host_copy_keeps_what_is_shared_and_cyclic(guest):
    pybridge.exec("x = [[1]]; x.append(x[0]); x.append((x, {'x': x}))")
    for source in ("x", "x[2]", "x[2][1]"):
        copied = pybridge.to_host(pybridge.eval(source))
        if source == "x[2]":
            copied = copied[0]
        elif source == "x[2][1]":
            copied = copied["x"]
        assert copied[0] is copied[1]
        assert copied[2][0] is copied and copied[2][1]["x"] is copied


def test_a_host_copy_takes_one_crossing(guest):
    x = guest_of("[[i, {str(i): (i,)}] for i in range(100)]")
    pybridge.to_host(x)
    before = pybridge.statistics().callbacks
    assert pybridge.to_host(x)[99] == [99, {"99": (99,)}]
    assert pybridge.statistics().callbacks == before


def test_other_objects_inside_stay_what_they_are(guest):
    x = [1]
    copied = pybridge.to_host(guest_of("lambda x: [object(), x, 2**70, float('nan')]")(x))
    assert isinstance(copied[0], pybridge.Proxy)
    assert copied[1] == x and copied[1] is not x
    assert copied[2] == 2**70 and math.isnan(copied[3])
    assert pybridge.to_host([guest_of("[1]")]) == [[1]]
    assert pybridge.to_host("text") == "text"


def test_numpy_arrays_become_lists(guest):
    try:
        numpy = pybridge.import_module("numpy")
    except ModuleNotFoundError:
        pytest.skip("this guest has no numpy")
    assert pybridge.to_host(numpy.eye(2)) == [[1.0, 0.0], [0.0, 1.0]]
    x = pybridge.to_host(pybridge.eval("lambda a: {'a': (a, a)}")(numpy.arange(20)))
    assert x == {"a": (list(range(20)),) * 2}
    assert type(x["a"][0][0]) is int


# ---- ref ---------------------------------------------------------------------------------


def test_a_reference_to_a_container_shows_and_changes_it(guest):
    x = [1]
    there = pybridge.ref(x)
    assert isinstance(there, pybridge.Proxy)
    there.append(2)
    x.append(3)
    assert x == [1, 2, 3] and there == [1, 2, 3] and len(there) == 3
    assert pybridge.eval("lambda x: x")(there) is x
    assert pybridge.ref(there) is there


def test_a_reference_to_a_value_has_the_guests_attributes(guest):
    there = pybridge.ref(5)
    assert pybridge.eval("lambda x: type(x) is int")(there)
    assert there.to_bytes(1, "little") == b"\5"


def test_references_leave_nothing_behind(leakfree):
    for _ in range(20):
        there = pybridge.ref([1, [2]])
        there.append(3)
        assert there == [1, [2], 3]
        assert pybridge.to_host(pybridge.copy({1: [2]})) == {1: [2]}


# ---- same, ==, hash, in ------------------------------------------------------------------


def test_the_same_object_is_known_on_either_side(guest):
    x, f = [1], lambda: 0
    there = pybridge.ref(x)
    assert pybridge.same(x, x) and pybridge.same(there, x) and pybridge.same(x, there)
    assert pybridge.same(pybridge.ref(f), f)
    assert not pybridge.same(there, [1]) and not pybridge.same([1], [1])
    sys = pybridge.import_module("sys")
    assert pybridge.same(pybridge.eval("__import__('sys').path"), sys.path)
    assert not pybridge.same(pybridge.eval("[]"), pybridge.eval("[]"))
    assert not pybridge.same(pybridge.ref(5), 5)


def test_equality_between_the_sides_is_that_of_one_interpreter(guest):
    there = guest_of("[1, [2], {'a': (3,)}]")
    here = [1, [2], {"a": (3,)}]
    assert there == here and here == there
    assert not there != here and not here != there
    assert there != [1] and [1] != there
    assert guest_of("{'a': [1]}") == {"a": [1]} and {"a": [1]} == guest_of("{'a': [1]}")
    assert guest_of("{1, 2}") == {1, 2} and {1, 2} == guest_of("{1, 2}")
    assert guest_of("[2]") > [1] and [1] < guest_of("[2]")
    assert guest_of("[1]") in [[2], [1]] and [1] in guest_of("[[2], [1]]")
    assert [guest_of("[1]")] == [[1]]


def test_keys_of_the_guest_are_found_in_the_hosts_containers(guest):
    pybridge.exec(
        "class Key:\n"
        "    def __init__(self, n): self.n = n\n"
        "    def __eq__(self, other): return isinstance(other, Key) and self.n == other.n\n"
        "    def __hash__(self): return hash(self.n)\n"
    )
    key = pybridge.eval("Key")
    here = {key(1): "one", 2: "two", "a": "text"}
    assert here[key(1)] == "one" and key(2) not in here and here[guest_of("2")] == "two"
    assert here[guest_of("'a'")] == "text"
    assert key(1) in {key(1)} and key(1) in [key(1)]
    there = pybridge.copy(here)
    assert there[key(1)] == "one" and there["a"] == "text" and key(2) not in there
    assert pybridge.eval("lambda d: d[Key(1)] + d[2]")(here) == "onetwo"


def test_host_objects_are_keys_in_the_guest(guest):
    def f():
        pass

    there = pybridge.eval("{}")
    there[f] = 1
    assert f in there and there[f] == 1 and len not in there
    assert next(iter(there)) is f
    assert hash(pybridge.ref(f)) == hash(pybridge.ref(f))
