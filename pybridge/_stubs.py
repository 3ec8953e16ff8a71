# SPDX-License-Identifier: MIT
"""`python -m pybridge stubs MODULE...`: `.pyi` files, so that an editor completes names of
guest modules, which it does not find in the host's environment.

The guest tells what a module has (guest/stubs.py).  The files go to ./typings, where Pyright
and VS Code look by themselves (`stubPath`); for mypy, MYPYPATH names it.
"""

from __future__ import annotations

import os

from pybridge import _guest, _runtime

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from collections.abc import Sequence


def write(modules: Sequence[str], folder: str) -> list[str]:
    """Write the stubs of guest modules, each with its public submodules: the paths written.

    Existing files are replaced, each at once.  Raises what the guest's import raises, and
    OSError.
    """
    _runtime.running()
    written = []
    for name in modules:
        for path, text in _guest.call("stub_files", name):
            target = os.path.join(folder, path)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(f"{target}.new", "w", encoding="utf-8", errors="replace") as file:
                file.write(text)
            os.replace(f"{target}.new", target)
            written.append(target)
    return written
