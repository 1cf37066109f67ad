"""The command line: `hopfax`, or `python -m hopfax`."""

from .app import main as main
from .app import run as run
