# SPDX-License-Identifier: MIT
"""Faster ways for numpy's objects: what their mirror classes do without a crossing.

    a[i], a[i, j] = x, len(a), for x in a      `_ndarray`: raw loads and stores
    x + y, x < y, -x of numpy.float64          `_scalars`: host arithmetic, objects made late
    np.sqrt(x), scipy.special.jv(1.0, x)       `_ufunc`: the C loop itself

Each settles the plain case, exactly as numpy would, and leaves all others to the method that
the class had before: the guest's.

The methods need numpy's classes, so they are installed once the first of these has been
mirrored.  Converters for one of the classes (`pybridge.converter`) switch all of this off:
they want to see each object.
"""

from __future__ import annotations

from pybridge import _guest, _kinds
from pybridge._handle import makers
from pybridge._metatype import MirrorType
from pybridge._mirror import classified, extensions

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any, Callable

_get = type.__getattribute__


class _Noticed:
    """Stands in the mirror class of a class of numpy's, and says that it has been made."""

    def __set_name__(self, owner: type, name: str) -> None:
        global _seen
        _seen = True


class _Late(_Noticed):
    """Likewise, as the handle of scalars that have none: makes the guest's object."""

    def __init__(self, plain: Callable[[Any], Any]) -> None:
        self._plain = plain
        self._class: Any = None

    def __set_name__(self, owner: type, name: str) -> None:
        super().__set_name__(owner, name)
        self._class = owner

    def __get__(self, x: Any, owner: Any = None) -> Any:
        from pybridge._scalars import make

        return self if x is None else make(x, self._class, self._plain(x))


_seen = False
_busy = False
_installed: list[tuple[Any, str, Any]] = []  # (class, name, what was there or None)
_classes: tuple[Any, ...] | None = None  # ndarray, float64, bool, ufunc; (): no such numpy


def _look() -> None:
    """Called when a guest class has been classified, or got a converter."""
    global _busy
    if not _seen:
        return
    with _kinds.lock:
        if _busy:  # what is asked here may itself classify
            return
        _busy = True
        try:
            if _classes is None:
                _install()
            elif _installed and _converted():
                _remove()
        finally:
            _busy = False


def _converted() -> bool:
    return any(_get(cls, "_pybridge_number") in makers for cls in _classes or ())


def _install() -> None:
    global _classes
    _classes = _guest.call("numpy_classes")
    if not _classes or _converted():
        return
    from pybridge import _ndarray, _scalars, _ufunc

    ndarray, float64, truth, ufunc = _classes
    doubles, longs, array, fields = _guest.call("numpy_facts")
    # Are the classes, and numpy's C structs, what they are in all its versions so far?
    known = issubclass(float64, float) and all(type(c) is MirrorType for c in _classes)
    if not known or _ndarray.fields_of(array._pybridge_handle) != fields:
        return
    ordinary = {name: _get(float64, name) for name in _scalars.NEEDED}
    _add(float64, _scalars.float64_methods(float64, truth, ordinary))
    _add(truth, _scalars.truth_methods(_get(truth, "__bool__")))
    ordinary = {name: _get(ndarray, name) for name in _ndarray.NEEDED}
    _add(ndarray, _ndarray.methods(ndarray, float64, doubles, longs, ordinary))
    _add(ufunc, _ufunc.methods(ufunc, float64))


def _add(cls: Any, methods: dict[str, Any]) -> None:
    own = type.__dict__["__dict__"].__get__(cls)
    for name, method in methods.items():
        _installed.append((cls, name, own.get(name)))
        type.__setattr__(cls, name, method)


def _remove() -> None:
    """Back to the guest's ways; another thread may be in a method that is taken away."""
    while _installed:
        cls, name, before = _installed.pop()
        if name.startswith("_pybridge"):
            continue
        if before is None:
            type.__delattr__(cls, name)
        else:
            type.__setattr__(cls, name, before)


for _name in ("ndarray", "ufunc"):
    extensions["numpy", _name] = {"_pybridge_noticed": _Noticed()}
extensions["numpy", "float64"] = {"_pybridge_handle": _Late(float.__float__)}
for _name in ("bool", "bool_"):  # numpy 2 and 1
    extensions["numpy", _name] = {"_pybridge_handle": _Late(lambda x: x._pybridge_truth)}
classified.append(_look)
