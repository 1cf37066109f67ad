"""Networks: layers joined by synapses, as a hierarchical associative memory or a continuous Hopfield network."""

from .block_matrix import BlockMatrix as BlockMatrix
from .chn import CHN as CHN
from .chn import CHNLagrangian as CHNLagrangian
from .files import load_model as load_model
from .files import save_model as save_model
from .graph import Graph as Graph
from .ham import HAM as HAM
from .ham import chain as chain
from .ham import connect as connect
from .ham import with_feedback as with_feedback
from .layers import Layer as Layer
from .layers import PartialClamp as PartialClamp
from .network import AbstractNetwork as AbstractNetwork
from .synapses import AbstractSynapse as AbstractSynapse
from .synapses import Bias as Bias
from .synapses import Constant as Constant
from .synapses import Dense as Dense
from .synapses import Field as Field
from .synapses import Interaction as Interaction
from .synapses import ScaledSynapse as ScaledSynapse
