"""Analysis: what a network remembers, how it settles, and at which temperature."""

from hopfax.analysis import convergence as convergence
from hopfax.analysis import phase as phase
