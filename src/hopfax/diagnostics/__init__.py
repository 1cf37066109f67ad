"""Diagnostics: whether gradients agree, spectra at an equilibrium, and the papers' measure of convergence."""

from .convergence import first_crossing as first_crossing
from .convergence import fixed_iterations as fixed_iterations
from .convergence import paper_iterations as paper_iterations
from .exactness import LayerExactness as LayerExactness
from .exactness import LayerStep as LayerStep
from .exactness import exactness as exactness
from .gradient_check import array_cosines as array_cosines
from .gradient_check import check_gradients as check_gradients
from .gradient_check import worst_array as worst_array
from .saturation import saturation as saturation
from .spectra import critical_nudge as critical_nudge
from .spectra import smallest_hessian_eigenvalue as smallest_hessian_eigenvalue
from .spectra import spectral_radius as spectral_radius
from .spectra import warn_of_large_nudge as warn_of_large_nudge
from .summaries import TraceSummary as TraceSummary
from .summaries import residual_histogram as residual_histogram
from .summaries import summarise as summarise
