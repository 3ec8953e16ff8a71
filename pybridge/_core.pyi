# SPDX-License-Identifier: MIT
# The compiled core: made by pybridge_build.py from csrc/, declared in csrc/host.h.
from typing import Any

ffi: Any
lib: Any
