# SPDX-License-Identifier: MIT
"""Loaded at the start of every Python that gallery.py runs: numpy's random numbers are the same
in each run, so that scripts that do not seed them can be compared."""

from __future__ import annotations

import importlib.util
import os
import sys


class _Seed:
    """Finds numpy.random once, and seeds it when it is loaded."""

    def find_spec(self, name, path=None, target=None):
        if name != "numpy.random":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None:
            execute = spec.loader.exec_module

            def exec_module(module):
                execute(module)
                module.seed(0)

            spec.loader.exec_module = exec_module
        return spec


if "PYBRIDGE_GALLERY" in os.environ:
    sys.meta_path.insert(0, _Seed())
