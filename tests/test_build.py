# SPDX-License-Identifier: MIT
"""The compiled core is hardened, exports one name, and brings no search paths.

The file is read here as ELF, so that nothing needs to be installed.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from pybridge import _core

FILE = Path(_core.__file__)
PYPY = hasattr(sys, "pypy_version_info")

DT_NEEDED, DT_SONAME, DT_RPATH, DT_SYMBOLIC, DT_TEXTREL = 1, 14, 15, 16, 22
DT_BIND_NOW, DT_RUNPATH, DT_FLAGS, DT_FLAGS_1 = 24, 29, 30, 0x6FFFFFFB
PT_LOAD, PT_DYNAMIC, PT_GNU_STACK, PT_GNU_RELRO, PT_GNU_PROPERTY = (
    1, 2, 0x6474E551, 0x6474E552, 0x6474E553,
)  # fmt: skip


class Symbol(NamedTuple):
    name: str
    defined: bool
    exported: bool


class Elf:
    """Segments, dynamic entries and dynamic symbols of a 64-bit little-endian file."""

    def __init__(self, data: bytes) -> None:
        assert data[:6] == b"\x7fELF\x02\x01", "not a 64-bit little-endian ELF file"
        self.data = data
        offset, size, count = (
            *struct.unpack_from("<Q", data, 32),
            *struct.unpack_from("<HH", data, 54),
        )
        self.segments = [
            struct.unpack_from("<IIQQQQQQ", data, offset + i * size) for i in range(count)
        ]
        (dynamic,) = (s for s in self.segments if s[0] == PT_DYNAMIC)
        self.dynamic: list[tuple[int, int]] = []
        for at in range(dynamic[2], dynamic[2] + dynamic[5], 16):
            tag, value = struct.unpack_from("<qQ", data, at)
            if tag == 0:
                break
            self.dynamic.append((tag, value))

    def values(self, tag: int) -> list[int]:
        return [value for t, value in self.dynamic if t == tag]

    def segment(self, kind: int) -> tuple[int, ...]:
        (found,) = (s for s in self.segments if s[0] == kind)
        return found

    def at(self, address: int) -> int:
        """The position in the file of an address."""
        for kind, _, offset, start, _, size, *_ in self.segments:
            if kind == PT_LOAD and start <= address < start + size:
                return offset + address - start
        raise ValueError(hex(address))

    def text(self, offset: int) -> str:
        begin = self.at(self.values(5)[0]) + offset  # DT_STRTAB
        return self.data[begin : self.data.index(b"\0", begin)].decode()

    def symbols(self) -> list[Symbol]:
        """DT_SYMTAB has no length; in every file of the GNU linker DT_STRTAB follows it."""
        table, end = self.at(self.values(6)[0]), self.at(self.values(5)[0])
        found = []
        for at in range(table + 24, end, 24):
            name, info, other, section = struct.unpack_from("<IBBH", self.data, at)
            exported = section != 0 and info >> 4 in (1, 2) and other & 3 in (0, 3)
            found.append(Symbol(self.text(name), section != 0, exported))
        return found


@pytest.fixture(scope="module")
def elf() -> Elf:
    return Elf(FILE.read_bytes())


def test_relocations_are_read_only_and_bound_at_once(elf):
    assert elf.segment(PT_GNU_RELRO)
    now = elf.values(DT_BIND_NOW) or [f for f in elf.values(DT_FLAGS) if f & 8]
    assert now or [f for f in elf.values(DT_FLAGS_1) if f & 1]


def test_the_stack_is_not_executable(elf):
    assert elf.segment(PT_GNU_STACK)[1] & 1 == 0


def test_no_segment_is_both_writable_and_executable(elf):
    assert not [s for s in elf.segments if s[0] == PT_LOAD and s[1] & 3 == 3]


def test_no_relocations_in_the_text(elf):
    assert not elf.values(DT_TEXTREL)


def test_the_stack_protector_and_checked_functions_are_used(elf):
    names = {symbol.name for symbol in elf.symbols() if not symbol.defined}
    assert "__stack_chk_fail" in names
    assert any(name.endswith("_chk") for name in names)


def test_there_is_no_search_path(elf):
    assert not elf.values(DT_RPATH)
    if PYPY:  # a CPython adds the linker flags that it was itself built with
        assert not elf.values(DT_RUNPATH)


def test_only_the_init_function_is_exported(elf):
    init = "_cffi_pypyinit__core" if PYPY else "PyInit__core"
    assert {symbol.name for symbol in elf.symbols() if symbol.exported} == {init}


def test_the_guests_library_is_not_linked(elf):
    needed = [elf.text(offset) for offset in elf.values(DT_NEEDED)]
    assert not [name for name in needed if "python" in name]
    if PYPY:  # elsewhere cffi's own file uses the host's API under the same names
        undefined = [s.name for s in elf.symbols() if not s.defined]
        assert not [name for name in undefined if name.startswith(("Py", "_Py"))]


def test_the_file_names_no_directory_of_the_machine_that_built_it():
    """Assertions and debug sections could; a release must be the same everywhere."""
    data = FILE.read_bytes()
    loaded = b"".join(data[s[2] : s[2] + s[5]] for s in Elf(data).segments if s[0] == PT_LOAD)
    assert str(FILE.parent.parent).encode() not in loaded
