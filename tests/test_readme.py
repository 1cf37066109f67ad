"""The README's promises: its example runs, its commands exist."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_example_runs_and_learns():
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names: dict = {}
    with jax.enable_x64(False), jax.numpy_rank_promotion("allow"):  # as a user would run it
        exec(example.replace("print(", "str("), names)
        accuracy, converged = float(jnp.mean(names["correct"])), bool(jnp.all(names["equilibrium"].converged))
    assert accuracy > 0.9
    assert converged


def test_set_up_is_two_commands():
    commands = re.findall(r"^pip install .*$", README, re.MULTILINE)
    assert commands == ["pip install '.[apps]' && hopfax demo", "pip install '.[test]' && pytest"]
