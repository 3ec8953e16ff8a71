# SPDX-License-Identifier: MIT
"""Methods made from text: compiled once, and kept on disk as Python keeps its modules.

Traces are short where a constant is a name in the globals of a function and where a function
serves one class, so the methods of numpy's classes are texts, executed in a dict for each.
Compiling those that the first array needs takes 16 ms; reading them 1.

They lie in `__pycache__` beside this module, under the text's file name, with the header of a
hash-based .pyc (PEP 552): read only by the interpreter that wrote it, of exactly that text.
What holds for modules holds here: `sys.dont_write_bytecode`, `sys.pycache_prefix`, a directory
that cannot be written to, another process that writes at the same time.

Only texts that the bridge itself has, a fixed number; those with names of the program are
compiled each time.
"""

from __future__ import annotations

import _imp
import marshal
import os
import sys
from _frozen_importlib_external import MAGIC_NUMBER, cache_from_source

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

_PACKAGE = os.path.dirname(os.path.abspath(__file__))
_HASH_BASED = b"\x01\0\0\0"  # and there is no source file to check it against
_KEY = 0x70796272


def run(text: str, filename: str, space: dict[Any, Any]) -> None:
    """Execute `text` in `space`.  `filename` ends in ".py" and belongs to this text alone.

    Each call makes code objects of its own, so that each use has traces of its own."""
    exec(_code(text, filename), space)


def _code(text: str, filename: str) -> CodeType:
    header = MAGIC_NUMBER + _HASH_BASED + _imp.source_hash(_KEY, text.encode())
    try:
        path = cache_from_source(os.path.join(_PACKAGE, filename))
    except NotImplementedError:  # this interpreter keeps no code
        return compile(text, filename, "exec")
    try:
        kept = _read(path)
        if kept.startswith(header):
            return marshal.loads(kept[len(header) :])  # type: ignore[no-any-return]
    except (OSError, EOFError, TypeError, ValueError):  # none, or cut off
        pass
    code = compile(text, filename, "exec")
    if not sys.dont_write_bytecode:
        _keep(path, header + marshal.dumps(code))
    return code


def _read(path: str) -> bytes:
    # No file object: PyPy finalizes those when it collects, which is while the program's first
    # loop is being recorded, and what it does then is in that loop for ever.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, os.fstat(descriptor).st_size)
    finally:
        os.close(descriptor)


def _keep(path: str, data: bytes) -> None:
    """Write the file, whole or not at all."""
    unfinished = f"{path}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(unfinished, "wb") as file:
            file.write(data)
        os.replace(unfinished, path)
    except OSError:
        try:
            os.unlink(unfinished)
        except OSError:
            pass
