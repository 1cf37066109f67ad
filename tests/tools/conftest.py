from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    """Experiments and tools are imported from the root of the repository, where they are no part of the package."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
