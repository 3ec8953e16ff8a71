# SPDX-License-Identifier: MIT
"""Stub files (`.pyi`) of guest modules, from what introspection tells.

Everything public is there with the parameters that `inspect.signature` knows, else with
`*args, **kwargs`; types are those of values and plain builtin annotations, else `Any`.  Enough
for an editor to complete names and parameters, not for a type checker to find errors.
"""

import importlib
import inspect
import keyword
import sys
import types

_PLAIN = (bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset, type(None))
_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, types.MethodType)
_DOC = 300  # characters: the first paragraph is what an editor shows


def stub_files(name):
    """((path below the stub folder, text), ...) for a module and its public submodules."""
    top = importlib.import_module(name)
    found, todo = {}, [top]
    while todo:
        module = todo.pop()
        if module.__name__ in found:
            continue
        below = _submodules(module)
        todo.extend(below.values())
        found[module.__name__] = module, below
    return tuple(
        (_path(module_name, module), _module(module, below))
        for module_name, (module, below) in sorted(found.items())
    )


def _path(name, module):
    path = name.replace(".", "/")
    return path + ("/__init__.pyi" if hasattr(module, "__path__") else ".pyi")


def _submodules(module):
    if not hasattr(module, "__path__"):
        return {}
    return {
        name: x
        for name, x in list(vars(module).items())
        if isinstance(x, types.ModuleType)
        and not name.startswith("_")
        and x.__name__ == "%s.%s" % (module.__name__, name)
        and sys.modules.get(x.__name__) is x
    }


def _name_is_good(name):
    return name.isidentifier() and not keyword.iskeyword(name)


def _is_public(name):
    return _name_is_good(name) and (not name.startswith("_") or name == "__version__")


def _module(module, below):
    lines = _docstring(module, "")
    lines += ["from types import ModuleType", "from typing import Any", ""]
    names = [n for n in dir(module) if _is_public(n)]
    listed = getattr(module, "__all__", None)
    if listed is not None:
        names += [n for n in listed if type(n) is str and n not in names and _name_is_good(n)]
    for name in names:
        try:
            value = getattr(module, name)
        except Exception:
            continue
        if name in below:
            lines.append("from . import %s as %s" % (name, name))
        else:
            lines += _member(name, value, "", module)
    return "\n".join(lines) + "\n"


def _member(name, value, indent, module):
    if isinstance(value, types.ModuleType):
        return ["%s%s: ModuleType" % (indent, name)]
    if isinstance(value, type):
        if not indent and _is_here(value, name, module):
            return _class(name, value, module)
        return ["%s%s: type[Any]" % (indent, name)]
    if isinstance(value, _FUNCTIONS) or (callable(value) and not indent):
        return _function(name, value, indent, "")
    return ["%s%s: %s" % (indent, name, _type_name(type(value)))]


def _is_here(cls, name, module):
    """Is it this module's to define?  One that is only imported from elsewhere is not."""
    home = cls.__module__ or ""
    package = module.__name__.partition(".")[0]
    return cls.__name__ == name and home.partition(".")[0].lstrip("_") == package.lstrip("_")


def _class(name, cls, module):
    bases = [
        b.__name__ for b in cls.__bases__ if b.__module__ == "builtins" and b is not object
    ]
    lines = ["class %s%s:" % (name, "(%s)" % ", ".join(bases) if bases else "")]
    lines += _docstring(cls, "    ")
    seen = {}
    for base in reversed(cls.__mro__):
        if base.__module__ != "builtins":
            seen.update(vars(base))
    if not any(b.__module__ == "builtins" for b in cls.__bases__ if b is not object):
        lines += _function("__init__", cls, "    ", "self")
    for member in sorted(seen):
        if not _is_public(member) or member == "__version__":
            continue
        lines += _class_member(member, seen[member], cls)
    lines.append("    def __getattr__(self, name: str) -> Any: ...")
    return lines


def _class_member(name, raw, cls):
    if isinstance(raw, (staticmethod, classmethod)):
        kind = type(raw).__name__
        first = "" if kind == "staticmethod" else "cls"
        return ["    @" + kind, *_function(name, raw.__func__, "    ", first, bool(first))]
    if isinstance(raw, (types.FunctionType, types.MethodDescriptorType)) or (
        callable(raw) and inspect.isroutine(raw)
    ):
        return _function(name, raw, "    ", "self", True)
    if isinstance(raw, property) or inspect.isdatadescriptor(raw):
        return [
            "    @property",
            "    def %s(self) -> Any: ..." % name,
        ]
    if isinstance(raw, type):
        return ["    %s: type[Any]" % name]
    return ["    %s: %s" % (name, _type_name(type(raw)))]


def _function(name, function, indent, first, drop=False):
    """`first`: self, cls or nothing; `drop`: the signature has it as its own first one."""
    parameters, back = _signature(function, first, drop)
    head = "%sdef %s(%s) -> %s:" % (indent, name, parameters, back)
    doc = _docstring(function, indent + "    ")
    return [head, *doc, indent + "    ..."] if doc else [head + " ..."]


def _signature(function, first, drop):
    anything = ", ".join(([first] if first else []) + ["*args: Any", "**kwargs: Any"])
    try:
        signature = inspect.signature(function)
        parameters = list(signature.parameters.values())
    except Exception:
        return anything, "Any"
    if drop and parameters:
        if parameters[0].kind in (
            parameters[0].POSITIONAL_ONLY,
            parameters[0].POSITIONAL_OR_KEYWORD,
        ):
            parameters = parameters[1:]
    if not all(_name_is_good(p.name) for p in parameters):
        return anything, "Any"
    shown, slash, star = [first] if first else [], False, False
    for p in parameters:
        if slash and p.kind is not p.POSITIONAL_ONLY:
            shown.append("/")
            slash = False
        if p.kind is p.KEYWORD_ONLY and not star:
            shown.append("*")
            star = True
        star = star or p.kind is p.VAR_POSITIONAL
        slash = p.kind is p.POSITIONAL_ONLY
        mark = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        default = "" if p.default is p.empty else " = ..."
        shown.append("%s%s: %s%s" % (mark, p.name, _annotation(p.annotation), default))
    if slash:
        shown.append("/")
    return ", ".join(shown), _annotation(signature.return_annotation)


def _annotation(x):
    if isinstance(x, str):
        named = {t.__name__: t for t in _PLAIN[:-1]}.get(x)
        return x if named is not None else ("None" if x == "None" else "Any")
    return _type_name(x) if isinstance(x, type) or x is None else "Any"


def _type_name(cls):
    if cls is None or cls is type(None):
        return "None"
    return cls.__name__ if cls in _PLAIN else "Any"


def _docstring(x, indent):
    try:
        doc = inspect.getdoc(x)
    except Exception:
        doc = None
    if not isinstance(doc, str) or not doc.strip():
        return []
    text = doc.strip().partition("\n\n")[0][:_DOC]
    text = text.replace("\\", "\\\\").replace('"""', "'''").replace("\0", "")
    lines = [line.rstrip() for line in text.splitlines()]
    if lines[-1].endswith('"'):
        lines[-1] += " "
    lines[-1] += '"""'
    lines[0] = '"""' + lines[0]
    return [indent + line if line else "" for line in lines]
