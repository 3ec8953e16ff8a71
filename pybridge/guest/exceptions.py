# SPDX-License-Identifier: MIT
"""The bridge's Python in the guest: exceptions, taken apart for the host and made for it.

Loaded by support.py when the first of its functions is asked for.
"""

full_name = None  # support.py puts its function here
OWN_FILES = []  # and the bridge's own files, whose frames no traceback shows

_ATTRIBUTES = {
    OSError: ("errno", "strerror", "filename", "filename2"),
    ImportError: ("msg", "name", "path"),
    SyntaxError: ("msg", "filename", "lineno", "offset", "text", "print_file_and_line",
                  "end_lineno", "end_offset"),
    UnicodeError: ("encoding", "object", "start", "end", "reason"),
    StopIteration: ("value",),
    SystemExit: ("code",),
    AttributeError: ("name", "obj"),
    NameError: ("name",),
}  # fmt: skip

_HOST = "__pybridge_host__"
_SEEN = "__pybridge_seen__"
_TEXT = "__pybridge_text__"
_NOT_ATTRIBUTES = (_HOST, _SEEN, _TEXT, "__notes__")


def describe_exception(exc):
    """All that the host needs to raise the same: see _Described in pybridge/_raised.py."""
    space = exc.__dict__
    seen = space.get(_SEEN)
    # The host's object for an exception of ours was left here when the host threw it back.
    host = space.get(_HOST) if seen is None else space.pop(_HOST, None)
    if host is not None:
        frames = _frames(exc.__traceback__, seen)
        notes = tuple(getattr(exc, "__notes__", None) or ())  # that guest code has added
        return (
            host, seen is not None, (), (), (), frames, _address(exc.__cause__),
            _address(exc.__context__), exc.__suppress_context__, notes, None, None, False,
        )  # fmt: skip
    members = tuple(exc.exceptions) if _GROUP and isinstance(exc, _GROUP) else None
    attributes = []
    for base, names in _ATTRIBUTES.items():
        if isinstance(exc, base):
            attributes.extend((n, getattr(exc, n)) for n in names if hasattr(exc, n))
    for name, value in list(space.items()):
        if type(name) is str and name not in _NOT_ATTRIBUTES:
            attributes.append((name, value))
    text = space.get(_TEXT)
    if text is None and (type(exc).__str__ not in _BUILTIN_STR or members is not None):
        try:
            text = str(exc)
        except Exception as error:
            text = "<the guest's __str__ of this %s raised %s>" % (
                type(exc).__name__, type(error).__name__)  # fmt: skip
        if type(text) is not str:
            text = str.__str__(text)
    cause, context = _address(exc.__cause__), _address(exc.__context__)
    return (
        host, seen is not None, type(exc), tuple(exc.args), tuple(attributes),
        _frames(exc.__traceback__, seen), cause, context, exc.__suppress_context__,
        tuple(getattr(exc, "__notes__", None) or ()), text,
        None if members is None else len(members), _is_plain(type(exc)),
    )  # fmt: skip


def describe_plainly(exc):
    """Likewise for an exception whose own code got in the way: nothing of it runs."""
    cls = type(exc)
    mro = [base for base in cls.__mro__ if issubclass(base, BaseException)]
    bases = type.__dict__["__bases__"].__get__
    classes = tuple(
        (*full_name(base), tuple(i for i, b in enumerate(mro) if b in bases(base)))
        for base in mro
    )
    space = BaseException.__dict__
    args = object.__getattribute__(exc, "args")
    plain = (int, float, str, bytes, bool, type(None))
    return (
        None, False, classes,
        tuple(a if type(a) in plain else "<%s object>" % type(a).__name__ for a in args), (),
        _frames(space["__traceback__"].__get__(exc), None),
        _address(space["__cause__"].__get__(exc)), _address(space["__context__"].__get__(exc)),
        object.__getattribute__(exc, "__suppress_context__"), (), None, None, False,
    )  # fmt: skip


def _is_plain(cls):
    """Are the exceptions of this class what their memory says?"""
    for base in cls.__mro__:
        if base.__module__ == "builtins":
            return True
        if not _MEANT.isdisjoint(vars(base)):
            return False
    return True


_MEANT = {"args", "__dict__", "__getattribute__", "__cause__", "__context__", "__traceback__"}


def _address(exc):
    return 0 if exc is None else id(exc)


def link_of(exc, name):
    """An exception that another is linked to."""
    if type(name) is int:
        return exc.exceptions[name]
    return BaseException.__dict__[name].__get__(exc)


_GROUP = getattr(__import__("builtins"), "BaseExceptionGroup", None)
_BUILTIN_STR = {
    vars(cls)["__str__"]
    for cls in vars(__import__("builtins")).values()
    if isinstance(cls, type) and issubclass(cls, BaseException) and "__str__" in vars(cls)
}

_MOST_FRAMES = 1000
_code_number = None  # the core's function: csrc/raised.c


def number_codes(function):
    """Take the core's function for the numbers of code objects."""
    global _code_number
    _code_number = function


_files = {}


def _in_file(filename):
    """Is there such a file, which the host can read as well?  Asked once."""
    found = _files.get(filename)
    if found is None:
        import os

        found = _files[filename] = os.path.isfile(filename)
    return found


def _frames(traceback, seen):
    """(file, line number, name, source line if it is in no file, first line of the function,
    its code's number or 0, the instruction), from the outermost to the innermost, without
    those that the host has shown already: from node `seen` on."""
    import linecache

    frames = []
    while traceback is not None and traceback is not seen and len(frames) < _MOST_FRAMES:
        frame = traceback.tb_frame
        code = frame.f_code
        filename = code.co_filename
        if filename not in OWN_FILES:
            line = ""
            if not _in_file(filename):
                linecache.checkcache(filename)
                line = linecache.getline(filename, traceback.tb_lineno, frame.f_globals)
            frames.append(
                (filename, traceback.tb_lineno or 0, code.co_name, line, code.co_firstlineno,
                 _code_number(code), traceback.tb_lasti)
            )  # fmt: skip
        traceback = traceback.tb_next
    return tuple(frames)


def mark_seen(exc, host=None):
    """The exception goes back into guest code: the host has its frames so far.

    `host`: its object there, if the host lets go of it.
    """
    space = BaseException.__dict__["__dict__"].__get__(exc)  # past what its class may do
    space[_SEEN] = BaseException.__dict__["__traceback__"].__get__(exc) or _NO_FRAMES
    if host is not None:
        space[_HOST] = host
    return exc


_NO_FRAMES = object()
_classes = {}


def exception_class(described):
    """The guest's class for a host MRO: (module, name, positions of the bases, the guest class
    if it is one of the guest's own) each."""
    import builtins

    made = {}
    for i in range(len(described) - 1, -1, -1):
        module, name, bases, own = described[i]
        if own is not None:
            made[i] = own
            continue
        home = builtins if module == "builtins" else _library_module(module)
        cls = getattr(home, name, None)
        if cls is None and module.startswith("_"):
            cls = getattr(_library_module(module[1:]), name, None)
        if not (isinstance(cls, type) and issubclass(cls, BaseException)):
            found = tuple(made[j] for j in bases) or (Exception,)
            key = (module, name, found)
            cls = _classes.get(key)
            if cls is None:
                cls = _classes[key] = _class_make(module, name, found)
        made[i] = cls
    return made[0]


def _library_module(name):
    """A module of the standard library, if it is loaded."""
    import os
    import sys

    module = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    if file is None:
        return module if name in sys.builtin_module_names else None
    home = os.path.dirname(os.__file__) + os.sep
    return module if file.startswith(home) and "site-packages" not in file else None


def _class_make(module, name, bases):
    space = {"__module__": module, "__qualname__": name, "__str__": _text}
    short = name.rpartition(".")[2]
    try:
        return type(short, bases, space)
    except TypeError:
        return type(short, bases[:1], space)


def _text(self):
    """What the host's __str__ said, if it has one of its own."""
    text = self.__dict__.get(_TEXT)
    if text is not None:
        return text
    for cls in type(self).__mro__:
        function = vars(cls).get("__str__")
        if function is not None and function is not _text:
            return function(self)
    return ""


def make_exception(host, classes, args, attributes, text):
    """A guest exception for a host one."""
    cls = exception_class(classes)
    try:
        exc = cls(*args)
    except Exception:
        try:
            exc = cls.__new__(cls)
            exc.args = args
        except Exception:
            exc = Exception(*args)
    for name, value in attributes:
        try:
            setattr(exc, name, value)
        except Exception:
            pass
    if text is not None:
        exc.__dict__[_TEXT] = text
    exc.__dict__[_HOST] = host
    return exc
