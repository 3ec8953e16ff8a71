# SPDX-License-Identifier: MIT
"""The host's own multiprocessing: imports in its children find the guest's packages too.

A child that is forked has everything.  One that is spawned, or forked by the fork server, is a
new interpreter that imports the program's main module: before that it reads "preparation
data" from its parent.  An entry is added to these whose unpickling installs the parent's rules
in the child, and names its guest; the child starts that when it needs it.

`multiprocessing.spawn` is changed when it is imported, or now if it was: programs that never
use it do not pay for it.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder, SourceFileLoader

from pybridge import _runtime

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from typing import Any, Callable

SPAWN = "multiprocessing.spawn"
_rules: Callable[[], Any]  # what is in force here: set by _finder, as is
_install: Callable[..., None]  # for the child: it is pickled by its name


class _Rules:
    """In the preparation data: unpickled, it has installed the rules."""

    def __init__(self, packages: tuple[list[str], list[str]]) -> None:
        self.arguments = (*packages, _guest())

    def __reduce__(self) -> Any:
        return _install, self.arguments


def _guest() -> str | None:
    """The guest of this process, or the one that it would start."""
    if _runtime.state is _runtime.RUNNING:
        return str(_runtime.guest.executable)
    if _runtime.preferred() is not None:
        return _runtime.preferred()
    from pybridge import _settings

    settings = _settings.load()
    if settings.python is None or "/" not in settings.python:
        return settings.python
    return os.path.join(settings.python_base, settings.python)


def _change(module: Any) -> None:
    original = module.get_preparation_data
    if getattr(original, "_pybridge", False):
        return

    def get_preparation_data(name: str) -> dict[str, Any]:
        data: dict[str, Any] = original(name)
        packages = _rules()
        if packages is not None:
            data["pybridge"] = _Rules(packages)
        return data

    get_preparation_data._pybridge = True  # type: ignore[attr-defined]
    module.get_preparation_data = get_preparation_data


class _Loader(SourceFileLoader):
    def exec_module(self, module: Any) -> None:
        super().exec_module(module)
        _change(module)


def find_spec(path: Sequence[str] | None) -> ModuleSpec | None:
    """The spec of `multiprocessing.spawn` itself, which changes it when it is loaded."""
    spec = PathFinder.find_spec(SPAWN, path)
    if spec is not None and type(spec.loader) is SourceFileLoader:
        spec.loader = _Loader(spec.loader.name, spec.loader.path)
    return spec


def begin(rules: Callable[[], Any], install: Callable[..., None]) -> None:
    """From now on.  `rules` gives the arguments for `install`, or None."""
    global _rules, _install
    _rules, _install = rules, install
    if SPAWN in sys.modules:
        _change(sys.modules[SPAWN])
