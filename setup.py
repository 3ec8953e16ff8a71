# SPDX-License-Identifier: MIT
"""Only what pyproject.toml cannot say: the extension module is made by cffi."""

from setuptools import setup

setup(cffi_modules=["pybridge_build.py:ffibuilder"])
