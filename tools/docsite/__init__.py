"""The parts of the documentation site that MkDocs does not bring; `tools/docs_hooks.py` calls them."""
