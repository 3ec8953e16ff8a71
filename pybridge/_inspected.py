# SPDX-License-Identifier: MIT
"""`inspect.signature` of guest callables: the guest's answer as the host's object."""

from __future__ import annotations

from pybridge import _guest

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    import inspect
    from typing import Any


def signature_of(x: Any) -> inspect.Signature:
    """The signature of a guest callable, given as its proxy.

    Defaults and annotations cross by the ordinary rules.  Raises ValueError or TypeError
    where the guest's `inspect` does.
    """
    import inspect

    parameters, back = _guest.call("signature_of", x)
    return inspect.Signature(
        [
            inspect.Parameter(
                name,
                getattr(inspect.Parameter, kind),
                default=default[0] if default else inspect.Parameter.empty,
                annotation=annotation[0] if annotation else inspect.Parameter.empty,
            )
            for name, kind, default, annotation in parameters
        ],
        return_annotation=back[0] if back else inspect.Signature.empty,
    )
