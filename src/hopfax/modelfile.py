"""Models as files: weights in safetensors, the rest in JSON; loading runs no code of the file's choosing."""

import dataclasses
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import safetensors
from safetensors.numpy import load, save

from . import lagrangians
from ._checks import require_kind
from ._json import parse
from .checkpoint import write_json, write_whole
from .chn import CHN
from .feedback import Scaled, Weighted
from .ham import HAM
from .lagrangians import AbstractLagrangian
from .layers import Layer
from .network import AbstractNetwork
from .synapses import AbstractSynapse, Bias, Dense

SCHEMA = 1
NETWORKS: Mapping[str, type[HAM] | type[CHN]] = MappingProxyType({"HAM": HAM, "CHN": CHN})
DESCRIPTION, WEIGHTS = "model.json", "weights.safetensors"

LAGRANGIANS: Mapping[str, type[AbstractLagrangian]] = MappingProxyType(
    {
        kind.__name__: kind
        for kind in (
            lagrangians.Identity,
            lagrangians.Sigmoid,
            lagrangians.Tanh,
            lagrangians.ReLU,
            lagrangians.HardSigmoid,
            lagrangians.Softmax,
            lagrangians.LayerNorm,
            lagrangians.SphericalNorm,
        )
    }
)


def save_model(model: AbstractNetwork, directory: str | Path) -> None:
    """Write `model.json` and `weights.safetensors` into `directory`, made if it is not there.

    Raises: `ValueError` for a layer or synapse of a kind that files do not have, such as an `Interaction`,
    naming it; `OSError` where the files cannot be written.
    """
    require_kind("model", model, AbstractNetwork, "hopfax.chain([784, 512, 10], key=key)")
    directory = Path(directory)
    arrays: dict[str, np.ndarray] = {}
    description = {
        "schema": SCHEMA,
        "hopfax": version("hopfax"),
        "network": type(model).__name__,
        "layers": [_describe_layer(name, model.layers[name], arrays) for name in model.order],
        "synapses": [_describe_synapse(name, synapse, arrays) for name, synapse in model.synapses.items()],
    }
    directory.mkdir(parents=True, exist_ok=True)
    write_whole(directory / WEIGHTS, save(arrays))
    write_json(directory / DESCRIPTION, description)


def load_model(directory: str | Path) -> HAM | CHN:
    """The model that `save_model` wrote.

    Raises: `ValueError` where a file is missing, damaged, or does not fit the other, naming the entry with
    what was expected and what was found.
    """
    directory = Path(directory)
    description = _read_description(directory / DESCRIPTION)
    kind = _kind(description)
    weights = _Weights(directory / WEIGHTS, _read_weights(directory / WEIGHTS))
    try:
        layers = {entry["name"]: _layer(entry, weights) for entry in description["layers"]}
        synapses = {entry["name"]: _synapse(entry, weights) for entry in description["synapses"]}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"`{directory / DESCRIPTION}` is malformed: {type(error).__name__} {error}."
        ) from error
    weights.refuse_unused()
    return kind(layers, synapses)


def _kind(description: dict[str, Any]) -> type[HAM] | type[CHN]:
    """Files written before there were CHNs do not say."""
    name = description.get("network", "HAM")
    if not isinstance(name, str) or name not in NETWORKS:
        raise ValueError(f"the network is a {name!r}; known are {', '.join(NETWORKS)}.")
    return NETWORKS[name]


class _Weights:
    """Arrays by name, each to be taken once."""

    def __init__(self, path: Path, arrays: dict[str, np.ndarray]):
        self.path, self.arrays, self.taken = path, arrays, set()

    def take(self, name: str, shape: tuple[int, ...]) -> Any:
        if name not in self.arrays:
            raise ValueError(f"`{self.path}` has no {name}, expected shape {list(shape)}.")
        array = self.arrays[name]
        if array.shape != shape or array.dtype.kind != "f":
            raise ValueError(
                f"{name} in `{self.path}` should be floating point of shape {list(shape)}, is {array.dtype} "
                f"of shape {list(array.shape)}."
            )
        if not np.isfinite(array).all():
            raise ValueError(f"{name} in `{self.path}` holds NaN or infinity; train again.")
        self.taken.add(name)
        return jnp.asarray(array)

    def refuse_unused(self) -> None:
        if unused := sorted(set(self.arrays) - self.taken):
            raise ValueError(f"`{self.path}` has entries that the model does not: {', '.join(unused)}.")


def _describe_layer(name: str, layer: Layer, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    if isinstance(layer.lagrangian, Weighted):
        plain = Layer(layer.shape, layer.lagrangian.lagrangian)
        return {**_describe_layer(name, plain, arrays), "weight": layer.lagrangian.weight}
    kind = type(layer.lagrangian).__name__
    if LAGRANGIANS.get(kind) is not type(layer.lagrangian):
        raise ValueError(f"layer {name!r} cannot be saved: {kind} is not one of {', '.join(LAGRANGIANS)}.")
    parameters: dict[str, Any] = {}
    for field in dataclasses.fields(layer.lagrangian):
        value = getattr(layer.lagrangian, field.name)
        if eqx.is_array(value):
            entry = f"layers.{name}.{field.name}"
            arrays[entry] = np.asarray(value)
            parameters[field.name] = {"array": entry, "shape": list(value.shape)}
        else:
            parameters[field.name] = float(value)
    return {"name": name, "shape": list(layer.shape), "lagrangian": {"kind": kind, "parameters": parameters}}


def _layer(entry: dict[str, Any], weights: _Weights) -> Layer:
    name, kind, parameters = (
        _name(entry["name"]),
        entry["lagrangian"]["kind"],
        entry["lagrangian"]["parameters"],
    )
    if kind not in LAGRANGIANS:
        raise ValueError(
            f"layer {name!r} has an unknown Lagrangian {kind!r}; known are {', '.join(LAGRANGIANS)}."
        )
    expected = {field.name for field in dataclasses.fields(LAGRANGIANS[kind])}
    if parameters.keys() != expected:
        raise ValueError(
            f"layer {name!r}: {kind} has parameters {sorted(expected)}, found {sorted(parameters)}."
        )
    values = {key: _parameter(value, weights) for key, value in parameters.items()}
    lagrangian: Any = LAGRANGIANS[kind](**values)
    weighted = Weighted(lagrangian, entry["weight"]) if "weight" in entry else lagrangian
    return Layer(tuple(entry["shape"]), weighted)


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no name of a layer or synapse; names are texts.")
    return value


def _parameter(value: Any, weights: _Weights) -> Any:
    return weights.take(value["array"], tuple(value["shape"])) if isinstance(value, dict) else float(value)


def _describe_synapse(name: str, synapse: AbstractSynapse, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    if isinstance(synapse, Scaled):
        return {**_describe_synapse(name, synapse.synapse, arrays), "factor": synapse.factor}
    if not isinstance(synapse, Dense | Bias):
        raise ValueError(
            f"synapse {name!r} cannot be saved: a file holds Dense and Bias only, and "
            f"{type(synapse).__name__} may be any function. Save its arrays yourself, or build it anew "
            "after loading the rest."
        )
    kind, array = ("Dense", synapse.weight) if isinstance(synapse, Dense) else ("Bias", synapse.bias)
    arrays[f"synapses.{name}"] = np.asarray(array)
    return {"name": name, "kind": kind, "layers": list(synapse.layers), "shape": list(array.shape)}


def _synapse(entry: dict[str, Any], weights: _Weights) -> AbstractSynapse:
    name, kind = _name(entry["name"]), entry["kind"]
    layers = tuple(_name(layer) for layer in entry["layers"])
    if (kind, len(layers)) not in (("Dense", 2), ("Bias", 1)):
        raise ValueError(
            f"synapse {name!r} is a {kind!r} of {len(layers)} layers; known are Dense of 2 and Bias of 1."
        )
    array = weights.take(f"synapses.{name}", tuple(entry["shape"]))
    synapse = Dense(layers, array) if len(layers) == 2 else Bias(layers[0], array)
    return Scaled(synapse, entry["factor"]) if "factor" in entry else synapse


def _read_description(path: Path) -> dict[str, Any]:
    try:
        description = parse(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ValueError(f"`{path}` cannot be read as a model ({type(error).__name__}: {error}).") from error
    schema = description.get("schema") if isinstance(description, dict) else None
    if schema != SCHEMA:
        raise ValueError(
            f"`{path}` has schema {schema!r}, expected {SCHEMA}; load it with the hopfax that wrote it."
        )
    return description


def _read_weights(path: Path) -> dict[str, np.ndarray]:
    try:
        return load(path.read_bytes())
    except (OSError, safetensors.SafetensorError) as error:
        raise ValueError(f"`{path}` cannot be read as weights ({type(error).__name__}: {error}).") from error
