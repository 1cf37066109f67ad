"""Models as files: weights in safetensors, the rest in JSON. Loading a file runs no code from it."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import __version__, lagrangians
from .._internal.checks import require_kind
from .._internal.files import parse_json, write_atomic, write_json
from .._internal.registry import Registry
from . import synapses
from .chn import CHN
from .ham import HAM
from .layers import Layer
from .network import AbstractNetwork
from .synapses import AbstractSynapse

SCHEMA = 1
NETWORKS: Mapping[str, type[HAM] | type[CHN]] = MappingProxyType({"HAM": HAM, "CHN": CHN})
DESCRIPTION, WEIGHTS = "model.json", "weights.safetensors"

LAGRANGIANS = Registry(
    "a Lagrangian",
    (
        *(lagrangians.Identity, lagrangians.Linear, lagrangians.Sigmoid, lagrangians.Tanh, lagrangians.ReLU),
        *(lagrangians.StandardisedInput, lagrangians.HardSigmoid, lagrangians.Softmax, lagrangians.LayerNorm),
        *(lagrangians.SphericalNorm, lagrangians.MixtureOfFactors),
        *(lagrangians.Polynomial, lagrangians.Exponential, lagrangians.Sparsemax, lagrangians.Entmax),
        *(lagrangians.Softmax1, lagrangians.Normmax, lagrangians.KSubsets),
        *(lagrangians.ScaledLagrangian, lagrangians.SumLagrangian, lagrangians.AlongAxis),
    ),
    others=True,
)
SYNAPSES = Registry(
    "a synapse",
    (
        *(synapses.Dense, synapses.Bias, synapses.Interaction, synapses.ScaledSynapse, synapses.SharedDense),
        *(synapses.OneToOne, synapses.Conv, synapses.ConvPool, synapses.Attention, synapses.Prediction),
        *(synapses.AveragePool, synapses.MaxPool, synapses.SoftPool),
        *LAGRANGIANS.classes.values(),  # activations of predictions
    ),
    others=True,
)


def save_model(model: AbstractNetwork, directory: str | Path) -> None:
    """Write `model.json` and `weights.safetensors` into `directory`, which is made if it does not exist.

    Lagrangians, synapses and functions of an `Interaction` may be `eqx.Module`s of your own: fields are saved, and
    `load_model` needs their classes.
    Raises: `ValueError` for a layer or synapse that cannot be saved, such as an `Interaction` of a plain function,
        naming it; `OSError` where the files cannot be written.
    """
    from safetensors.numpy import save  # imported here, so that all else works without it

    require_kind("model", model, AbstractNetwork, "hopfax.chain([784, 512, 10], key=key)")
    directory = Path(directory)
    arrays: dict[str, np.ndarray] = {}
    description = {
        "schema": SCHEMA,
        "hopfax": __version__,
        "network": type(model).__name__,
        "layers": [_describe_layer(name, model.layers[name], arrays) for name in model.order],
        "synapses": [_describe_synapse(name, synapse, arrays) for name, synapse in model.synapses.items()],
    }
    directory.mkdir(parents=True, exist_ok=True)
    write_atomic(directory / WEIGHTS, save(arrays))
    write_json(directory / DESCRIPTION, description)


def load_model(directory: str | Path, *, types: Sequence[type] = ()) -> HAM | CHN:
    """The model that `save_model` wrote into `directory`.

    A file runs no code: it names classes, and only those of hopfax and of `types` are constructed, from their fields.
    `load_model(path, types=[Lattice])` reads a model with a synapse of your class `Lattice`.
    Weights in float64 are rounded to float32, with a warning, unless `jax_enable_x64` is on.
    Raises: `ValueError` where a file is missing or damaged, or the two do not fit, naming the entry with what was
        expected and what is there.
    """
    directory = Path(directory)
    description = _read_description(directory / DESCRIPTION)
    kind = _kind(description)
    weights = _Weights(directory / WEIGHTS, _read_weights(directory / WEIGHTS))
    try:
        neurons, joints = LAGRANGIANS.extended(types), SYNAPSES.extended(types)
        layers = {entry["name"]: _layer(entry, weights, neurons) for entry in description["layers"]}
        joined = {entry["name"]: _synapse(entry, weights, joints) for entry in description["synapses"]}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"`{directory / DESCRIPTION}` is malformed: {type(error).__name__} {error}."
        ) from error
    weights.check_all_taken()
    return kind(layers, joined)


def _kind(description: dict[str, Any]) -> type[HAM] | type[CHN]:
    name = description.get("network")
    if not isinstance(name, str) or name not in NETWORKS:
        raise ValueError(f"the network is a {name!r}; it must be one of {', '.join(NETWORKS)}.")
    return NETWORKS[name]


class _Weights:
    """The arrays of a file by name; each is to be taken once."""

    def __init__(self, path: Path, arrays: dict[str, np.ndarray]):
        self.path, self.arrays, self.taken = path, arrays, set()

    def take(self, name: str, shape: tuple[int, ...]) -> Any:
        """The array of that name. Raises: `ValueError` where it is missing, of another shape or kind, or not finite."""
        if name not in self.arrays:
            raise ValueError(f"`{self.path}` lacks {name}, of shape {list(shape)}.")
        array = self.arrays[name]
        if array.shape != shape or array.dtype.kind != "f":
            raise ValueError(
                f"{name} in `{self.path}` must be floating point of shape {list(shape)}, but is {array.dtype} of shape "
                f"{list(array.shape)}."
            )
        if not np.isfinite(array).all():
            raise ValueError(f"{name} in `{self.path}` holds NaN or infinity; train again.")
        self.taken.add(name)
        return jnp.asarray(array)

    def check_all_taken(self) -> None:
        """Raises: `ValueError` where an array was not taken."""
        if unused := sorted(set(self.arrays) - self.taken):
            raise ValueError(f"`{self.path}` has entries that the model lacks: {', '.join(unused)}.")


def _describe_layer(name: str, layer: Layer, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    try:
        described = LAGRANGIANS.to_dict(layer.lagrangian, arrays, f"layers.{name}")
    except ValueError as error:
        raise ValueError(f"layer {name!r} cannot be saved: {error}") from error
    return {"name": name, "shape": list(layer.shape), "lagrangian": described}


def _layer(entry: dict[str, Any], weights: _Weights, registry: Registry) -> Layer:
    name = _name(entry["name"])
    try:
        return Layer(tuple(entry["shape"]), registry.from_dict(entry["lagrangian"], weights.take))
    except ValueError as error:
        raise ValueError(f"layer {name!r}: {error}") from error


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a name of a layer or synapse; names are strings.")
    return value


def _describe_synapse(name: str, synapse: AbstractSynapse, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    try:
        return {"name": name, "synapse": SYNAPSES.to_dict(synapse, arrays, f"synapses.{name}")}
    except ValueError as error:
        raise ValueError(
            f"synapse {name!r} cannot be saved: {error} Write the function of an `Interaction` as an `eqx.Module`."
        ) from error


def _synapse(entry: dict[str, Any], weights: _Weights, registry: Registry) -> AbstractSynapse:
    name = _name(entry["name"])
    try:
        return registry.from_dict(entry["synapse"], weights.take)
    except ValueError as error:
        raise ValueError(f"synapse {name!r}: {error}") from error


def _read_description(path: Path) -> dict[str, Any]:
    try:
        description = parse_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ValueError(f"`{path}` cannot be read as a model ({type(error).__name__}: {error}).") from error
    schema = description.get("schema") if isinstance(description, dict) else None
    if schema != SCHEMA:
        raise ValueError(
            f"`{path}` has schema {schema!r}, expected {SCHEMA}; load it with the hopfax that wrote it."
        )
    return description


def _read_weights(path: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        weights = load(path.read_bytes())
    except (OSError, SafetensorError) as error:
        raise ValueError(f"`{path}` cannot be read as weights ({type(error).__name__}: {error}).") from error
    _warn_where_rounded(path, weights)
    return weights


def _warn_where_rounded(path: Path, weights: dict[str, np.ndarray]) -> None:
    if any(jax.dtypes.canonicalize_dtype(array.dtype) != array.dtype for array in weights.values()):
        warnings.warn(
            f"`{path}` holds float64 and JAX computes in float32, so weights are rounded. "
            '`jax.config.update("jax_enable_x64", True)` before loading keeps them.',
            stacklevel=4,
        )
