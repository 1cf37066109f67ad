"""Arrays in another byte order, tensors of other libraries, and paths as strings."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import hopfax
from hopfax import training
from hopfax._internal.checks import as_real_array, in_native_order
from hopfax._internal.files import as_path
from hopfax.training.checkpoint import load_checkpoint, read_metadata, save_checkpoint

ROWS = np.linspace(0, 1, 8, dtype=np.float32).reshape(2, 4)
SWAPPED = ROWS.astype(ROWS.dtype.newbyteorder("S"))


class Tensor:
    """What PyTorch's tensors look like from outside: an array whose dtype NumPy does not know."""

    dtype = "torch.float32"
    shape, ndim = ROWS.shape, ROWS.ndim

    def __array__(self, dtype=None, copy=None):
        return ROWS


@pytest.fixture(scope="module")
def model():
    return hopfax.chain([4, 3], key=jr.key(0))


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int16, np.bool_])
def test_the_order_of_bytes_has_no_influence(kind):
    values = np.arange(4).astype(kind)
    swapped = values.astype(values.dtype.newbyteorder("S"))
    assert jnp.array_equal(as_real_array("x", swapped), jnp.asarray(values))


def test_traced_values_and_lists_pass_unchanged():
    assert jnp.array_equal(jax.jit(lambda x: in_native_order("x", x))(ROWS), ROWS)
    assert in_native_order("x", [1, 2]) == [1, 2]


def test_clamps_starts_and_weights_in_another_byte_order(model):
    clamp = {"input": ROWS}
    expected = hopfax.relax(model, clamp).state["output"]
    assert jnp.array_equal(hopfax.relax(model, {"input": SWAPPED}).state["output"], expected)
    partial = lambda rows: {"input": hopfax.PartialClamp(rows, np.ones((2, 4), bool))}
    assert jnp.allclose(hopfax.relax(model, partial(SWAPPED)).state["output"], expected, atol=1e-4)
    assert jnp.array_equal(hopfax.Dense(("a", "b"), SWAPPED).weight, jnp.asarray(ROWS))


def test_tensors_are_refused_with_the_way_out():
    with pytest.raises(
        ValueError, match=r"`x` is a `.*Tensor`; give a NumPy or JAX array, such as `np.asarray\(x\)`"
    ):
        as_real_array("x", Tensor())


def test_a_path_may_be_a_string(tmp_path):
    file = str(tmp_path / "state.safetensors")
    save_checkpoint(file, {"x": jnp.ones(2)}, {"step": 3})
    assert read_metadata(file) == {"step": 3}
    assert load_checkpoint(file, {"x": jnp.zeros(2)})[0]["x"].tolist() == [1, 1]
    with pytest.raises(ValueError, match=r"`folder=None` must be a path or a string"):
        as_path("folder", None)


@pytest.mark.slow
def test_training_takes_its_folder_as_a_string(tmp_path):
    recipe = training.recipes.goemaere2023((64, 4, 10))
    recipe = training.Recipe(layers=(64, 4, 10), epochs=1, forward_steps=3, batch_size=500, cost=recipe.cost)
    job = training.ClassifierJob(recipe, hopfax.data.digits())
    _, metrics = training.train(job, str(tmp_path / "run"))
    assert len(metrics) == 1
    assert (tmp_path / "run" / "metrics.jsonl").exists()
