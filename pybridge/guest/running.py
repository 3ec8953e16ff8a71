# SPDX-License-Identifier: MIT
"""The bridge's Python in the guest: source as text, namespaces, finding modules."""

import sys


def run(code, namespace):
    """Execute a code object."""
    exec(code, namespace)


def evaluate(code, namespace):
    """Evaluate a code object."""
    return eval(code, namespace)


_sources = []
_MOST_SOURCES = 4096


def compiled(filename, source, mode):
    """A code object for text without a file, whose lines tracebacks show all the same; those
    of the newest ones."""
    import linecache

    _sources.append(filename)
    if len(_sources) > _MOST_SOURCES:
        linecache.cache.pop(_sources.pop(0), None)
    lines = source.splitlines(True)
    linecache.cache[filename] = (len(source), None, lines, filename)
    return compile(source, filename, mode, 0, True)


def main_namespace():
    import __main__

    return __main__.__dict__


def namespace_of(names):
    """A guest namespace that begins with `names`, a plain dict; and what it begins with."""
    names = dict(names)
    names.setdefault("__builtins__", __builtins__)
    names.setdefault("__name__", "__main__")
    return names, list(names.items())


def bindings(space, before):
    """The names that were bound since, with their values, and those that were deleted."""
    before = dict(before)
    bound = tuple(
        (k, v)
        for k, v in space.items()
        if type(k) is str and k != "__builtins__" and not (k in before and before[k] is v)
    )
    return bound, tuple(k for k in before if k not in space)


def search_path():
    return tuple(str(p) for p in sys.path)


def run_module(name, argv):
    """Run one of our modules as the program."""
    import runpy

    sys.argv[:] = argv
    runpy._run_module_as_main(name)


# ---- finding modules for the host's import ------------------------------------------------


def find_module(name, top):
    """(where a module is, where its submodules are), or None.  The first is "" when it has no
    file, the second None for what is no package.  A top-level one counts only outside the
    standard library."""
    import importlib.util
    import os

    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None:
        return None
    inside = spec.submodule_search_locations
    below = None if inside is None else tuple(p for p in inside if type(p) is str)
    places = [spec.origin] if spec.has_location else list(below or ())
    found = (spec.origin or "") if spec.has_location else "", below
    if not top:
        return found
    if not places or not places[0]:
        return None  # built in or frozen
    library = os.path.realpath(os.path.dirname(os.__file__)) + os.sep
    for place in places:
        if (
            not os.path.realpath(place).startswith(library)
            or "site-packages" in place
            or "dist-packages" in place
        ):
            return found
    return None
