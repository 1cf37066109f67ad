"""Synapses: interaction energies of the activations that they join.

The drive of a layer is minus the gradient of their sum with respect to its activation. A function of your own becomes a
synapse through `Interaction`, which takes that gradient by autodiff. The other synapses give the gradient in closed
form, which is traced many times faster.
"""

from .attention import Attention as Attention
from .base import AbstractSynapse as AbstractSynapse
from .base import Constant as Constant
from .base import Field as Field
from .base import ScaledSynapse as ScaledSynapse
from .convolution import AbstractPool as AbstractPool
from .convolution import AveragePool as AveragePool
from .convolution import Conv as Conv
from .convolution import ConvPool as ConvPool
from .convolution import MaxPool as MaxPool
from .convolution import SoftPool as SoftPool
from .dense import Bias as Bias
from .dense import Dense as Dense
from .interaction import Interaction as Interaction
from .prediction import Prediction as Prediction
from .transform import AbstractTransform as AbstractTransform
from .transform import OneToOne as OneToOne
from .transform import SharedDense as SharedDense
