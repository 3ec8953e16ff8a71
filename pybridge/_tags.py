# SPDX-License-Identifier: MIT
"""The tags of cells: the names of csrc/host.h, as plain ints that the JIT folds."""

from __future__ import annotations

from pybridge._core import lib

# ORDER TAGS
ERROR: int = lib.PB_ERROR
NONE: int = lib.PB_NONE
FALSE: int = lib.PB_FALSE
TRUE: int = lib.PB_TRUE
INT: int = lib.PB_INT
FLOAT: int = lib.PB_FLOAT
OBJECT: int = lib.PB_OBJECT
HEAVY: int = lib.PB_HEAVY
UNKNOWN: int = lib.PB_UNKNOWN
CLASS: int = lib.PB_CLASS
HOST: int = lib.PB_HOST
STR: int = lib.PB_STR
BYTES: int = lib.PB_BYTES
BIGINT: int = lib.PB_BIGINT
COMPLEX: int = lib.PB_COMPLEX
ELLIPSIS: int = lib.PB_ELLIPSIS
NOTIMPLEMENTED: int = lib.PB_NOTIMPLEMENTED
TUPLE: int = lib.PB_TUPLE
FROZENSET: int = lib.PB_FROZENSET
LIST: int = lib.PB_LIST
DICT: int = lib.PB_DICT
SET: int = lib.PB_SET
FLOATS: int = lib.PB_FLOATS
INTS: int = lib.PB_INTS
SLICE: int = lib.PB_SLICE
RANGE: int = lib.PB_RANGE
BUILD: int = lib.PB_BUILD
VALUE: int = lib.PB_VALUE
SUBVALUE: int = lib.PB_SUBVALUE
STOP: int = lib.PB_STOP
REFUSED: int = lib.PB_REFUSED
RAISE: int = lib.PB_RAISE
LINK: int = lib.PB_LINK
SAME: int = lib.PB_SAME
TEXTS: int = lib.PB_TEXTS
TWIN: int = lib.PB_TWIN
