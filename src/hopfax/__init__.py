"""hopfax: Hopfield networks and hierarchical associative memories in JAX.

Clamp some layers, relax the rest to equilibrium, then read the equilibrium or differentiate it. Everything below is
imported when it is first asked for, so that `import hopfax` does not import what is not used.
"""

import sys as _sys
from importlib import import_module as _import_module
from types import ModuleType as _ModuleType
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

if _TYPE_CHECKING:
    from .gradients import EquilibriumPropagation as EquilibriumPropagation
    from .gradients import Implicit as Implicit
    from .interop.pretrained import load_pretrained as load_pretrained
    from .memory import Memory as Memory
    from .memory import ModernHopfield as ModernHopfield
    from .method import Method as Method
    from .networks import CHN as CHN
    from .networks import HAM as HAM
    from .networks import Bias as Bias
    from .networks import Dense as Dense
    from .networks import Interaction as Interaction
    from .networks import Layer as Layer
    from .networks import PartialClamp as PartialClamp
    from .networks import chain as chain
    from .networks import connect as connect
    from .networks import load_model as load_model
    from .networks import save_model as save_model
    from .objective import objective as objective
    from .relax import relax as relax
    from .solvers import Anderson as Anderson
    from .solvers import Equilibrium as Equilibrium
    from .solvers import Picard as Picard
    from .solvers import Status as Status
    from .updates import EvenOdd as EvenOdd
    from .updates import Synchronous as Synchronous

__version__ = "0.1.0"

_HOMES = {
    "gradients": ("EquilibriumPropagation", "Implicit"),
    "interop.pretrained": ("load_pretrained",),
    "memory": ("Memory", "ModernHopfield"),
    "method": ("Method",),
    "networks": (
        *("HAM", "CHN", "Layer", "Dense", "Bias", "Interaction", "PartialClamp"),
        *("chain", "connect", "load_model", "save_model"),
    ),
    "objective": ("objective",),
    "relax": ("relax",),
    "solvers": ("Anderson", "Equilibrium", "Picard", "Status"),
    "updates": ("EvenOdd", "Synchronous"),
}
_NAMES = {name: module for module, names in _HOMES.items() for name in names}
_NAMESPACES = (
    *("costs", "data", "diagnostics", "figures", "gradients", "interop", "lagrangians", "layers", "memory"),
    *("networks", "papers", "parallel", "solvers", "training", "updates", "vae"),
)

__all__ = sorted({*_NAMES, *_NAMESPACES})  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> _Any:
    if name in _NAMES:
        value = getattr(_import_module(f".{_NAMES[name]}", __name__), name)
        globals()[name] = value
        return value
    if name in _NAMESPACES:
        return _import_module(f".{name}", __name__)
    raise AttributeError(
        f"module {__name__!r} has no attribute {name!r}; its packages are {', '.join(_NAMESPACES)}, and optimisers are "
        "those of optax",
        name=name,
        obj=_sys.modules[__name__],
    )


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


class _Package(_ModuleType):
    """Python binds each submodule to its name in the package; where a function has that name, the function stays."""

    def __setattr__(self, name: str, value: _Any) -> None:
        if isinstance(value, _ModuleType) and _NAMES.get(name) == name:
            value = getattr(value, name)
        super().__setattr__(name, value)


_sys.modules[__name__].__class__ = _Package
