# SPDX-License-Identifier: MIT
"""Builds `pybridge._core`: the C core, and the cffi module through which the host calls it.

The core (`pybridge/csrc/*.c`) is compiled as separate source files and never sees the
host's `Python.h`: cffi's generated file includes that header, whose macros rename `Py*`
on PyPy.  Only `host.h` is included there, and it names no Python type.

`host.h` is the one declaration of the interface.  Two blocks of it are read here:

    /* cdef begin */       types and functions that the host may use
    /* cdef end */

    /* callbacks begin */  prototypes of the functions that the host implements
    /* callbacks end */

The second block becomes `extern "Python+C"`: cffi defines those functions, so that the
core can call them by name (a plain C program that drives the core defines its own).
`PB_CFFI` is set while cffi's file is compiled; `host.h` leaves the second block out then.
"""

from __future__ import annotations

import platform
import re
from pathlib import Path

from cffi import FFI

# setuptools wants the sources relative to setup.py, and builds from that directory.
ROOT = Path(__file__).resolve().parent
CSRC = "pybridge/csrc"

COMPILE_FLAGS = [
    "-std=gnu11",
    "-O2",
    "-fvisibility=hidden",
    "-fstack-protector-strong",
    "-U_FORTIFY_SOURCE",  # some compilers define another level by themselves
    "-D_FORTIFY_SOURCE=2",
]
if platform.machine() in ("x86_64", "i686"):
    COMPILE_FLAGS.append("-fcf-protection")

LINK_FLAGS = ["-Wl,-z,relro,-z,now,-z,noexecstack", "-Wl,--as-needed"]


def marked_block(text: str, name: str) -> str:
    """The lines of `text` between `/* name begin */` and `/* name end */`."""
    pattern = rf"/\* {name} begin \*/\n(.*?)/\* {name} end \*/"
    found = re.findall(pattern, text, re.DOTALL)
    if len(found) != 1:
        raise ValueError(f"{CSRC}/host.h: {len(found)} blocks marked '{name}', expected one")
    return str(found[0])


def files(*patterns: str) -> list[str]:
    """The files of the core that match, sorted, relative to setup.py."""
    names = [path.name for pattern in patterns for path in (ROOT / CSRC).glob(pattern)]
    return [f"{CSRC}/{name}" for name in sorted(names)]


def make_builder() -> FFI:
    header = (ROOT / CSRC / "host.h").read_text(encoding="utf-8")
    builder = FFI()
    builder.cdef(marked_block(header, "cdef"))
    builder.cdef('extern "Python+C" {\n' + marked_block(header, "callbacks") + "}\n")
    builder.set_source(
        "pybridge._core",
        '#define PB_CFFI 1\n#include "host.h"\n',
        sources=files("*.c"),
        depends=files("*.h", "*.def", "*.inc"),
        include_dirs=[CSRC],
        libraries=["dl", "pthread"],
        extra_compile_args=COMPILE_FLAGS,
        extra_link_args=LINK_FLAGS,
    )
    return builder


ffibuilder = make_builder()
