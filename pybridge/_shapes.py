# SPDX-License-Identifier: MIT
"""`a.shape`, `a.ndim` and `a.size` of numpy arrays, read from their C struct (`_ndarray`).

Of arrays of exactly the class numpy.ndarray, of up to three dimensions.  A row that has no
object yet, and anything else, asks the guest.
"""

from __future__ import annotations

from pybridge import _templates
from pybridge._core import ffi
from pybridge._host import hidden, module_dict
from pybridge._ndarray import HALF, NDIM, SHAPE
from pybridge._proxy import QuickAttribute

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

_TEXT = """
@hidden
def {name}(self):
    if type(self) is ndarray and self._pybridge_matrix is None and self._pybridge_handle:
        words = cast(INTS, self._pybridge_handle)
        n, shape = words[NDIM] & HALF, cast(INTS, words[SHAPE])
        if n == 1:
            return {one}
        if n == 2:
            return {two}
        if n == 3:
            return {three}
    return attribute(self, "{name}")
"""
_ANSWERS = {
    "ndim": ("1", "2", "3"),
    "shape": ("(shape[0],)", "(shape[0], shape[1])", "(shape[0], shape[1], shape[2])"),
    "size": ("shape[0]", "shape[0] * shape[1]", "shape[0] * shape[1] * shape[2]"),
}


def methods(ndarray: Any, attribute: Any) -> dict[str, Any]:
    """What the mirror of numpy.ndarray gets; `attribute(array, name)` asks the guest."""
    texts = [
        _TEXT.format(name=name, one=one, two=two, three=three)
        for name, (one, two, three) in _ANSWERS.items()
    ]
    space = module_dict()  # only its look-ups fold in traces
    space.update(
        __name__=__name__,
        HALF=HALF,
        INTS=ffi.typeof("int64_t *"),
        NDIM=NDIM,
        SHAPE=SHAPE,
        attribute=attribute,
        cast=ffi.cast,
        hidden=hidden,
        ndarray=ndarray,
    )
    _templates.run("".join(texts), "pybridge-shapes.py", space)
    return {name: QuickAttribute(name, space[name]) for name in _ANSWERS}
