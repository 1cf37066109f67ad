"""`python -m hopfax`."""

from .cli import main

main()
