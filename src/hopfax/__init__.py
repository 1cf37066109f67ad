"""hopfax: Hopfield networks and hierarchical associative memories in JAX."""

from importlib import import_module as _import_module
from importlib.metadata import version as _version

from . import classical as classical
from . import costs as costs
from . import data as data
from . import gradients as gradients
from . import lagrangians as lagrangians
from . import separations as separations
from . import similarities as similarities
from . import solvers as solvers
from . import synapses as synapses
from . import updates as updates
from .chn import CHN as CHN
from .equilibrium import Equilibrium as Equilibrium
from .equilibrium import Status as Status
from .equilibrium_layer import EquilibriumLayer as EquilibriumLayer
from .equilibrium_layer import as_function as as_function
from .graph import Graph as Graph
from .ham import HAM as HAM
from .ham import chain as chain
from .ham import connect as connect
from .layers import Known as Known
from .layers import Layer as Layer
from .memory import Memory as Memory
from .methods import Method as Method
from .methods import paper_method as paper_method
from .modelfile import load_model as load_model
from .modelfile import save_model as save_model
from .modern import ModernHopfield as ModernHopfield
from .network import AbstractNetwork as AbstractNetwork
from .objective import objective as objective
from .one_matrix import OneMatrix as OneMatrix
from .relax import relax as relax
from .synapses import Bias as Bias
from .synapses import Dense as Dense
from .synapses import Interaction as Interaction
from .updates import Coloured as Coloured
from .updates import Damped as Damped
from .updates import EvenOdd as EvenOdd
from .updates import Synchronous as Synchronous
from .warm import WarmStarts as WarmStarts

__version__ = _version("hopfax")


def __getattr__(name: str):
    """`estimators`, `hub` and `interop` when they are first asked for: others' libraries take their time."""
    if name in ("estimators", "hub", "interop"):
        return _import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
