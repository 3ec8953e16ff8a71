# SPDX-License-Identifier: MIT
"""Items of guest lists and dicts: what Python says of each."""

from __future__ import annotations

import threading

import pytest

import pybridge

GUEST = """
class Own(list):
    def __getitem__(self, i): return ("own", i)

    def __setitem__(self, i, x): list.__setitem__(self, i, ("own", x))

class Plain(list): pass

class Missing(dict):
    def __missing__(self, key): return ("missing", key)

class OwnDict(dict):
    def __getitem__(self, key): return ("own", key)

class Key:
    def __init__(self, n): self.n = n

    def __hash__(self): return 5

    def __eq__(self, other):
        if self.n < 0 or other.n < 0: raise RuntimeError("no comparison")
        return isinstance(other, Key) and self.n == other.n

def outcome(f, *args):
    try:
        return repr(f(*args))
    except Exception as error:
        return type(error).__name__ + ": " + str(error)

def read(x, key): return outcome(lambda: x[key])

def write(x, key, value):
    def change(): x[key] = value
    return outcome(change), repr(x)
"""


@pytest.fixture(scope="module")
def there(guest):
    names = {}
    pybridge.exec(GUEST, names)
    return names


def outcome(f):
    try:
        return repr(f())
    except Exception as error:
        return f"{type(error).__name__}: {error}"


LISTS = ["[]", "[1]", "[1, 2.5, 'x', None, [7], 2**70]", "list(range(300))"]
INDICES = [
    0, 1, -1, 5, -6, 299, 300, -300, -301, 2**31, 2**62, -(2**62), 2**63, -(2**63) - 1, 2**70,
    True, 1.0, "x", None, (1,), slice(1, 3), slice(None, None, -1),
]  # fmt: skip


@pytest.mark.parametrize("text", LISTS)
@pytest.mark.parametrize("index", INDICES, ids=repr)
@pytest.mark.parametrize("kind", ["list", "Own", "Plain"])
def test_an_item_of_a_list(there, text, index, kind):
    make = there.get(kind) or pybridge.eval("list")
    judged = pybridge.eval(f"lambda make: make({text})", there)(make)
    x = pybridge.eval(f"lambda make: make({text})", there)(make)
    assert outcome(lambda: x[index]) == there["read"](judged, index)

    def change():
        x[index] = (1, "new")

    assert (outcome(change), repr(x)) == there["write"](judged, index, (1, "new"))


DICTS = ["dict", "Missing", "OwnDict"]
KEYS = ["a", "b", "", "\0", "ä", "\ud800", "a" * 100, 1, 1.0, True, None, (1, "a"), 2**70, b"a"]


@pytest.mark.parametrize("kind", DICTS)
@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_an_item_of_a_dict(there, kind, key):
    make = there.get(kind) or pybridge.eval("dict")
    x = make([(k, i) for i, k in enumerate(KEYS)][::2])
    for _ in range(3):  # texts are remembered
        assert outcome(lambda: x[key]) == there["read"](x, key)


def test_a_key_that_has_no_hash_is_refused(there):
    x = pybridge.eval("{}")
    for key in ([1], {}, pybridge.eval("[1]")):
        with pytest.raises(TypeError, match="unhashable"):
            x[key]


def test_keys_that_are_guest_objects(there):
    Key = there["Key"]
    x = pybridge.eval("dict")([(Key(1), "one")])
    assert x[Key(1)] == "one"
    with pytest.raises(KeyError) as caught:
        x[Key(2)]
    assert caught.value.args[0].n == 2
    with pytest.raises(RuntimeError, match="no comparison"):
        x[Key(-1)]


def test_an_item_comes_as_it_is_at_that_moment(there):
    x = pybridge.eval("[1, 2, 3]")
    pop = pybridge.eval("lambda x: x.pop()")
    seen = []
    for i in range(3000):  # also when it is compiled
        x[0] = i
        seen.append(x[0] + x[-1])
        if i == 2000:
            pop(x)
    assert seen == [i + 3 if i <= 2000 else i + 2 for i in range(3000)]
    with pytest.raises(IndexError, match="list index out of range"):
        x[2]
    with pytest.raises(IndexError, match="list assignment index out of range"):
        x[-3] = 1


def test_items_that_are_lists_keep_their_identity(there):
    x = pybridge.eval("[[], {}]")
    assert x[0] is x[0] and x[1] is x[-1]
    y = x[0]
    x[0] = y
    assert x[0] is y


def test_a_host_list_in_a_guest_list_is_itself(there):
    x, mine = pybridge.eval("[0]"), [1]
    x[0] = mine
    assert x[0] is mine


def test_a_released_list_is_refused(there):
    x = pybridge.eval("[1]")
    pybridge.release(x)
    for f in (lambda: x[0], lambda: x.__setitem__(0, 1)):
        with pytest.raises(pybridge.ClosedHandle):
            f()


def test_items_are_released(there, leakfree):
    x = pybridge.eval("[object() for i in range(10)]")
    y = pybridge.eval("{'a': object()}")
    for i in range(1000):
        x[i % 10] = x[-1]
        assert y["a"] is not None
    del x, y


def test_other_threads_change_the_list_meanwhile(there):
    x = pybridge.eval("list(range(1000))")
    change = pybridge.eval("lambda x: (x.clear(), x.extend(range(1000)))")
    stop = []

    def work():
        while not stop:
            change(x)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(200):
            for i in (0, 500, 999):
                try:
                    assert x[i] == i
                except IndexError:
                    pass
    finally:
        stop.append(True)
        thread.join()
