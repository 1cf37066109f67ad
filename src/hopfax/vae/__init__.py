"""Variational autoencoders whose encoder and decoder are relaxing networks, trained by equilibrium propagation."""

from .._internal.lazy import submodules as _submodules
from .config import VAEConfig as VAEConfig
from .equilibrium_propagation import EPGradient as EPGradient
from .likelihoods import Bernoulli as Bernoulli
from .likelihoods import Gaussian as Gaussian
from .likelihoods import OffsetBernoulli as OffsetBernoulli
from .loss import ImplicitGradient as ImplicitGradient
from .loss import Loss as Loss
from .loss import negative_elbo as negative_elbo
from .model import AbstractVAE as AbstractVAE
from .model import HopfieldVAE as HopfieldVAE
from .model import parameters as parameters
from .networks import Tied as Tied
from .networks import Untied as Untied
from .networks import dense as dense
from .networks import layered as layered
from .posterior import FixedVariance as FixedVariance
from .posterior import LearnedVariance as LearnedVariance
from .posterior import Posterior as Posterior
from .run import VAEJob as VAEJob
from .training import ELBO as ELBO

__getattr__ = _submodules(__name__, "completion")
