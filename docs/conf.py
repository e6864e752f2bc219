"""Sphinx's settings; `make docs` builds the pages, and a warning is an error there."""

from importlib import metadata

project = "faye_sync"
author = "The faye_sync authors"
copyright = author
release = metadata.version("faye_sync")
html_theme = "furo"
html_title = f"faye_sync {release}"
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
nitpicky = False
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
# Names of the documentation's own files, and of the code, stand as they are.
smartquotes = False
