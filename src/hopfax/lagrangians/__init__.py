"""Lagrangians: convex scalars whose gradients are the activations of a layer.

A layer of state `s` is described by one convex function `L(s)`. Its gradient `g = dL/ds` is the activation, and its
Legendre transform `L*(g) = s·g - L(s)` is the energy that the layer adds to the network.

Parameters may be Python floats, which stay fixed (`equinox.filter_jit` treats them as static), or scalar JAX arrays,
which are trained: `Softmax(beta=jnp.asarray(2.0))`. A batch of Lagrangians, to sweep a temperature for example, is
`equinox.filter_vmap(Softmax)(betas)`.

Sources: Krotov (2021), "Hierarchical associative memory", arXiv:2107.06446; Krotov and Hopfield (2021),
"Large associative memory problem in neurobiology and machine learning", arXiv:2008.06996.
"""

from .base import AbstractCoupled as AbstractCoupled
from .base import AbstractElementwise as AbstractElementwise
from .base import AbstractLagrangian as AbstractLagrangian
from .base import ClampedLagrangian as ClampedLagrangian
from .base import ScaledLagrangian as ScaledLagrangian
from .base import SumLagrangian as SumLagrangian
from .coupled import AlongAxis as AlongAxis
from .coupled import LayerNorm as LayerNorm
from .coupled import MixtureOfFactors as MixtureOfFactors
from .coupled import Softmax as Softmax
from .coupled import SphericalNorm as SphericalNorm
from .elementwise import HardSigmoid as HardSigmoid
from .elementwise import Identity as Identity
from .elementwise import Linear as Linear
from .elementwise import ReLU as ReLU
from .elementwise import Sigmoid as Sigmoid
from .elementwise import StandardisedInput as StandardisedInput
from .elementwise import Tanh as Tanh
from .separations import Entmax as Entmax
from .separations import Exponential as Exponential
from .separations import Polynomial as Polynomial
from .separations import Softmax1 as Softmax1
from .separations import Sparsemax as Sparsemax
from .thresholds import AbstractThreshold as AbstractThreshold
from .thresholds import KSubsets as KSubsets
from .thresholds import Normmax as Normmax
