"""Sphinx's settings: `python -m sphinx -W docs docs/_build` (pip install -e .[docs])."""

from mmdiff import __version__

project = 'mmdiff'
author = copyright = 'the mmdiff contributors'
version = release = __version__
extensions = ['sphinx.ext.autodoc', 'sphinx.ext.napoleon', 'myst_parser', 'sphinx_copybutton']
myst_enable_extensions = ['dollarmath']
myst_heading_anchors = 3
exclude_patterns = ['_build']
# Links to configs and code are for readers on GitHub; tests/test_docs.py checks them.
suppress_warnings = ['myst.xref_missing']
# Annotations are in the docstrings, in words.
autodoc_typehints = 'none'
autodoc_member_order = 'bysource'
# A list of attributes, without an entry of its own for each.
napoleon_use_ivar = True
html_theme = 'furo'
