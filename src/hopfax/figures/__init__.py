"""Figures: data in, Matplotlib axes or figures out."""

from .convergence import convergence_figure as convergence_figure
from .convergence import convergence_heatmap as convergence_heatmap
from .convergence import crossing_figure as crossing_figure
from .convergence import energy_curves as energy_curves
from .convergence import residual_curves as residual_curves
from .convergence import training_curves as training_curves
from .images import images_figure as images_figure
from .images import images_row as images_row
