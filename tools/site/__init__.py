"""The rendered site: `python -m tools.site build|serve`.

Sphinx and MyST-NB turn the executed notebooks into pages; the rest of this folder makes what
surrounds them. Nothing here imports the package or torch: the notebooks are committed with their
outputs, so a site needs neither.
"""
