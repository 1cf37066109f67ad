"""Synapses: interaction energies of the activations that they join.

The drive of a layer is minus the gradient of their sum with respect to its activation. A function of your own becomes a
synapse through `Interaction`, which takes that gradient by autodiff. The others give it in closed form, which is traced
many times faster.
"""

from .base import AbstractSynapse as AbstractSynapse
from .base import Constant as Constant
from .base import Field as Field
from .base import ScaledSynapse as ScaledSynapse
from .dense import Bias as Bias
from .dense import Dense as Dense
from .interaction import Interaction as Interaction
