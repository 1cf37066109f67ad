"""Models come back from files equal; bad files are refused, naming the entry."""

import json
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jaxtyping import Array
from safetensors.numpy import load_file, save_file

from hopfax import HAM, Bias, Dense, Interaction, Layer, chain, load_model, save_model
from hopfax.lagrangians import AbstractElementwise, AlongAxis, Polynomial, Sigmoid, Softmax, Tanh
from hopfax.networks.files import LAGRANGIANS


@pytest.fixture
def saved(tmp_path):
    layers = {"x": Layer((2, 3), Sigmoid.paper()), "a": Layer(4, Softmax(jnp.array(2.0, jnp.float32)))}
    weight = jr.normal(jr.key(0), (6, 4), jnp.float32)
    model = HAM(layers, [Dense(("x", "a"), weight), Bias("a", jnp.ones(4, jnp.float32))])
    save_model(model, tmp_path / "model")
    return model, tmp_path / "model"


def edit(folder, change):
    description = json.loads((folder / "model.json").read_text())
    change(description)
    (folder / "model.json").write_text(json.dumps(description))


def edit_weights(folder, change):
    arrays = load_file(folder / "weights.safetensors")
    change(arrays)
    save_file(arrays, folder / "weights.safetensors")


def test_a_model_comes_back_equal(saved):
    model, folder = saved
    loaded = load_model(folder)
    assert eqx.tree_equal(loaded, model)
    assert (loaded.order, list(loaded.synapses)) == (model.order, list(model.synapses))


def test_a_chain_comes_back_equal(tmp_path):
    model = chain([4, 3, 3, 2], key=jr.key(1))
    save_model(model, tmp_path)
    assert eqx.tree_equal(load_model(str(tmp_path)), model)


INSTANCES = {"Polynomial": lambda: Polynomial(3), "ScaledLagrangian": lambda: 0.5 * Softmax(jnp.float32(2.0))}
INSTANCES |= {
    "AlongAxis": lambda: AlongAxis(Softmax(), (0,)),
    "SumLagrangian": lambda: Tanh() + 0.1 * Tanh(jnp.float32(3.0)),
}


SHAPES = {"MixtureOfFactors": (3, 2)}


@pytest.mark.parametrize("kind", list(LAGRANGIANS.classes))
def test_every_lagrangian_comes_back_equal(kind, tmp_path):
    lagrangian = INSTANCES.get(kind, LAGRANGIANS.classes[kind])()
    shape = SHAPES.get(kind, (3,))
    model = HAM({"a": Layer(shape, lagrangian)}, [Bias("a", jnp.zeros(shape))])
    save_model(model, tmp_path)
    assert eqx.tree_equal(load_model(tmp_path), model)


def test_functions_of_the_user_are_not_saved(tmp_path):
    layers = {"a": Layer(2, Sigmoid()), "b": Layer(2, Sigmoid())}
    model = HAM(layers, {"mine": Interaction(("a", "b"), lambda a, b: jnp.sum(a * b))})
    with pytest.raises(ValueError, match="'mine'.*Interaction"):
        save_model(model, tmp_path / "never")
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda d: d.update(schema=99), "schema 99, expected 1"),
        (
            lambda d: d["layers"][0]["lagrangian"].update(kind="os.system"),
            "'x'.*'os.system' is unknown as a Lagrangian",
        ),
        (lambda d: d["layers"][0]["lagrangian"].pop("slope"), "'x'.*slope"),
        (lambda d: d["synapses"][0]["synapse"].update(kind="Convolution"), "'x-a'.*'Convolution'"),
        (
            lambda d: d["synapses"][0]["synapse"]["weight"].update(shape=[6, 5]),
            r"synapses\.x-a\.weight.*\[6, 5\].*\[6, 4\]",
        ),
        (lambda d: d["synapses"].pop(0), "x-a"),
        (lambda d: d["layers"][0].update(shape=[7]), "shape"),
        (lambda d: d.pop("layers"), "malformed"),
        (lambda d: d["layers"].append("x"), "malformed"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(saved, change, match):
    edit(saved[1], change)
    with pytest.raises(ValueError, match=match):
        load_model(saved[1])


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda a: a.pop("synapses.a.bias"), r"lacks synapses\.a\.bias, of shape \[4\]"),
        (lambda a: a.update({"synapses.a.bias": np.zeros(5, np.float32)}), r"synapses\.a.*\[4\].*\[5\]"),
        (lambda a: a.update({"synapses.a.bias": np.zeros(4, np.int32)}), r"synapses\.a.*int32"),
        (lambda a: a.update(extra=np.zeros(1)), "extra"),
    ],
)
def test_weights_that_do_not_fit_are_refused(saved, change, match):
    edit_weights(saved[1], change)
    with pytest.raises(ValueError, match=match):
        load_model(saved[1])


@pytest.mark.parametrize("name", ["model.json", "weights.safetensors"])
@pytest.mark.parametrize("content", [b"", b"\x00\xff{", b"[1]", None])
def test_damaged_and_missing_files_are_refused(saved, name, content):
    path = saved[1] / name
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(ValueError, match=name):
        load_model(saved[1])


def test_dtypes_are_kept(tmp_path):
    model = jax.tree.map(
        lambda x: x.astype(jnp.float16) if eqx.is_array(x) else x, chain([3, 2], key=jr.key(0))
    )
    save_model(model, tmp_path)
    assert eqx.tree_equal(load_model(tmp_path), model)


def test_weights_that_jax_rounds_are_announced(tmp_path):
    save_model(chain([3, 2], key=jr.key(0)), tmp_path)
    with jax.enable_x64(True):
        double = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), chain([3, 2], Tanh(), key=jr.key(0)))
        save_model(double, tmp_path)
        assert load_model(tmp_path).synapses["output"].bias.dtype == jnp.float64
    with jax.enable_x64(False), pytest.warns(UserWarning, match="holds float64.*jax_enable_x64"):
        assert load_model(tmp_path).synapses["output"].bias.dtype == jnp.float32


class Overlap(eqx.Module):
    """A function of activations with a field of each kind."""

    strength: Array
    power: int = eqx.field(static=True)
    shifts: tuple[float, ...] = (0.5, 1.0)

    def __call__(self, a, b):
        return -self.strength * jnp.sum(a * b) ** self.power + sum(self.shifts)


class Doubled(AbstractElementwise):
    """Neurons of a user."""

    slope: float
    holomorphic: ClassVar[bool] = True
    linear_gain: ClassVar[float | None] = None

    def pointwise(self, state):
        return self.slope * state**2

    def activation(self, state):
        return 2 * self.slope * state

    def energy(self, state):
        return self(state)


def own_model():
    layers = {"a": Layer(2, Doubled(0.3)), "b": Layer(2, Sigmoid())}
    return HAM(
        layers,
        [0.5 * Interaction(("a", "b"), Overlap(jnp.array(0.7, jnp.float32), 2)), Bias("a", jnp.ones(2))],
    )


def test_classes_of_the_user_come_back_where_the_loader_is_given_them(tmp_path):
    save_model(own_model(), tmp_path)
    assert eqx.tree_equal(load_model(tmp_path, types=[Overlap, Doubled]), own_model())


@pytest.mark.parametrize(
    ("types", "missing"), [((), "Doubled"), ((Doubled,), "Overlap"), ((Overlap,), "Doubled")]
)
def test_a_file_constructs_no_class_that_the_loader_is_not_given(types, missing, tmp_path):
    save_model(own_model(), tmp_path)
    with pytest.raises(ValueError, match=f"'{missing}' is unknown.*`types`"):
        load_model(tmp_path, types=types)


def test_a_class_of_the_user_cannot_take_the_place_of_another(tmp_path):
    impostor = type("Dense", (Overlap,), {})
    save_model(own_model(), tmp_path)
    with pytest.raises(ValueError, match="`types` has.*other names than"):
        load_model(tmp_path, types=[impostor])
    with pytest.raises(ValueError, match="cannot be written as a synapse"):
        save_model(HAM(own_model().layers, [Interaction(("a", "b"), impostor(jnp.ones(()), 2))]), tmp_path)
