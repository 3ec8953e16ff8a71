# SPDX-License-Identifier: MIT
"""Sphinx's settings, for `make docs`, which has tools/reference.py write reference.md first."""

project = "pybridge"
author = "the pybridge developers"
copyright = author
extensions = ["myst_parser"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
exclude_patterns = ["out"]
html_theme = "furo"
html_title = "pybridge"
nitpicky = True
nitpick_ignore_regex = [("py:.*", ".*")]  # Python's own names in signatures
