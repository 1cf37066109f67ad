"""JSON from files, which come from strangers."""

import json
from typing import Any


def parse(text: str | bytes) -> Any:
    """What JSON says. Raises: `ValueError` for what is none, and for what is nested too deep to be read."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deep") from None
