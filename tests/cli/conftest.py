import pytest


@pytest.fixture(scope="session")
def compiled(tmp_path_factory):
    """A folder in which the processes of these tests share compiled code."""
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture(autouse=True)
def _own_compiled_code(monkeypatch, compiled):
    """Keep the user's cache folder, and the settings of this process, as they are."""
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(compiled))
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
