"""Measurements behind the pages in docs/results and the figures of the README.

Run from the root of a checkout as `python -m benchmarks.SUBJECT`; not part of what is
installed. This file imports nothing, so that a module that needs no isotau runs in an
interpreter that has none.
"""
