"""The mean-crossing curves of the 2024 paper's 3-layer CHNs, which its code prints, beside ours."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from .results import TOLERANCES, Result

# log10 of the tolerance -> mean index of the first step below it. Source: [goemaere2024], a notebook of its code.
PRINTED: Mapping[str, Mapping[float, float]] = MappingProxyType(
    {
        name: dict(zip((-2.0, -2.5, -3.0, -3.5, -4.0, -4.5, -5.0, -6.0, -7.0), values, strict=True))
        for name, values in {
            "3-CHN": (12.84, 20.63, 27.24, 33.35, 39.09, 44.42, 49.30, 57.69, 66.46),
            "3-CHN-DEQ": (7.97, 10.59, 13.75, 17.27, 20.61, 23.69, 26.69, 32.44, 39.77),
            "3-CHN-EO": (2.38, 3.57, 5.59, 9.51, 16.76, 29.19, 35.31, 37.28, 38.00),
            "3-CHN-EO-DEQ": (2.60, 3.81, 5.56, 9.02, 16.17, 28.83, 35.17, 37.00, 37.51),
        }.items()
    }
)


def crossing_table(results: Mapping[str, Sequence[Result]]) -> str:
    """In Markdown, the paper's and our mean index for each tolerance that it prints; empty without such results."""
    names = [name for name in PRINTED if results.get(name)]
    if not names:
        return ""
    decades = list(PRINTED[names[0]])
    lines = [("log10 of the tolerance", *(f"{each:g}" for each in decades)), ("---",) * (len(decades) + 1)]
    for name in names:
        ours = ours_at(results[name], decades)
        lines.append((f"{name}, paper", *(f"{PRINTED[name][each]:.2f}" for each in decades)))
        lines.append((f"{name}, ours", *(f"{each:.2f}" for each in ours)))
    return "\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def ours_at(found: Sequence[Result], decades: Sequence[float]) -> list[float]:
    """Mean over seeds at `10 ** decade`, each one of `TOLERANCES`."""
    places = [int(np.argmin(np.abs(np.log10(TOLERANCES) - decade))) for decade in decades]
    return [float(each) for each in np.mean([result.crossing for result in found], axis=0)[places]]
