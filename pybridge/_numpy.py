# SPDX-License-Identifier: MIT
"""Faster ways for numpy's objects: what their mirror classes do without a crossing.

    a[i], a[i, j] = x, len(a), for x in a      `_ndarray`: raw loads and stores
    a.shape, a.ndim, a.size                    `_shapes`: read where numpy has them
    x + y, x < y, -x of numpy.float64          `_scalars`: host arithmetic, objects made late
    the same of numpy.int32 and so on          `_numbers`
    a[i] of complex numbers, text, dates       `_otherkinds`
    a[i]["price"] of records                   `_void`
    np.sqrt(x), scipy.special.jv(1.0, x)       `_ufunc`: the C loop itself
    a.tolist()                                 `_bulk`: numbers in one piece

Each settles the plain case, exactly as numpy would, and leaves all others to the method that
the class had before: the guest's.

The methods need numpy's classes, so they are installed once the first of these has been
mirrored.  Converters for one of the classes (`pybridge.converter`) switch all of this off:
they want to see each object.
"""

from __future__ import annotations

from pybridge import _guest, _kinds, _methods
from pybridge._core import lib
from pybridge._dtypes import INTEGERS
from pybridge._handle import makers
from pybridge._host import replace_attributes
from pybridge._hostbuffer import Exports
from pybridge._locks import locked
from pybridge._metatype import MirrorType
from pybridge._mirror import classified
from pybridge._mirrorclass import extensions
from pybridge._otherkinds import NAMES as OTHERS
from pybridge._otherkinds import make_date
from pybridge._repeated import METHODS as REPEATED
from pybridge._tags import VALUE
from pybridge._take import decoders, late

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

    def __init__(self, make: Callable[[Any, Any], int]) -> None:
        self._make = make
        self._class: Any = None

    def __set_name__(self, owner: type, name: str) -> None:
        super().__set_name__(owner, name)
        self._class = owner

    def __get__(self, x: Any, owner: Any = None) -> Any:
        return self if x is None else self._make(x, self._class)


def _late(plain: Callable[[Any], Any]) -> _Late:
    """The guest's object is its class called with a plain value."""

    def make(x: Any, cls: Any) -> int:
        from pybridge import _scalars

        return _scalars.make(x, cls, plain(x))

    return _Late(make)


def _make_row(x: Any, cls: Any) -> int:
    from pybridge import _void

    return _void.make_row(x, _ordinary_read)


def _make_record(x: Any, cls: Any) -> int:
    from pybridge import _void

    return _void.make_record(x, _ordinary_read)


_seen = False
_busy = False
_installed: list[tuple[Any, str, Any]] = []  # (class, name, what was there or None)
_undo: list[Callable[[], None]] = []
_numbers_used = False
_ordinary_read: Any = None  # ndarray.__getitem__ by a crossing
_classes: dict[str, Any] | None = None  # by name; {}: no such numpy
_NO_INDEX = (
    "bool", "bool_", "float64", "float32", "float16", "longdouble", "float128", "complex64",
    "complex128", "clongdouble", "complex256", "timedelta64",
)  # fmt: skip
_NUMBERS = (*_NO_INDEX, *INTEGERS, "longlong", "ulonglong")
_NAMES = (
    "ndarray", "ufunc", "void", "bytes_", "truth", "float64", "float32", *INTEGERS, *OTHERS,
)  # fmt: skip


def _look() -> None:
    """Called when a guest class has been classified, or got a converter."""
    global _busy
    if not _seen:
        return
    with locked(_kinds.lock):
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
    return any(_get(cls, "_pybridge_number") in makers for cls in (_classes or {}).values())


def _install() -> None:
    global _classes, _ordinary_read
    found = _guest.call("numpy_classes")
    _classes = None if found is None else dict(zip(_NAMES, found))
    if not _classes or _converted():
        return
    from pybridge import (
        _bulk,
        _constructed,
        _dtypes,
        _hostcsv,
        _hostnumpy,
        _ndarray,
        _otherkinds,
        _scalars,
        _shapes,
        _ufunc,
        _void,
    )

    c = _classes
    dtypes, array, fields, samples, weak, results = _guest.call("numpy_facts")
    # Are the classes, and numpy's C structs, what they are in all its versions so far?
    known = issubclass(c["float64"], float) and all(type(x) is MirrorType for x in c.values())
    if not known or _ndarray.fields_of(array._pybridge_handle) != fields:
        return
    classes = {name: c[name] for name in _NAMES[3:]}
    _add_numbers(classes, samples, weak, results)
    _add(c["float64"], _scalars.float64_methods(classes, _had(c["float64"], _scalars.NEEDED)))
    _shorten(c["float64"], "item", float.__float__)
    _add(c["float64"], {_constructed.NAME: _constructed.float64_maker(classes)})
    _add(c["truth"], {_constructed.NAME: _constructed.truth_maker(classes)})
    truth, text, void, ndarray = c["truth"], c["bytes_"], c["void"], c["ndarray"]
    had = _had(truth, _scalars.NEEDED_TRUTH)
    _add(truth, _scalars.truth_methods(truth, classes, lambda: _use_numbers(classes), had))
    _shorten(truth, "item", bool)
    for own, base in ((text, bytes), (c["str_"], str)):
        _add(own, _scalars.text_methods(own, base, _had(own, _scalars.NEEDED_TEXT)))
    for name in ("datetime64", "timedelta64"):
        had = _had(c[name], _otherkinds.NEEDED_DATE)
        _add(c[name], _otherkinds.date_methods(classes, had))
    had = _had(c["complex128"], _otherkinds.NEEDED_COMPLEX)
    cls = c["complex128"]
    _add(cls, _otherkinds.complex_methods(cls, c["float64"], truth, had))
    kinds = _dtypes.Kinds(
        classes,
        {descr: name for name, descr in dtypes},
        lambda a: _guest.call("numpy_dtype", a),
        lambda: _use_numbers(classes),
    )
    methods = _void.methods(void, _had(void, _void.NEEDED))
    record = methods.pop("record")
    _add(void, methods)
    ordinary = _had(ndarray, _ndarray.NEEDED)
    _ordinary_read = ordinary["__getitem__"]
    classes["ndarray"] = ndarray
    doubles = dict(dtypes)["float64"]
    _add(ndarray, _ndarray.methods(classes, kinds, record, doubles, ordinary))
    attribute = _get(ndarray, "__getattr__")
    _add(ndarray, _shapes.methods(ndarray, attribute))
    _add(ndarray, _hostnumpy.methods(attribute))
    _shorten(ndarray, "tolist", _bulk.lister(dtypes))
    _add(c["ufunc"], _ufunc.methods(c["ufunc"], c["float64"]))
    number = _get(c["float64"], "_pybridge_number")
    decoders[number] = late.float_made = _scalars.maker(c["float64"])
    late.float_word = VALUE | number << 8
    lib.pb_late_float_set(c["float64"]._pybridge_handle)
    late.float_class, late.int_class = c["float64"], classes.get("int64")
    _hostcsv.install()


def _had(cls: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """The methods of a mirror class so far."""
    return {name: _get(cls, name) for name in names}


def _add_numbers(
    classes: dict[str, Any], samples: Any, weak: bool, results: tuple[tuple[str, str, str], ...]
) -> None:
    """Numbers whose memory is not as expected are left out of `classes`."""
    from pybridge import _numbers

    for name, sample in zip(("float32", *INTEGERS), samples):
        value = _numbers.Value("float" if name == "float32" else INTEGERS[name][0])
        if value.__get__(sample) != 77:
            del classes[name]
    for name in INTEGERS:
        if name in classes:
            found = {b: classes.get(c) for a, b, c in results if a == name and c in INTEGERS}
            found["truth"] = classes[name]
            _add(classes[name], _numbers.constants(name, found))
    if "float32" in classes:
        _add(classes["float32"], _numbers.float32_constants(weak))


def _use_numbers(classes: dict[str, Any]) -> None:
    """Before the first late number: what it does without a crossing."""
    global _numbers_used
    from pybridge import _constructed, _numbers

    with locked(_kinds.lock):
        names = [name for name in INTEGERS if name in classes]
        if not _installed or _numbers_used:
            return
        _numbers_used = True
        # The special methods of a mirror class are the same functions for all.
        had = _had(classes[names[0]], _numbers.NEEDED)
        methods = _numbers.integer_methods(classes, had)
        for name in names:
            cls, make = classes[name], _constructed.integer_maker(classes, name)
            _add(cls, {**methods, _constructed.NAME: make})
            _shorten(cls, "item", _plain)
        if "float32" in classes:
            cls = classes["float32"]
            ordinary = _had(cls, _numbers.NEEDED_FLOAT32)
            make = _constructed.float32_maker(classes)
            _add(cls, {**_numbers.float32_methods(classes, ordinary), _constructed.NAME: make})
            _shorten(cls, "item", _plain)


def _shorten(cls: Any, name: str, quick: Any) -> None:
    _undo.append(_methods.shorten(cls, name, quick))


def _add(cls: Any, methods: dict[str, Any]) -> None:
    own = type.__dict__["__dict__"].__get__(cls)
    _installed.extend((cls, name, own.get(name)) for name in methods)
    replace_attributes(cls, methods)


def _remove() -> None:
    """Back to the guest's ways; another thread may be in a method that is taken away."""
    late.float_class = late.int_class = None
    lib.pb_late_float_set(0)
    while _undo:
        _undo.pop()()
    while _installed:
        cls, name, before = _installed.pop()
        if name.startswith("_pybridge") and name != "_pybridge_make":
            continue
        if before is None:
            type.__delattr__(cls, name)
        else:
            type.__setattr__(cls, name, before)


def _plain(x: Any) -> Any:
    return x._pybridge_plain


extensions["numpy", "ufunc"] = {"_pybridge_noticed": _Noticed()}
extensions["numpy", "ndarray"] = {"_pybridge_handle": _Late(_make_row)}
extensions["numpy", "float64"] = {"_pybridge_handle": _late(float.__float__)}
extensions["numpy", "bytes_"] = {"_pybridge_handle": _late(lambda x: bytes.__add__(x, b""))}
extensions["numpy", "void"] = {"_pybridge_handle": _Late(_make_record)}
for _name in ("bool", "bool_"):  # numpy 2 and 1
    extensions["numpy", _name] = {"_pybridge_handle": _late(lambda x: x._pybridge_truth)}
extensions["numpy", "str_"] = {"_pybridge_handle": _late(str.__str__)}
extensions["numpy", "complex128"] = {"_pybridge_handle": _late(complex.__pos__)}
for _name in ("datetime64", "timedelta64"):
    extensions["numpy", _name] = {"_pybridge_handle": _Late(make_date)}
for _name in ("float32", "float16", "complex64", *INTEGERS):
    extensions["numpy", _name] = {"_pybridge_handle": _late(_plain)}
for _name in _NUMBERS:
    extensions.setdefault(("numpy", _name), {}).update(REPEATED)
for _name in (*_NO_INDEX, "datetime64"):
    # `bytes(x)`: their memory; of an integer it is that many zeros.
    extensions.setdefault(("numpy", _name), {})["__bytes__"] = Exports.__bytes__
classified.append(_look)
