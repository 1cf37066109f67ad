"""Draw the pictures of the courses into docs/images: `python tools/draw_docs.py`, a few minutes on one core.

Numbers are made here, by hopfax, each time; the pages say what is to be seen.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import hopfax
from hopfax import figures as plots
from hopfax.figures.style import PALETTE
from hopfax.gradients import Centred, EquilibriumPropagation, Implicit, Positive
from hopfax.lagrangians import Identity, Tanh
from hopfax.memory import phase
from hopfax.solvers import Anderson, Picard, Trace

IMAGES = Path(__file__).parent.parent / "docs" / "images"
UPDATES = {
    "all at once": hopfax.Synchronous(),
    "half a step": hopfax.updates.Damped(hopfax.Synchronous(), 0.5),
    "even and odd": hopfax.EvenOdd(),
}


def main() -> None:
    """Draw all, or those named on the command line."""
    drawings: dict[str, Callable[[], Figure]] = {
        "course_landscape": landscape,
        "course_sweeps": sweeps,
        "course_recall": recall,
        "course_recall_energy": recall_energy,
        "course_energy": energy,
        "course_nudge": nudge,
        "course_vae": reconstructions,
    }
    for name in sys.argv[1:] or drawings:
        path = IMAGES / f"{name}.png"
        drawings[name]().savefig(path, dpi=150, bbox_inches="tight")
        print(path)


def landscape() -> Figure:
    """The energy of two neurons at two weights, and how three updates move through it."""
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    weak, strong, paths = figure.subplots(1, 3, sharey=True)
    for axes, weight in ((weak, 0.5), (strong, 2.0), (paths, 2.0)):
        _contours(axes, weight)
    weak.set_title("weight 0.5: one basin")
    strong.set_title("weight 2: two, and a saddle")
    paths.set_title("three ways to move")
    strong.plot([0], [0], "x", color="white", markersize=9, markeredgewidth=2)
    lowest = 0.9575
    for place in (-lowest, lowest):
        strong.plot([place], [place], "o", color="white", markersize=6)
    weak.plot([0], [0], "o", color="white", markersize=6)
    for (name, update), colour in zip(UPDATES.items(), ("#ff8c8c", "#ffd24d", "#7fe0a7"), strict=True):
        _path(paths, name, update, colour)
    paths.legend(loc="upper right", fontsize=8)
    weak.set_ylabel("activation of b")
    return figure


def _pair(weight: float) -> hopfax.HAM:
    layers = {"a": hopfax.Layer(1, Tanh()), "b": hopfax.Layer(1, Tanh())}
    return hopfax.HAM(layers, [hopfax.Dense(("a", "b"), jnp.array([[weight]]))])


def _contours(axes: Axes, weight: float) -> None:
    line = jnp.linspace(-0.995, 0.995, 121)
    state = jnp.arctanh(line)
    energy = lambda a, b: _pair(weight).energy({"a": a[None], "b": b[None]})
    values = jax.vmap(lambda b: jax.vmap(lambda a: energy(a, b))(state))(state)
    axes.contourf(line, line, values, 24, cmap="viridis")
    axes.contour(line, line, values, 24, colors="white", linewidths=0.3, alpha=0.5)
    axes.set(xlabel="activation of a", xlim=(-1, 1), ylim=(-1, 1), aspect="equal")
    axes.set(xticks=(-1, 0, 1), yticks=(-1, 0, 1))


def _path(axes: Axes, name: str, update, colour: str) -> None:
    """Where Picard iteration goes from one up, one down."""
    model, points = _pair(2.0), [{"a": jnp.array([1.0]), "b": jnp.array([-1.0])}]
    kept = update.unknowns(model)
    for _ in range(8):
        known = {layer: points[-1][layer] for layer in kept}
        image = update.image(model, known)
        if len(kept) == 1:  # the eliminated layer moves first, then the kept one
            points.append({**update.reconstruct(model, known), **known})
        points.append({**points[-1], **image})
    places = np.array([[float(jnp.tanh(p[layer][0])) for layer in ("a", "b")] for p in points])
    axes.plot(*places.T, color=colour, marker="o", markersize=4, linewidth=1.8, label=name)


def sweeps() -> Figure:
    """Residuals of the four combinations on digits, and the energy of one digit."""
    images = hopfax.data.digits().test_images[:50]
    model = hopfax.chain([64, 32, 10], key=jr.key(0))
    combinations = {
        "synchronous": (hopfax.Synchronous(), Picard()),
        "synchronous, Anderson": (hopfax.Synchronous(), Anderson()),
        "even-odd": (hopfax.EvenOdd(), Picard()),
        "even-odd, Anderson": (hopfax.EvenOdd(), Anderson()),
    }
    relaxed = lambda update, solver, steps: hopfax.relax(
        model,
        {"input": images},
        method=hopfax.Method(update=update, solver=solver, rtol=0, atol=0, max_steps=steps),
        trace=Trace(40, energy=True),
    )
    traces = {name: relaxed(*own, 39).trace for name, own in combinations.items()}
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    plots.residual_curves(left, {n: np.asarray(t.residual) for n, t in traces.items()}, None)
    left.set(xlim=(0, 29), ylim=(1e-7, 1))
    plain = {name: np.asarray(traces[name].energy[0, :14]) for name in ("synchronous", "even-odd")}
    plots.energy_curves(right, plain)
    return figure


def recall() -> Figure:
    """Noisy digits at three inverse temperatures."""
    ten, noisy = _noisy_digits()
    rows = [("stored", ten), ("noisy", np.clip(noisy, 0, 1))]
    for beta in (0.8, 1.0, 4.0):
        memory = hopfax.Memory(hopfax.Memory.store(ten, beta=4.0).stored, jnp.asarray(beta, jnp.float32))
        rows.append((f"beta {beta:g}", np.clip(memory.recall(noisy).state, 0, 1)))
    return plots.images_figure([(title, images.reshape(-1, 8, 8)) for title, images in rows])


def recall_energy() -> Figure:
    """The energy of a noisy three after each step, at three inverse temperatures."""
    ten, noisy = _noisy_digits()
    energies = {}
    for beta in (0.8, 1.0, 4.0):
        network = hopfax.ModernHopfield(
            jnp.asarray(ten), beta, similarity=hopfax.memory.similarities.Euclidean()
        )
        trace = hopfax.relax(
            network.ham(),
            start={"visible": noisy[3]},
            method=hopfax.Method(solver=Picard(), rtol=1e-6),
            trace=Trace(16, energy=True),
        ).trace
        energies[f"beta {beta:g}"] = np.asarray(trace.energy)
    figure = Figure(figsize=(5.4, 3.2), layout="constrained")
    plots.energy_curves(figure.subplots(), energies)
    return figure


def _noisy_digits() -> tuple[np.ndarray, np.ndarray]:
    """One digit of each class, and the same with noise."""
    digits = hopfax.data.digits()
    ten = digits.train_images[[int(np.argmax(digits.train_labels == k)) for k in range(10)]]
    return ten, ten + 0.2 * np.random.default_rng(0).standard_normal(ten.shape).astype(np.float32)


def energy() -> Figure:
    """The energy between the average of ten equidistant patterns and one of them."""
    patterns = phase.equidistant_patterns(10, 12, norm=1.0, cosine=0.0, key=jr.key(0))
    thresholds = phase.thresholds(10)
    unit = float(phase.mean_field_beta(patterns, 1.0))
    mean, share = jnp.mean(patterns, axis=0), jnp.linspace(-0.05, 1.15, 200)
    betas = {
        "below the spinodal": 0.85 * thresholds.spinodal,
        "at the spinodal": thresholds.spinodal,
        "at coexistence": thresholds.coexistence,
        "twice that": 2 * thresholds.coexistence,
    }
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    for (name, beta), colour in zip(betas.items(), PALETTE, strict=False):
        network = hopfax.ModernHopfield(
            patterns, beta / unit, similarity=hopfax.memory.similarities.Euclidean()
        )
        values = jax.vmap(lambda t: network.energy(mean + t * (patterns[0] - mean)))(share)  # noqa: B023
        axes.plot(
            share, values - network.energy(mean), color=colour, linewidth=2, label=f"{name}, {beta:.2f}"
        )
    axes.axvline(0, color="0.7", linewidth=0.8)
    axes.axvline(1, color="0.7", linewidth=0.8)
    axes.set(
        xlabel="from the average (0) to a pattern (1)", ylabel="energy above the average's", ylim=(-0.25, 0.2)
    )
    axes.legend(frameon=False, fontsize=8, title="effective beta")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def nudge() -> Figure:
    """Error of equilibrium propagation against its nudge, in two precisions and two variants."""
    betas = np.logspace(-6, -0.5, 12)
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.subplots()
    variants = (("centred", Centred(), PALETTE[0]), ("one-sided", Positive(), PALETTE[1]))
    for double, style in ((True, "-"), (False, "--")):
        for name, variant, colour in variants:
            errors = _errors(betas, variant, double)
            label = f"{name}, float{64 if double else 32}"
            axes.loglog(betas, errors, style, color=colour, marker="o", markersize=3, label=label)
    axes.set(xlabel="nudge", ylabel="relative error of the gradient", ylim=(1e-10, 1))
    axes.legend(frameon=False, fontsize=8)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _errors(betas: np.ndarray, variant, double: bool) -> list[float]:
    with jax.enable_x64(double):
        kind = jnp.float64 if double else jnp.float32
        digits = hopfax.data.digits()
        images, targets = digits.train_images[:20].astype(kind), jax.nn.one_hot(digits.train_labels[:20], 10)
        model = hopfax.chain([64, 32, 10], [Identity(), Tanh(), Identity()], key=jr.key(0))
        model = jax.tree.map(lambda x: x.astype(kind) * 0.5 if eqx.is_array(x) else x, model)
        cost = hopfax.costs.SquaredError("output")

        def loss(model, gradient):
            method = hopfax.Method(gradient=gradient, rtol=1e-12 if double else 1e-7, max_steps=500)
            return jnp.mean(hopfax.objective(model, {"input": images}, cost, targets, method=method)[0])

        gradient = eqx.filter_jit(eqx.filter_grad(loss))
        flat = lambda tree: np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)]).astype(np.float64)
        exact = _exact(gradient, model, flat) if double else flat(gradient(model, Implicit()))
        estimates = [
            flat(gradient(model, EquilibriumPropagation(jnp.asarray(b, kind), variant))) for b in betas
        ]
    return [float(np.linalg.norm(estimate - exact) / np.linalg.norm(exact)) for estimate in estimates]


def _exact(gradient, model, flat) -> np.ndarray:
    tight = hopfax.gradients.ConjugateGradient(rtol=1e-13, max_products=500)
    return flat(gradient(model, Implicit(tight)))


def reconstructions() -> Figure:
    """Test digits, what the tied network makes of them, and samples, after twenty epochs."""
    from hopfax.data import digits
    from hopfax.training import train
    from hopfax.vae import VAEConfig
    from hopfax.vae.config import preset
    from hopfax.vae.evaluation import decode_mean, reconstruct
    from hopfax.vae.run import VAEJob, load_vae

    dataset = digits()
    config: VAEConfig = preset(dataset)
    with tempfile.TemporaryDirectory() as folder:
        train(VAEJob(config, dataset), Path(folder) / "run")
        vae, _ = load_vae(Path(folder) / "run")
    images = dataset.test_images[:10]
    latents = jr.normal(jr.key(3), (10, vae.latents))
    rows = [("digits", images), ("decoded", reconstruct(vae, images)), ("samples", decode_mean(vae, latents))]
    clipped = lambda x: np.clip(np.asarray(x), 0, 1).reshape(-1, 8, 8)
    return plots.images_figure([(title, clipped(x)) for title, x in rows])


if __name__ == "__main__":
    main()
