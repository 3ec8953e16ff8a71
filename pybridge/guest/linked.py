# SPDX-License-Identifier: MIT
"""The methods of linked containers (csrc/linked.c, pybridge/_linked.py), in the guest.

Each method of list, dict and set first has the items fetched if host code may have run since
(`fresh`); each that changes something writes the change through to the host's container.

csrc/linked.c puts here the types and three functions.
"""

list_type = dict_type = set_type = None
fresh = push = difference = None

_CHANGING = {
    list: "__delitem__ __init__ __setitem__ append clear extend insert pop remove reverse sort",
    dict: "__delitem__ __init__ __ior__ __setitem__ clear pop popitem setdefault update",
    set: "__iand__ __init__ __ior__ __isub__ __ixor__ add clear difference_update discard "
    "intersection_update pop remove symmetric_difference_update update",
}
_READING = {
    list: "__reversed__ copy count index",
    dict: "__or__ __reversed__ __ror__ copy get items keys values",
    set: "__and__ __or__ "
    "__rand__ __ror__ __rsub__ __rxor__ __sub__ __xor__ copy difference intersection "
    "isdisjoint issubset issuperset symmetric_difference union",
}


def _changing(method):
    def changing(self, /, *args, **kwargs):
        fresh(self)
        for x in args:  # set.update reads the memory of another set
            fresh(x)
        try:
            return method(self, *args, **kwargs)
        finally:
            push(self)

    return changing


def _reading(method):
    def reading(self, /, *args, **kwargs):
        fresh(self)
        for x in args:
            fresh(x)
        return method(self, *args, **kwargs)

    return reading


def _reduce_list(self, protocol):
    fresh(self)
    return list, (), None, list.__iter__(self)


def _reduce_dict(self, protocol):
    fresh(self)
    return dict, (), None, None, iter(dict.items(self))


def _reduce_set(self, protocol):
    fresh(self)
    return set, (tuple(set.__iter__(self)),)


def begin():
    """Give the types their methods."""
    reducers = {list: _reduce_list, dict: _reduce_dict, set: _reduce_set}
    for cls, base in ((list_type, list), (dict_type, dict), (set_type, set)):
        for names, wrap in ((_CHANGING, _changing), (_READING, _reading)):
            for name in names[base].split():
                method = base.__dict__.get(name)
                if method is not None:  # 3.9 to 3.13 do not have the same ones
                    _set_method(cls, name, method, wrap(method))
        cls.__hash__ = None
        cls.__reduce_ex__ = reducers[base]
        cls.__doc__ = base.__doc__


def _set_method(cls, name, method, wrapped):
    wrapped.__name__ = name
    wrapped.__qualname__ = method.__qualname__
    wrapped.__doc__ = method.__doc__
    wrapped.__text_signature__ = getattr(method, "__text_signature__", None)
    setattr(cls, name, wrapped)


def same(a, b):
    return a is b


def introduce(same, change_list, change_dict, change_set):
    """The host's functions."""
    global _same, _change_list, _change_dict, _change_set
    _same, _change_list = same, change_list
    _change_dict, _change_set = change_dict, change_set


def fetch(x):
    """Have the host pass its container again: its items come along."""
    _same(x)


def write_through(x):
    """Tell the host what has changed since both sides agreed."""
    change = difference(x)
    if type(x) is list_type:
        _change_list(x, *change)
    elif type(x) is dict_type:
        _write_dict(x, change)
    elif type(x) is set_type:
        _change_set(x, tuple(change - x), tuple(set.difference(x, change)))


def _write_dict(x, old):
    items = tuple(dict.items(x))
    removed = tuple(key for key in old if not dict.__contains__(x, key))
    order = [key for key in old if dict.__contains__(x, key)]
    order.extend(key for key, _ in items if key not in old)
    if all(key is other for (key, _), other in zip(items, order)):
        changed = tuple((k, v) for k, v in items if k not in old or old[k] is not v)
        _change_dict(x, False, removed, changed)
    else:
        _change_dict(x, True, (), items)


# ---- copies ---------------------------------------------------------------------------------

# Numbers of containers in `packed`, as in pybridge/_containers.py.
_LIST, _DICT, _SET, _TUPLE, _FROZENSET, _FLOATS, _INTS = range(7)
_PLAIN = {int, float, str, bytes, bool, complex, type(None)}


def _is_array(x):
    """A numpy array, without importing numpy."""
    cls = type(x)
    return cls.__module__ == "numpy" and cls.__name__ == "ndarray"


def _is_container(x):
    if isinstance(x, (list, dict, set, tuple, frozenset)):
        return True
    cls = type(x)
    return (cls.__module__ == "collections" and cls.__name__ == "deque") or _is_array(x)


def _taken_apart(x):
    """(number of its kind, its items)"""
    if _is_array(x):
        x = x.tolist()
        if not isinstance(x, list):
            return _LIST, [x]  # no dimensions
    if isinstance(x, dict):
        fresh(x)
        return _DICT, [y for pair in dict.items(x) for y in pair]
    if isinstance(x, tuple):
        return _TUPLE, list(tuple.__iter__(x))
    if isinstance(x, frozenset):
        return _FROZENSET, list(frozenset.__iter__(x))
    return _SET if isinstance(x, set) else _LIST, list(x)


def _numbers(items, types):
    import array

    if types == {float}:
        return _FLOATS, array.array("d", items).tobytes()
    if types == {int}:
        try:
            return _INTS, array.array("q", items).tobytes()
        except OverflowError:
            pass
    return None


def packed(x):
    """A container with all that is in it, for one crossing: for each container in it, the
    first is `x`, (kind, items, which items are numbers of containers in this list)."""
    found = [x]
    places = {id(x): 0}
    answer = []
    for container in found:  # grows meanwhile
        kind, items = _taken_apart(container)
        types = set(map(type, items))
        numbers = _numbers(items, types) if kind == _LIST and len(items) >= 16 else None
        if numbers is not None:
            answer.append((*numbers, ()))
            continue
        inner = []
        if not types <= _PLAIN:
            for i, item in enumerate(items):
                if _is_container(item):
                    place = places.setdefault(id(item), len(found))
                    if place == len(found):
                        found.append(item)
                    items[i] = place
                    inner.append(i)
        answer.append((kind, tuple(items), tuple(inner)))
    return tuple(answer)


def packed_or_none(x):
    return packed(x) if _is_container(x) else None


def copied(x, done=None):
    """A plain copy of a container, plain inside too where the host's containers are."""
    if done is None:
        done = {}
    if id(x) in done:
        return done[id(x)]
    cls = type(x)
    if cls is list_type:
        answer = done[id(x)] = list.copy(x)
        if not set(map(type, answer)) <= _PLAIN:
            answer[:] = [copied(item, done) for item in answer]
    elif cls is dict_type:
        answer = done[id(x)] = {}
        answer.update([(copied(k, done), copied(v, done)) for k, v in dict.items(x)])
    elif cls is set_type:
        answer = done[id(x)] = set()
        answer.update([copied(item, done) for item in set.__iter__(x)])
    elif cls is tuple:
        answer = tuple([copied(item, done) for item in x])
    else:
        return x
    return answer


def plain_copy(x):
    """Of a container of either side."""
    for base in (list, dict, set):
        if isinstance(x, base):
            return copied(x) if type(x) in (list_type, dict_type, set_type) else base(x)
    raise TypeError("copy takes a list, dict or set, not %s" % type(x).__name__)
