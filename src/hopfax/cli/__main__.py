"""`python -m hopfax.cli`."""

from . import main

main()
