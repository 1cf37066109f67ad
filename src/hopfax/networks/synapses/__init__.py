"""Synapses: scalar interaction energies of the activations that they join.

The total drive of a layer is minus the gradient of their sum with respect to its activation. A function of your own
becomes a synapse through `Interaction`, which takes that gradient by autodiff; the others say it in closed form,
which is traced many times faster.
"""

from .base import AbstractSynapse as AbstractSynapse
from .conditioned import Constant as Constant
from .conditioned import Field as Field
from .dense import Bias as Bias
from .dense import Dense as Dense
from .interaction import Interaction as Interaction
