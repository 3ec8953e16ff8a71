# SPDX-License-Identifier: MIT
"""Importing guest packages by their own name: `import numpy as np`.

`install` adds a finder to the end of `sys.meta_path`, so a package that the host can import
comes from the host, and what it cannot import is looked for in the guest; and one to its
beginning, for the packages that are to come from the guest in any case.  Rules are for
top-level packages: everything below follows.  A package that is the host's by a rule is the
host's own or, if it has none, made by the host from the guest's files: pure Python that the
JIT is to compile.

The guest's standard library is never taken: the host has its own, and asks for modules that
may be missing (`readline`, `_winapi`) expecting to be told so.

In `sys.modules` stands a `GuestModule` (_imported.py).  Metadata of the guest's distributions
is found as well (`importlib.metadata.version("numpy")`) when asked for by name; lists of all
distributions are the host's own, because who walks through entry points would load them.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec

from pybridge import _guest, _runtime, _spawned
from pybridge._api import import_module
from pybridge._errors import BridgeError
from pybridge._host import hidden
from pybridge._imported import GuestModule

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from pybridge._settings import Settings

# Packages that exist for PyPy's own C API too.  Two copies of them in one process, each with
# its own arrays, break programs; so the guest's is taken unless told otherwise.
BOTH = frozenset(["numpy", "scipy", "pandas", "matplotlib", "lxml", "cython", "Cython"])


class Loader:
    """Imports one module in the guest."""

    def __init__(self, path: str, package: bool) -> None:
        self.path = path
        self._package = package
        self._created = False

    def create_module(self, spec: ModuleSpec) -> GuestModule:
        """The guest imports it here, so that its errors come before `sys.modules` changes."""
        self._created = True
        return GuestModule(spec.name, import_module(spec.name))

    def exec_module(self, module: GuestModule) -> None:
        """Nothing, as the guest has done so, unless this is importlib.reload."""
        if not self._created:
            reload = _guest.get_attribute(_guest.import_guest("importlib"), "reload")
            module.__init__(  # type: ignore[misc]
                module.__name__, _guest.call_guest(reload, module)
            )
        self._created = False

    def is_package(self, name: str) -> bool:
        """Has it submodules?"""
        return self._package

    def get_resource_reader(self, name: str) -> Any:
        """For importlib.resources, which before Python 3.10 looks at `path` itself."""
        try:
            from importlib.readers import FileReader  # type: ignore[import-not-found]
        except ImportError:
            return None
        return FileReader(self) if self._package and self.path else None

    def get_data(self, path: str) -> bytes:
        """The bytes of a file, for pkgutil.get_data."""
        with open(path, "rb") as file:
            return file.read()


class _Finder:
    """Finds modules in the guest.  `names`: only these packages, or None for all that the
    guest has outside its standard library."""

    def __init__(self, names: frozenset[str] | None, host: frozenset[str]) -> None:
        self.names = names
        self.host = host

    @hidden
    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: Any = None
    ) -> ModuleSpec | None:
        """importlib's question: the module's spec, or None when it is not for us."""
        top, dot, _ = name.partition(".")
        if name == _spawned.SPAWN:
            return _spawned.find_spec(path)
        if dot:
            parent = sys.modules.get(name.rpartition(".")[0])
            if not isinstance(parent, GuestModule):
                return None
        elif self.names is not None and top not in self.names:
            return None
        elif top in self.host:
            return None if self.names is not None else _in_guests_files(name)
        if self.names is None and not dot and self.asks_for_itself(name):
            return None
        if not _begun(name):
            return None
        found = _guest.call("find_module", name, not dot)
        if found is None:
            return None
        origin, places = found
        spec = ModuleSpec(
            name,
            Loader(origin, places is not None),  # type: ignore[arg-type]
            origin=origin or None,
            is_package=places is not None,
        )
        spec.has_location = bool(origin)
        if places is not None:
            spec.submodule_search_locations = list(places)
        return spec

    @staticmethod
    def asks_for_itself(name: str) -> bool:
        """Names that the host's own standard library tries: not worth starting a guest."""
        return name.startswith("_") or name in getattr(sys, "stdlib_module_names", ())

    def find_distributions(self, context: Any = None) -> Iterator[Any]:
        """importlib.metadata's question: a guest's distribution, by name only."""
        name = getattr(context, "name", None)
        if self.names is not None or name is None:
            return iter(())
        from importlib.metadata import DistributionFinder, MetadataPathFinder

        _runtime.running()
        asked = DistributionFinder.Context(name=name, path=list(_guest.call("search_path")))
        return iter(MetadataPathFinder.find_distributions(asked))


@hidden
def _begun(name: str) -> bool:
    """Start the guest to look for a module.  False while it is being started, by imports that
    this very start makes, and when it was closed.  One that does not start is an ImportError:
    the program may do without the module."""
    if _runtime.starting() or _runtime.state is _runtime.CLOSED:
        return False
    try:
        _runtime.running()
    except BridgeError as error:
        raise ImportError(
            f"{name} is looked for in the guest, which does not start: {error}", name=name
        ) from error
    return True


def _in_guests_files(name: str) -> ModuleSpec | None:
    """The guest's copy of a package, as the host's own import would load it."""
    from importlib.machinery import PathFinder

    if not _begun(name) or _guest.call("find_module", name, True) is None:
        return None
    return PathFinder.find_spec(name, list(_guest.call("search_path")))


_installed: list[_Finder] = []


def install(*, guest: Iterable[str] = (), host: Iterable[str] = ()) -> None:
    """Let `import` find guest packages by their own names, from now on.

    What the host can import comes from the host, everything else from the guest's
    site-packages.  `guest`: top-level packages that come from the guest even if the host has
    them too; numpy, scipy, pandas, matplotlib and some others always do.  `host`: packages
    that the host imports in any case, from the guest's files if it has none of its own: pure
    Python that its JIT is to compile.  Both add to PYBRIDGE_GUEST_PACKAGES and
    PYBRIDGE_HOST_PACKAGES or, where these are not set, `guest-packages` and `host-packages`
    in `[tool.pybridge]`; what is said here wins over these.  Installing again replaces the
    rules; modules that were imported stay.  Starts nothing: the first such import does.
    Raises BridgeError for a package that both sides are to have, or a wrong setting.
    """
    given, mine = frozenset(_checked("guest", guest)), frozenset(_checked("host", host))
    from pybridge import _settings

    always, never = rules_in_force(_settings.load(), given, mine)
    uninstall()
    first, last = _Finder(always, never), _Finder(None, never)
    sys.meta_path.insert(0, first)
    sys.meta_path.append(last)
    _installed.extend([first, last])
    _spawned.begin(rules, install_in_child)


def rules_in_force(
    settings: Settings,
    given: frozenset[str] = frozenset(),
    mine: frozenset[str] = frozenset(),
) -> tuple[frozenset[str], frozenset[str]]:
    """The packages that are the guest's in any case, and the host's, when `given` and `mine`
    are said to be so."""
    set_guest, set_host = frozenset(settings.guest_packages), frozenset(settings.host_packages)
    for twice in (given & mine, (set_guest & set_host) - given - mine):
        if twice:
            raise BridgeError(
                f"{', '.join(sorted(twice))}: named for the guest and for the host.  Take one "
                "of the two away.",
                code="PB112",
            )
    never = mine | (set_host - given)
    return (BOTH | given | set_guest) - never, never


def _checked(what: str, names: Iterable[str]) -> list[str]:
    if isinstance(names, str):
        raise TypeError(f"{what}: a list of package names, not one text: [{names!r}]")
    return list(names)


def rules() -> tuple[list[str], list[str]] | None:
    """What `install` was last told, as its arguments; None when it is not in force."""
    if not _installed:
        return None
    first = _installed[0]
    return sorted(first.names or ()), sorted(first.host)


def install_in_child(guest: list[str], host: list[str], python: str | None) -> None:
    """In a child of the host's multiprocessing, before it imports the main module."""
    if _runtime.state is _runtime.NEW and python is not None:
        _runtime.prefer(python)
    install(guest=guest, host=host)


def uninstall() -> None:
    """Take the rules of `install` back; imported modules stay."""
    while _installed:
        sys.meta_path.remove(_installed.pop())


def searched(error: BaseException) -> str:
    """For a report of a module that was not found: where both sides looked, and what to do.
    Empty for any other error."""
    name = getattr(error, "name", None)
    if type(error) is not ModuleNotFoundError or not name or not _installed or "." in name:
        return ""
    if _runtime.state is not _runtime.RUNNING:
        return ""
    path = ", ".join(map(str, _guest.call("search_path")))
    return (
        f"searched by the host: {', '.join(map(str, sys.path))}\n"
        f"and by the guest {_runtime.guest.executable}: {path}\n"
        f"to install it there: {sys.executable} -m pybridge install {name}"
    )
