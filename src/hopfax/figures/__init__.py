"""Figures: numbers in, Matplotlib axes or figures out. Needs Matplotlib."""

from .._internal.optional import needed

needed("`hopfax.figures` needs Matplotlib", "matplotlib", "'hopfax[apps]'")

from .convergence import convergence_figure as convergence_figure  # noqa: E402
from .convergence import convergence_heatmap as convergence_heatmap  # noqa: E402
from .convergence import energy_curves as energy_curves  # noqa: E402
from .convergence import residual_curves as residual_curves  # noqa: E402
from .convergence import summary_figure as summary_figure  # noqa: E402
from .convergence import summary_heatmap as summary_heatmap  # noqa: E402
from .convergence import training_curves as training_curves  # noqa: E402
from .images import images_figure as images_figure  # noqa: E402
from .images import images_row as images_row  # noqa: E402
