# SPDX-License-Identifier: MIT
"""Runs decoders and writes what they took, as JSON: `worker.py host|native MESSAGES DECODER...`

`native` is for the guest's own interpreter, with numpy alone.  Each decoder runs twice, and
the second run counts: the first one is PyPy's warm-up.  Gives {decoder: [ns a message, sum]},
and as "numpy" the sum that numpy finds without any decoder.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import decoders


def main() -> None:
    where, n, numbers = sys.argv[1], int(sys.argv[2]), [int(arg) for arg in sys.argv[3:]]
    makers = decoders.DECODERS
    if where == "host":
        import pybridge

        np = pybridge.import_module("numpy")
        array = decoders.messages(np, n)
        records = pybridge.view(array)
        buffer = records.memory()
    else:
        import numpy as np

        records = array = decoders.messages(np, n)
        buffer = memoryview(array).cast("B")
        makers = (*makers[:4], decoders.with_numpy)
    results: dict[Any, Any] = {}
    for number in numbers:
        measured = makers[number](buffer, records)
        measured(n)
        begin = time.perf_counter()
        total = measured(n)
        results[number] = (time.perf_counter() - begin) / n * 1e9, float(total)
    results["numpy"] = float(
        np.where(array["kind"] == 1, array["value"], array["weight"]).sum()
    )
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
