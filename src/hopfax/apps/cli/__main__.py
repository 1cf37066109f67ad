"""`python -m hopfax.apps.cli`."""

from . import main

main()
