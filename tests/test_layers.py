# SPDX-License-Identifier: MIT
"""Who may import whom: each module only those before it in the order below.

If this complains about an import, the code usually lives in the wrong module: a lower layer
that needs an upper one owns a table which the upper one fills.  A new module takes its place
in the list.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import pybridge

PACKAGE = Path(pybridge.__file__).parent
ORDER = [
    # no guest needed
    "_errors", "_facts", "_settings", "_child", "_probe", "_discover", "_environment", "_host",
    "_templates", "_places", "_core", "_locks", "_hostbuffer",
    # handles and cells
    "_kinds", "_release", "_frame", "_identity", "_handle", "_texts", "_tags", "_put", "_take",
    "_names",
    # objects
    "_iterate", "_guest", "_table", "_linked", "_values", "_described", "_exceptionclasses",
    "_tracebacks", "_raised",
    "_operators",
    "_inspected", "_proxy", "_methods", "_metatype", "_bound", "_ownclasses",
    "_mirrorclass", "_mirror", "_derived", "_module", "_sequences", "_items",
    "_keywords", "_callback", "_hostasked", "_hostclass", "_hostderive", "_frames",
    "_quadpack", "_streams", "_warned", "_contexts", "_loops", "_async",
    # the guest's life
    "_runtime",
    # uses
    "_layout", "_dates", "_elements", "_records", "_extent", "_view", "_buffer",
    "_hostnumpy", "_hostcsv", "_hostctypes", "_exporter", "_columns", "_interchange",
    "_future", "_converters",
    "_signature", "_cfunction", "_native", "_lowlevel",
    "_otherkinds", "_dtypes", "_repeated", "_constructed", "_scalars", "_numbers", "_ndarray",
    "_shapes", "_void", "_ufunc", "_bulk", "_arraycalls", "_numpy", "_attached", "_source",
    "_containers", "_api",
    "_imported", "_spawned", "_finder", "_require", "_script", "_pickled", "_memory", "pickle",
    "__init__",
    # programs over the public names
    "_origins", "_doctor", "_completion", "_stubs", "_repl", "__main__",
]  # fmt: skip
COMPILED = {"_core"}
MODULES = sorted(path.stem for path in PACKAGE.glob("*.py"))


def imports(module: str) -> set[str]:
    """The modules of the package that one imports, anywhere in its text."""
    found = set()
    for node in ast.walk(ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative imports are not used here"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            if package == "pybridge":
                part = rest.partition(".")[0]
                known = part in MODULES or part in COMPILED
                found.add(part if known else "__init__")
    return found


def test_every_module_has_its_place():
    assert len(set(ORDER)) == len(ORDER)
    missing = set(MODULES) | COMPILED
    assert missing == set(ORDER), "ORDER in tests/test_layers.py and pybridge/*.py differ"


@pytest.mark.parametrize("module", [m for m in ORDER if m not in COMPILED])
def test_a_module_imports_only_from_those_before_it(module):
    before = set(ORDER[: ORDER.index(module)])
    assert imports(module) <= before, f"{module} imports upwards"


def test_there_are_no_cycles():
    """Follows from the order; checked by itself, so that the order cannot hide one."""
    graph = {module: imports(module) for module in MODULES}
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path, module))
        if module in done:
            return
        for other in sorted(graph.get(module, ())):
            visit(other, (*path, module))
        done.add(module)

    for module in MODULES:
        visit(module, ())


def test_the_guests_half_imports_nothing_of_the_hosts():
    for path in (PACKAGE / "guest").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert not [n for n in names if n.partition(".")[0] == "pybridge"], path.name


# ---- the core ----------------------------------------------------------------------------

SOURCES = sorted((PACKAGE / "csrc").glob("*.[ch]"))
if not SOURCES:
    pytest.skip("an installed pybridge has no sources", allow_module_level=True)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_the_core_sees_no_interpreters_headers(path):
    text = path.read_text(encoding="utf-8")
    own = {p.name for p in (PACKAGE / "csrc").iterdir()}
    for header in re.findall(r'^#\s*include "([^"]+)"', text, re.MULTILINE):
        assert header in own
    for header in re.findall(r"^#\s*include <([^>]+)>", text, re.MULTILINE):
        assert "python" not in header.lower()
        assert "cffi" not in header.lower()
    assert "SPDX-License-Identifier: MIT" in text.splitlines()[0]


def test_the_headers_include_one_another_without_cycles():
    headers = {p.name: p.read_text(encoding="utf-8") for p in SOURCES if p.suffix == ".h"}

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path, name))
        for other in re.findall(r'^#\s*include "([^"]+\.h)"', headers[name], re.MULTILINE):
            visit(other, (*path, name))

    for name in headers:
        visit(name, ())


def test_what_one_file_of_the_core_offers_others_is_declared_once():
    declared = "".join(p.read_text(encoding="utf-8") for p in SOURCES if p.suffix == ".h")
    for path in SOURCES:
        if path.suffix != ".c":
            continue
        defined = re.findall(
            r"^(?!static)[a-z][\w \*]*?\b(pb_\w+)\(.*\)\n\{",
            path.read_text(encoding="utf-8"),
            re.MULTILINE,
        )
        for name in defined:
            assert re.search(rf"\b{name}\(", declared), f"{path.name}: {name} is not declared"


def block(name: str) -> list[str]:
    """The names of an enum of host.h that carries this mark."""
    text = (PACKAGE / "csrc" / "host.h").read_text(encoding="utf-8")
    enum = re.search(rf"/\* {name}:.*?\*/\s*enum \{{(.*?)\}};", text, re.DOTALL)
    assert enum is not None
    body = re.sub(r"/\*.*?\*/", "", enum[1], flags=re.DOTALL)
    return re.findall(r"\bPB_\w+", body)


def test_the_order_of_tags_is_that_of_the_header():
    """ORDER TAGS"""
    from pybridge import _tags
    from pybridge._core import lib

    for number, name in enumerate(block("ORDER TAGS")):
        assert getattr(lib, name) == number
        assert getattr(_tags, name[3:], number) == number


def test_the_order_of_operations_is_that_of_the_header():
    """ORDER OPS"""
    from pybridge._core import lib

    names = block("ORDER OPS")
    for number, name in enumerate(names):
        assert getattr(lib, name) == number
    table = (PACKAGE / "csrc" / "operate.c").read_text(encoding="utf-8")
    for name in names[: names.index("PB_LT")]:
        assert f"[{name}]" in table
