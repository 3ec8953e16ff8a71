# SPDX-License-Identifier: MIT
"""The bridge's Python in the guest: functions and classes made of the host's source text.

Two steps, because the host must know which names the text uses before it can give their
values: `draft` compiles, `finish` runs.  A host module's guest code shares one namespace, that
of a module of the same name here (for `__main__` the guest's own), so that its functions find
each other.  That module is not in sys.modules, where it could hide a real one; `_Finder`
gives it to whoever imports the name and finds nothing else: pickle does.
"""

import ast
import sys

_MAKER = "__pybridge_maker__"
_MADE = "__pybridge_made__"


class Draft:
    """`code`: makes the object, given values for `free`; `names`: global names that the text
    reads; `rebound`: those of `free` that it assigns."""

    def __init__(self, name, module, filename, future, free, nodes):
        self.name, self.module, self.free = name, module, free
        maker = ast.parse("def %s(%s):\n    pass" % (_MAKER, ", ".join(free)))
        maker.body[0].body = nodes
        # What gives an instruction of the maker's own its line is the text's first line.
        for node in ast.walk(maker):
            if hasattr(node, "lineno") and getattr(node, "lineno", 0) == 1:
                node.lineno = node.end_lineno = nodes[0].lineno
        ast.fix_missing_locations(maker)
        flags = __import__("__future__").annotations.compiler_flag if future else 0
        self.code = compile(maker, filename, "exec", flags, True)
        self.names, self.rebound = _symbols(maker, free)


def draft(text, filename, first, kind, kept, free, module, future):
    """(Draft, its global names, names of `free` that it rebinds, its annotations as text).

    `text`: lines of a file from line `first` on, as they stand there; `kind`: "def", "class"
    or "lambda"; `kept`: the positions of the decorators that are part of it.
    """
    indented = text[:1] in " \t"
    shift = first - 1
    if kind == "lambda":
        tree = ast.parse("(" + text + "\n)", filename, "eval")
        node = tree.body
        made = ast.parse("%s = 0" % _MADE).body[0]
        made.value = node
        nodes, name = [made], _MADE
    else:
        if indented:
            text = "if 1:\n" + text
            shift -= 1
        node = ast.parse(text, filename).body[0]
        if indented:
            node = node.body[0]
            text = text[6:]
        nodes, name = [node], node.name
        node.decorator_list = [d for i, d in enumerate(node.decorator_list) if i in kept]
    ast.increment_lineno(node, shift)
    if kind == "lambda":
        ast.copy_location(nodes[0], node)
        ast.copy_location(nodes[0].targets[0], node)
    annotations = {}
    if kind != "class":
        _without_values(node, annotations)
    last = ast.parse("return %s" % name).body[0]
    for part in ast.walk(last):
        part.lineno = part.end_lineno = node.lineno
    _show(filename, first, text)
    made = Draft(name, module, filename, future, free, [*nodes, last])
    return made, tuple(made.names), tuple(made.rebound), annotations


def _without_values(node, annotations):
    """Defaults and annotations come from the host, as they are there by now."""
    arguments = node.args
    arguments.defaults = [
        ast.copy_location(ast.Constant(None), default) for default in arguments.defaults
    ]
    arguments.kw_defaults = [
        None if default is None else ast.copy_location(ast.Constant(None), default)
        for default in arguments.kw_defaults
    ]
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every.extend(a for a in (arguments.vararg, arguments.kwarg) if a is not None)
    for argument in every:
        if argument.annotation is not None:
            annotations[argument.arg] = ast.unparse(argument.annotation)
            argument.annotation = None
    if getattr(node, "returns", None) is not None:
        annotations["return"] = ast.unparse(node.returns)
        node.returns = None


def _symbols(maker, free):
    """The global names that are read, and those of `free` that are assigned."""
    import symtable

    table = symtable.symtable(ast.unparse(maker), "<names>", "exec")
    read, rebound = {}, {}
    mine = table.get_children()[0]
    tables = [mine]
    while tables:
        inner = tables.pop()
        tables.extend(inner.get_children())
        for symbol in inner.get_symbols():
            name = symbol.get_name()
            if symbol.is_global() and (symbol.is_referenced() or inner is mine):
                read[name] = None
            if inner is not mine and name in free and symbol.is_free() and _assigned(symbol):
                rebound[name] = None
    return read, rebound


def _assigned(symbol):
    return symbol.is_assigned() or getattr(symbol, "is_nonlocal", lambda: False)()


def _show(filename, first, text):
    """Let tracebacks show the lines of what is in no file."""
    import linecache

    if linecache.getlines(filename) and filename not in _shown:
        return
    _shown.add(filename)
    known = linecache.cache.get(filename)
    lines = list(known[2]) if known is not None and len(known) == 4 else []
    more = text.splitlines(True)
    lines.extend(["\n"] * (first - 1 + len(more) - len(lines)))
    lines[first - 1 : first - 1 + len(more)] = more
    linecache.cache[filename] = (sum(map(len, lines)), None, lines, filename)


_shown = set()


def finish(made, file, values, cells, attributes):
    """The function or class.

    `values`: global names to bind first; `cells`: values for `free`, () for the object
    itself; `attributes`: what the host's function has beside its code, None for a class.
    """
    space = _space(made.module, file)
    space.update(values)
    # Run apart: the maker's name is nobody's business.
    local = {}
    exec(made.code, space, local)
    maker = local[_MAKER]
    own = [name for name, cell in zip(made.free, cells) if cell == ()]
    x = maker(*[cell[0] if cell else None for cell in cells])
    plain = _function_in(x)
    if plain is not None:
        for name in own:
            _cell_of(plain, name).cell_contents = x
    if attributes is None:
        qualname = _class_names(x, made)
    else:
        qualname = attributes["__qualname__"]
        for part in {id(p): p for p in (plain, x) if p is not None}.values():
            _dress(part, attributes, part is plain)
    if "." not in qualname and qualname.isidentifier():
        space[qualname] = x
    return x


def _function_in(x):
    """The function that the text made: below the decorators that were kept."""
    for _ in range(100):
        if type(x) is type(_function_in):
            return x
        x = getattr(x, "__wrapped__", None)
    return None


def _cell_of(function, name):
    return function.__closure__[function.__code__.co_freevars.index(name)]


def _dress(x, attributes, plain):
    for name, value in attributes.items():
        if not plain and name in ("__defaults__", "__kwdefaults__"):
            continue
        try:
            setattr(x, name, value)
        except (AttributeError, TypeError):
            pass
    if plain:
        code = x.__code__
        changed = {"co_name": attributes["__name__"]}
        if hasattr(code, "co_qualname"):
            changed["co_qualname"] = attributes["__qualname__"]
        x.__code__ = code.replace(**changed)


def _class_names(cls, made):
    """Names as of a class at the top level of its module; its methods' likewise."""
    before = "%s.<locals>." % _MAKER
    todo = [cls]
    while todo:
        x = todo.pop()
        name = getattr(x, "__qualname__", None)
        if type(name) is str and name.startswith(before):
            x.__qualname__ = name[len(before) :]
            if isinstance(x, type):
                for part in vars(x).values():
                    part = getattr(part, "__func__", part)
                    todo.extend([part, *[getattr(part, n, None) for n in ("fget", "fset")]])
    return cls.__name__


# ---- namespaces -----------------------------------------------------------------------------

_modules = {}
_CLOUDPICKLE = "cloudpickle.cloudpickle"  # joblib has a copy below a package of its own


def _space(name, file):
    if name == "__main__":
        return sys.modules["__main__"].__dict__
    if name not in _modules:
        module = _modules[name] = type(sys)(name)
        module.__builtins__ = __builtins__
        if file is not None:
            module.__file__ = file
        if not _has_its_own(name, file):
            sys.modules[name] = module
        if not any(type(finder) is _Finder for finder in sys.meta_path):
            sys.meta_path.insert(0, _Finder())
        for other, pickler in list(sys.modules.items()):
            if other.endswith(_CLOUDPICKLE):
                _by_value(pickler)
    return _modules[name].__dict__


def _has_its_own(name, file):
    """Does the guest have another module of this name?"""
    import importlib.util
    import os

    if name in sys.modules:
        return True
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return False
    if spec is None:
        return False
    return not (
        file and spec.origin and os.path.realpath(file) == os.path.realpath(spec.origin)
    )


def _by_value(pickler):
    """Other processes cannot import our modules: cloudpickle shall pickle what is in them."""
    for name, module in _modules.items():
        if sys.modules.get(name) is module:
            pickler.register_pickle_by_value(module)


class _Finder:
    """Notices when cloudpickle is imported."""

    _busy = False

    def find_spec(self, name, path=None, target=None):
        if self._busy or not name.endswith(_CLOUDPICKLE):
            return None
        import importlib.util

        self._busy = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._busy = False
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def exec_module(module):
                run(module)
                _by_value(module)

            spec.loader.exec_module = exec_module
        return spec


def find_same(module, qualname):
    """(The guest's object of this name,), or () where its library has none."""
    import importlib

    try:
        x = importlib.import_module(module)
        for name in qualname.split("."):
            x = getattr(x, name)
    except (ImportError, AttributeError):
        return ()
    return (x,)


def import_same(name):
    """The module of this name."""
    import importlib

    return importlib.import_module(name)
