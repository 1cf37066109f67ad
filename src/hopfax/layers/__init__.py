"""Hopfield layers for deep networks: association, pooling and lookup with heads, projections and masks.

They are Equinox modules. `hopfax.interop.as_function` gives them to Flax, and `hopfax.interop.torch.TorchModule` to
PyTorch. Source: Ramsauer et al. (2020), "Hopfield networks is all you need", arXiv:2008.02217.
"""

from .blocks import DecoderBlock as DecoderBlock
from .blocks import EncoderBlock as EncoderBlock
from .blocks import FeedForwardBlock as FeedForwardBlock
from .hopfield import Association as Association
from .hopfield import Hopfield as Hopfield
from .hopfield import Sizes as Sizes
from .iterations import AbstractIteration as AbstractIteration
from .iterations import Relaxed as Relaxed
from .iterations import Repeated as Repeated
from .pooling import HopfieldLayer as HopfieldLayer
from .pooling import HopfieldPooling as HopfieldPooling
