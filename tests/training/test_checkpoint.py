"""Checkpoints come back bit by bit, whole or not at all."""

import os

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from hopfax._internal.files import check_config, write_atomic
from hopfax.training.checkpoint import load_checkpoint, read_metadata, save_checkpoint

TREE = {
    "weights": [jr.normal(jr.key(0), (3, 2), jnp.float32), jnp.array(7, jnp.int32)],
    "key": jr.key(5),
    "nothing": jnp.zeros((0, 4)),
    "transposed": jnp.arange(6.0).reshape(2, 3).T,
    "name": "not an array",
}


@pytest.fixture
def path(tmp_path):
    save_checkpoint(tmp_path / "c.safetensors", TREE, {"rows": [0.1, None], "config": {"a": 1}})
    return tmp_path / "c.safetensors"


def blank(tree):
    fresh = lambda x: jr.key(0) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else jnp.zeros_like(x)
    return jax.tree.map(lambda x: fresh(x) if eqx.is_array(x) else x, tree)


def test_arrays_keys_and_metadata_come_back_bit_by_bit(path):
    tree, metadata = load_checkpoint(path, blank(TREE))
    assert metadata == {"rows": [0.1, None], "config": {"a": 1}}
    np.testing.assert_array_equal(jr.key_data(tree.pop("key")), jr.key_data(TREE["key"]))
    for x, y in zip(
        jax.tree.leaves(tree), jax.tree.leaves({k: v for k, v in TREE.items() if k != "key"}), strict=True
    ):
        assert np.asarray(x).dtype == np.asarray(y).dtype
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"more": jnp.zeros(1)}, "more is missing"),
        ({"weights": [TREE["weights"][0]]}, r"weights\.1 is not expected"),
        ({"transposed": jnp.zeros((2, 3))}, r"transposed should be float64\[2, 3\], is float64\[3, 2\]"),
        ({"transposed": jnp.zeros((3, 2), jnp.int32)}, r"transposed should be int32"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_name(path, change, match):
    with pytest.raises(ValueError, match=match):
        load_checkpoint(path, {**TREE, **change})


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"\xff" * 64])
def test_a_damaged_file_is_refused(path, damage):
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"c\.safetensors.*no whole checkpoint"):
        load_checkpoint(path, TREE)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(path, monkeypatch):
    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        save_checkpoint(path, TREE, {"config": "new"})
    assert read_metadata(path)["config"] == {"a": 1}
    assert os.listdir(path.parent) == [path.name]


def test_write_atomic_replaces(tmp_path):
    write_atomic(tmp_path / "f", b"old and long")
    write_atomic(tmp_path / "f", b"new")
    assert (tmp_path / "f").read_bytes() == b"new"


def test_settings_that_differ_are_named():
    check_config({"a": [1]}, {"a": [1]}, "f")
    with pytest.raises(ValueError, match=r"a was 1, is 2; b was None, is 3"):
        check_config({"a": 1}, {"a": 2, "b": 3}, "f")
