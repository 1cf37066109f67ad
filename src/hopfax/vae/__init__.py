"""Variational autoencoders whose encoder and decoder are one relaxing network, trained by equilibrium propagation."""

from .config import VAEConfig as VAEConfig
from .likelihoods import Bernoulli as Bernoulli
from .likelihoods import Gaussian as Gaussian
from .likelihoods import Ink as Ink
from .loss import Autodiff as Autodiff
from .loss import Loss as Loss
from .loss import negative_elbo as negative_elbo
from .model import AbstractVAE as AbstractVAE
from .model import HopfieldVAE as HopfieldVAE
from .model import parameters as parameters
from .networks import Pair as Pair
from .networks import Tied as Tied
from .networks import dense as dense
from .networks import layered as layered
from .neurons import Linear as Linear
from .posterior import Fixed as Fixed
from .posterior import Learned as Learned
from .posterior import Posterior as Posterior
from .propagation import Propagation as Propagation
