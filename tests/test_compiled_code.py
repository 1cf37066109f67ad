"""The cache of compiled code: where it is, when it stays as the user set it, and that a second process reads it."""

import os
import subprocess
import sys

import pytest

SHOW = """
import jax
from hopfax._internal.compiled import cache_compiled_code
{before}
cache_compiled_code()
print(jax.config.jax_compilation_cache_dir, jax.config.jax_persistent_cache_min_compile_time_secs)
"""


def in_a_process(code, home, **variables):
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith(("JAX_COMPILATION", "JAX_PERSISTENT"))
    }
    environment |= {"XDG_CACHE_HOME": str(home), **variables}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_it_is_in_the_users_cache_folder(tmp_path):
    assert in_a_process(SHOW.format(before=""), tmp_path) == f"{tmp_path / 'hopfax' / 'compiled'} 0.3"


def test_a_folder_and_a_time_that_the_user_set_stay(tmp_path):
    before = "jax.config.update('jax_compilation_cache_dir', '/mine')"
    assert in_a_process(SHOW.format(before=before), tmp_path) == "/mine 1.0"
    variables = {"JAX_COMPILATION_CACHE_DIR": "/mine", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "2"}
    assert in_a_process(SHOW.format(before=""), tmp_path, **variables) == "/mine 2.0"
    seconds = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "2"}
    assert in_a_process(SHOW.format(before=""), tmp_path, **seconds).endswith(" 2.0")


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path):
    (tmp_path / "hopfax").write_text("in the way")
    assert in_a_process(SHOW.format(before=""), tmp_path).startswith("None")


@pytest.mark.slow
def test_a_fit_stores_compiled_code_and_a_second_process_stores_no_more(tmp_path):
    fit = """
import numpy as np
from hopfax.interop.sklearn import HAMClassifier
HAMClassifier((3,), epochs=1, random_state=0).fit(np.eye(4), np.arange(4))
"""
    everything = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}  # however fast it compiles
    stored = lambda: {p.name for p in (tmp_path / "hopfax" / "compiled").iterdir() if "-cache" in p.name}
    in_a_process(fit, tmp_path, **everything)
    first = stored()
    in_a_process(fit, tmp_path, **everything)
    assert first
    assert stored() == first
