"""Builds the documentation site: sources, generated pages, both languages, search.

`docs/build.py` is the command; each module here has one part of the work.
"""
