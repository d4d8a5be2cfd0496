"""Sphinx's settings: `python -m sphinx -W docs docs/_build` (pip install -e .[docs])."""

import re

from mmdiff import __version__

REPOSITORY = 'https://github.com/mmdiff/mmdiff/blob/main'

project = 'mmdiff'
author = copyright = 'the mmdiff contributors'
version = release = __version__
extensions = ['sphinx.ext.autodoc', 'sphinx.ext.napoleon', 'myst_parser', 'sphinx_copybutton']
myst_enable_extensions = ['dollarmath']
myst_heading_anchors = 3
exclude_patterns = ['_build']
# Annotations are in the docstrings, in words.
autodoc_typehints = 'none'
autodoc_member_order = 'bysource'
# A list of attributes, without an entry of its own for each.
napoleon_use_ivar = True
html_theme = 'furo'
html_title = 'mmdiff'


def setup(app):
    """Let links to configs and code lead to the repository."""
    app.connect('source-read', link_to_repository)


def link_to_repository(app, page, source):
    # tests/test_docs.py checks that they are there.
    source[0] = re.sub(r'\]\(\.\./', f']({REPOSITORY}/', source[0])
