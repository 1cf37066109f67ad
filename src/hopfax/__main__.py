"""`python -m hopfax`."""

from .apps.cli import main

main()
