"""Diagnostics: whether gradients agree, spectra at an equilibrium, the papers' measure of convergence."""

from .convergence import first_crossing as first_crossing
from .convergence import fixed_iterations as fixed_iterations
from .convergence import paper_iterations as paper_iterations
from .gradient_audit import audit as audit
from .spectra import check_beta as check_beta
from .spectra import critical_nudge as critical_nudge
from .spectra import smallest_hessian_eigenvalue as smallest_hessian_eigenvalue
from .spectra import spectral_radius as spectral_radius
