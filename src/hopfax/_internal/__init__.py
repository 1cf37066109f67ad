"""Shared helpers: argument checks, pytrees, files, optional packages. They know nothing of networks."""
