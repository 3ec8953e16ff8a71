# SPDX-License-Identifier: MIT
"""The bridge's Python in the guest: what is easier said in the guest's own language.

Runs in the guest (CPython 3.9 and newer), imports only what every start needs anyway, and
never the host's pybridge.  Each function here is one crossing for the host: it takes and
gives plain values, tuples of them, and guest objects.
"""

import _thread
import sys

# ---- finding classes ------------------------------------------------------------------------


def find(module, name):
    """The object `name` of `module`, imported if need be."""
    import importlib

    return getattr(importlib.import_module(module), name)


def full_name(cls):
    """(module, qualified name) of a class.  One made by exec may have no module."""
    try:
        module = type.__dict__["__module__"].__get__(cls)
    except AttributeError:
        module = None
    name = type.__dict__["__qualname__"].__get__(cls)
    return module if type(module) is str else "?", name


def class_loaded(module, name):
    """(module, name) of a class, by its own account, if its module is imported by now."""
    cls = sys.modules.get(module)
    for part in name.split("."):
        cls = getattr(cls, part, None)
    return full_name(cls) if isinstance(cls, type) else None


def class_named(module, name):
    """Such a class."""
    cls = sys.modules[module]
    for part in name.split("."):
        cls = getattr(cls, part)
    return cls


def genuine(cls):
    """(module, name, is it what its module has under that name) of a class."""
    module, name = full_name(cls)
    # `pathlib._local` and the like: modules that moved
    return module, name, getattr(sys.modules.get(module), name, None) is cls


# ---- callables ------------------------------------------------------------------------------


_MARKS = ("_is_coroutine", "_is_coroutine_marker")


def dress_functions(ask):
    """Give the type of host functions what functions have.  `ask` is a host function: it
    gives an attribute of the host's own object, when somebody wants to know."""
    cls = type(ask)

    def get_signature(self):
        if "__signature__" not in self.__dict__:
            self.__dict__["__signature__"] = _signature(ask(self, "__signature__"))
        return self.__dict__["__signature__"]

    def set_signature(self, signature):
        self.__dict__["__signature__"] = signature

    def get_other(self, name):
        if name in _MARKS:
            if ask(self, name):  # an async function
                import asyncio
                import inspect

                if name == "_is_coroutine":
                    return asyncio.coroutines._is_coroutine
                mark = getattr(inspect, "_is_coroutine_mark", None)
                return mark or inspect._is_coroutine_marker  # 3.12's first ones
            found = None
        else:
            found = ask(self, name)
        if found is None:
            raise AttributeError("host function has no attribute %r" % name)
        return found[0]

    cls.__isabstractmethod__ = False  # asked by each class that one is put into
    cls.__signature__ = property(get_signature, set_signature)
    cls.__getattr__ = get_other
    cls.__repr__ = _function_repr


def dress(function, names):
    """Give the guest's object for one host function its names.  True when scipy's integrators
    have been loaded since the last one."""
    global _quadpack
    function.__dict__.update(names)
    module = sys.modules.get("scipy.integrate._quadpack")
    if module is _quadpack:
        return False
    if module is not None and getattr(module.__spec__, "_initializing", False):
        return False
    _quadpack = module
    return module is not None


_quadpack = None


def _function_repr(self):
    try:
        return "<host function %s at %#x>" % (self.__qualname__, id(self))
    except Exception:
        return "<host callable at %#x>" % id(self)


def _signature(description):
    import inspect

    parameters, back = description
    return inspect.Signature(
        [
            inspect.Parameter(
                name, getattr(inspect.Parameter, kind),
                default=default[0] if default else inspect.Parameter.empty,
                annotation=annotation[0] if annotation else inspect.Parameter.empty,
            )
            for name, kind, default, annotation in parameters
        ],
        return_annotation=back[0] if back else inspect.Signature.empty,
    )  # fmt: skip


# ---- proxies --------------------------------------------------------------------------------


def special(x, name, *args):
    """Call a method of a context manager as `with` does: looked up on the class."""
    cls = type(x)
    for base in cls.__mro__:
        if name in base.__dict__:
            method = base.__dict__[name]
            get = getattr(type(method), "__get__", None)
            return (method if get is None else get(method, x, cls))(*args)
    if sys.version_info < (3, 11):
        raise AttributeError(name)
    raise TypeError("'%s' object does not support the context manager protocol" % cls.__name__)


def class_of(x):
    """The class of `x` as it says itself."""
    return x.__class__


def exit_with(manager, exc):
    """Leave a context manager with an exception, or with none."""
    if exc is None:
        return special(manager, "__exit__", None, None, None)
    return special(manager, "__exit__", type(exc), exc, exc.__traceback__)


def plain(x):
    """The value of an int, float or str subclass as exactly that."""
    for base in (int, float, str):
        if isinstance(x, base):
            return getattr(base, "__%s__" % base.__name__)(x) if base is not str else "".join(x)
    return x


def isinstance_of(x, cls):
    return isinstance(x, cls)


def issubclass_of(sub, cls):
    return issubclass(sub, cls)


def to_complex(x):
    return complex(x)


def to_bytes(x):
    return bytes(x)


def to_path(x):
    import os

    return os.fspath(x)


def ceil(x):
    import math

    return math.ceil(x)


def floor(x):
    import math

    return math.floor(x)


def trunc(x):
    import math

    return math.trunc(x)


def length_hint(x):
    import operator

    hint = operator.length_hint(x, -1)
    return NotImplemented if hint < 0 else hint


def round_to(x, *digits):
    return round(x, *digits)


def format_as(x, spec):
    return format(x, spec)


def reverse(x):
    return reversed(x)


def copy(x):
    import copy

    return copy.copy(x)


def deepcopy(x):
    import copy

    return copy.deepcopy(x)


def names_of(module):
    """The names that `from module import *` gives."""
    names = getattr(module, "__all__", None)
    if names is None:
        return tuple(name for name in vars(module) if not name.startswith("_"))
    return tuple(names)


def safe_iterator(x):
    """May items be fetched ahead?  True for iterators over what cannot change."""
    return type(x) in _SAFE


_SAFE = {type(iter(x)) for x in ((), "", "\u1234", b"", range(0), range(1 << 70))}


# ---- start and exit -------------------------------------------------------------------------


def begin():
    """Right after the start: output is seen in order with the host's, line by line."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.reconfigure(line_buffering=True)
        except (AttributeError, ValueError, OSError):
            pass


def flush():
    """Write out what the guest's streams hold."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, ValueError, OSError):
            pass


def end():
    """At the host's exit: what a CPython does at its own, short of tearing down."""
    threading = sys.modules.get("threading")
    if threading is not None:
        try:
            threading._shutdown()  # waits for threads that are no daemons
        except Exception:
            sys.excepthook(*sys.exc_info())
    import atexit

    atexit._run_exitfuncs()
    flush()
    if "streams" in globals():
        streams.streams_local()  # noqa: F821  # threads that go on must not call the host


# ---- the rest of the bridge's Python --------------------------------------------------------


_loading = _thread.RLock()
# The other files of this folder, each loaded as a module of its own name when it or one of
# these functions is asked for first.
_FILES = {
    "arrays": (
        "array_facts", "array_of", "dress_memory", "lend_array", "lend_capsules",
        "numpy_block", "numpy_copy", "numpy_makes", "record_of",
    ),
    "classes": (
        "describe_class", "find_class", "method_of", "function_of", "bound_method",
        "watched", "layout_probe", "signature_of", "descriptor_get",
        "descriptor_set", "descriptor_delete",
    ),
    "coroutines": (),
    "derived": ("derive_class", "names_of_class", "pending_token", "super_of"),
    "exceptions": (
        "describe_exception", "describe_plainly", "mark_seen", "make_exception", "link_of",
        "exception_class", "number_codes",
    ),
    "hostclasses": ("host_begin", "host_class", "host_meta", "host_special", "host_value"),
    "hostderived": (
        "host_attribute", "host_attribute_delete", "host_attribute_set", "host_bind",
        "host_class_changed", "host_class_restored", "host_invoke",
    ),
    "frames": (),
    "linked": (),
    "native": (
        "native_describe", "native_item", "native_lowlevel", "native_numbers",
        "numpy_classes", "numpy_date", "numpy_date_parts", "numpy_dtype", "numpy_facts",
    ),
    "pickled": (),
    "running": (
        "bindings", "compiled", "evaluate", "find_module", "main_namespace", "namespace_of",
        "run", "run_module", "search_path",
    ),
    "quadpack": ("quadpack_find", "quadpack_use"),
    "prompt": ("prompt_run", "prompt_complete"),
    "source": (),
    "streams": ("streams_use", "streams_local", "streams_remote"),
    "stubs": ("stub_files",),
    "values": (
        "build_datetime", "build_path", "build_time", "build_uuid", "reduce_date",
        "reduce_datetime", "reduce_fraction", "reduce_path", "reduce_text", "reduce_time",
        "reduce_timedelta", "reduce_timezone", "reduce_uuid", "reduce_zoneinfo", "reduced",
        "zone_of",
    ),
    "warned": (),
}  # fmt: skip
own_files = [__file__]  # the bridge's own, whose frames no traceback shows


def __getattr__(name):
    for file, functions in _FILES.items():
        if name == file or name in functions:
            break
    else:
        raise AttributeError(name)
    with _loading:
        if file not in globals():
            globals()[file] = _loaded(file)
        module = globals()[file]
        if name != file:
            globals()[name] = getattr(module, name)
    return globals()[name]


def _loaded(file):
    import os
    from importlib.machinery import SourceFileLoader

    path = os.path.join(os.path.dirname(__file__), file + ".py")
    module = type(sys)("_pybridge_" + file)
    module.__file__ = path
    SourceFileLoader(module.__name__, path).exec_module(module)
    own_files.append(path)
    if hasattr(module, "OWN_FILES"):
        module.OWN_FILES = own_files
    if hasattr(module, "full_name"):
        module.full_name = full_name
    if hasattr(module, "classes"):
        module.classes = __getattr__("hostclasses")
    return module
