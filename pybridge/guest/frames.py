# SPDX-License-Identifier: MIT
"""The bridge's Python in the guest: the frames of the host's program, below the guest's own.

Code that looks at who called it, a formula of patsy's or pandas' `query("x > @limit")`, walks
from frame to frame.  Where the guest's frames end, `sys._getframe` and `frame.f_back` go on
with those of the host's program that called the guest on this thread: stand-ins that ask the
host for each attribute, with real code objects, so that `inspect` takes them.

Frames of the guest that called the host and are called from there again follow directly on
each other; the host's between them come at the end.
"""

import builtins
import gc
import os
import sys
import types

_real_getframe = sys._getframe
_real_modulename = getattr(sys, "_getframemodulename", None)  # from 3.12 on
_real_back = types.FrameType.__dict__["f_back"].__get__
guest_back = _real_back  # without the frames of the host
_ABSENT = object()
_state = {"ask": None}


class Namespace(dict):
    """f_locals or f_globals of a host frame.  Only what is written here is kept here, in a
    copy; reading asks the host."""

    __slots__ = ("_ask", "_deleted", "_which")

    def __init__(self, ask, which):
        self._ask, self._which, self._deleted = ask, which, None

    def __missing__(self, name):
        found = self.get(name, _ABSENT)
        if found is _ABSENT and self._which == "locals":
            # Of a function's frame, for `eval(code, f_globals, f_locals)`, which takes the
            # first for a plain dict.
            globals_found = self._ask("globals", name)
            if globals_found is not None:
                return globals_found[0]
        if found is _ABSENT:
            raise KeyError(name)
        return found

    def __contains__(self, name):
        return self.get(name, _ABSENT) is not _ABSENT

    def get(self, name, default=None):
        if self._deleted is not None:
            if name in self._deleted:
                return default
            if dict.__contains__(self, name):
                return dict.__getitem__(self, name)
        found = self._ask(self._which, name)
        return default if found is None else found[0]

    def __setitem__(self, name, value):
        if self._deleted is None:
            self._ask("set " + self._which, name, value)
        else:
            dict.__setitem__(self, name, value)
            self._deleted.discard(name)

    def __delitem__(self, name):
        if self._deleted is None:
            if not self._ask("delete " + self._which, name):
                raise KeyError(name)
        else:
            if name not in self:
                raise KeyError(name)
            dict.pop(self, name, None)
            self._deleted.add(name)

    def setdefault(self, name, default=None):
        value = self.get(name, _ABSENT)
        if value is _ABSENT:
            self[name] = value = default
        return value

    def pop(self, name, *default):
        value = self.get(name, _ABSENT)
        if value is not _ABSENT:
            del self[name]
            return value
        if not default:
            raise KeyError(name)
        return default[0]

    def update(self, *args, **kwargs):
        for name, value in dict(*args, **kwargs).items():
            self[name] = value

    def _names(self):
        names = dict.fromkeys(self._ask("names " + self._which))
        if self._deleted is not None:
            names.update(dict.fromkeys(dict.keys(self)))
            for name in self._deleted:
                names.pop(name, None)
        return names

    def _all(self):
        found = {}
        for name in self._names():
            value = self.get(name, _ABSENT)
            if value is not _ABSENT:
                found[name] = value
        return found

    def __iter__(self):
        return iter(self._names())

    def __len__(self):
        return len(self._names())

    def __bool__(self):
        return len(self) != 0

    def keys(self):
        return self._names().keys()

    def values(self):
        return self._all().values()

    def items(self):
        return self._all().items()

    def copy(self):
        new = Namespace(self._ask, self._which)
        new._deleted = set(self._deleted or ())
        dict.update(new, dict.items(self))
        return new

    __copy__ = copy

    def __or__(self, other):
        return {**self._all(), **other}

    def __ror__(self, other):
        return {**other, **self._all()}

    def __eq__(self, other):
        return self is other or self._all() == other

    __hash__ = None

    def __repr__(self):
        return repr(self._all())

    def __reduce__(self):
        return dict, (self._all(),)


class HostFrame:
    """A frame of the host's program; the class of a frame by its own account."""

    __class__ = property(lambda self: types.FrameType)
    f_lasti = 0
    f_trace = None
    f_trace_lines = True
    f_trace_opcodes = False

    def __init__(self, ask):
        self._ask = ask

    @property
    def f_back(self):
        return _frame(self._ask("back"))

    @property
    def f_code(self):
        code = self.__dict__.get("_code")
        if code is None:
            filename, name, first = self._ask("code")
            changes = {"co_filename": filename, "co_name": name, "co_firstlineno": first}
            if sys.version_info >= (3, 11):
                # No positions (eight times), so that f_lineno is asked for the line.
                changes.update(co_linetable=b"\xff", co_qualname=name)
            code = _pattern.__code__.replace(**changes)
            self.__dict__["_code"] = code
        return code

    @property
    def f_lineno(self):
        return self._ask("line")

    @property
    def f_locals(self):
        return Namespace(self._ask, "globals" if self._ask("is module") else "locals")

    @property
    def f_globals(self):
        return Namespace(self._ask, "globals")

    @property
    def f_builtins(self):
        return builtins.__dict__

    def clear(self):
        raise RuntimeError("cannot clear an executing frame")

    def __eq__(self, other):
        if type(other) is not HostFrame:
            return NotImplemented
        return self._ask("id") == other._ask("id")

    def __hash__(self):
        return hash(self._ask("id"))

    def __repr__(self):
        code = self.f_code
        return "<frame at 0x%x, file %r, line %d, code %s>" % (
            self._ask("id"), code.co_filename, self.f_lineno, code.co_name,
        )  # fmt: skip


def _pattern():
    pass


def _frame(ask):
    return None if ask is None else HostFrame(ask)


def _host(distance):
    """The host's frame that called the guest, or one further out."""
    ask = _state["ask"]
    if ask is None:
        return None
    try:
        return _frame(ask(distance))
    except ReferenceError:  # the host has closed the bridge
        return None


def _getframe(depth=0, /):
    """Return a frame object from the call stack, the host program's included."""
    try:
        return _real_getframe(depth + 1)
    except ValueError:
        frame, count = _real_getframe(1), 0
        while frame is not None:
            frame, count = _real_back(frame), count + 1
        found = _host(depth - count)
        if found is None:
            raise
        return found


def _getframemodulename(depth=0):
    """Return the name of the module for a calling frame, the host program's included."""
    name = _real_modulename(depth + 1)
    if name is None:
        try:
            return _getframe(depth + 1).f_globals.get("__name__")
        except ValueError:
            return None
    return name


def _back(frame):
    """next outer frame object (this frame's caller)"""
    found = _real_back(frame)
    if found is not None or _state["ask"] is None:
        return found
    # The end of this thread's stack, or a frame that does not run.
    running = _real_getframe(1)
    while running is not None and running is not frame:
        running = _real_back(running)
    return None if running is None else _host(0)


def route(ask):
    """`ask`: the host's function."""
    _state["ask"] = ask
    if sys._getframe is _getframe:
        return
    _getframe.__name__ = _getframe.__qualname__ = "_getframe"
    sys._getframe = _getframe
    if _real_modulename is not None:
        sys._getframemodulename = _getframemodulename
    gc.get_referents(types.FrameType.__dict__)[0]["f_back"] = property(_back)
    sys._clear_type_cache()
    # A process that guest code forked must not enter the host.
    os.register_at_fork(after_in_child=lambda: _state.update(ask=None))
