"""Wrong uses of relaxing and differentiating a network, of solvers, costs and optimisers."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np

import hopfax
from hopfax import CHN, EvenOdd, Method, PartialClamp, chain, objective, relax
from hopfax import gradients as g
from hopfax import solvers as s
from hopfax.costs import BinaryCrossEntropy, CrossEntropy, SquaredError, StateSquaredError, SumCost
from hopfax.diagnostics.spectra import critical_nudge, smallest_hessian_eigenvalue
from hopfax.gradients import nudging
from hopfax.lagrangians import Identity
from hopfax.networks import predictive_coding
from hopfax.papers import paper_method
from hopfax.training.madam import madam
from hopfax.training.warm_starts import WarmStarts
from hopfax.updates import Damped, ErrorOptimisation, LocalSteps

from .networks import KEY, tiny
from .table import Row, Tensor

IMAGE, TARGET = np.zeros(2, np.float32), np.zeros(2, np.float32)
COST = SquaredError()
NAN = float("nan")


def clamped(value) -> object:
    return relax(tiny(), {"input": value})


def solved(**settings) -> object:
    return relax(tiny(), {"input": IMAGE}, method=Method(**settings))


def valued(cost=COST, target=TARGET, clamp=None, **options) -> object:
    return objective(tiny(), {"input": IMAGE} if clamp is None else clamp, cost, target, **options)


def trained(gradient, model=None, cost=COST) -> object:
    return objective(model or tiny(), {"input": IMAGE}, cost, TARGET, method=Method(gradient=gradient))


ROWS = [
    Row(
        "relax something that is not a network",
        lambda _: relax("HAM", {}),
        ValueError,
        r"`model='HAM'`.*chain",
    ),
    Row(
        "clamp of a list",
        lambda _: relax(tiny(), [IMAGE]),
        ValueError,
        r"`clamp` must be \{layer: state\}, got list",
    ),
    Row("clamp of an array", lambda _: relax(tiny(), IMAGE), ValueError, r"`clamp`.*\{layer: state\}"),
    Row(
        "clamp of an unknown layer",
        lambda _: relax(tiny(), {"inptu": IMAGE}),
        ValueError,
        r"clamp.*'inptu'.*\['input', 'hidden', 'output'\]",
    ),
    Row(
        "clamp of a wrong width",
        lambda _: clamped(np.zeros(5)),
        ValueError,
        r"clamp\['input'\].*\(5,\).*\(2,\)",
    ),
    Row(
        "clamp of a transposed batch",
        lambda _: clamped(np.zeros((2, 7))),
        ValueError,
        r"\(2, 7\).*\(batch, 2\)",
    ),
    Row("clamp of two batch axes", lambda _: clamped(np.zeros((3, 4, 2))), ValueError, r"\(3, 4, 2\)"),
    Row("clamp of a scalar", lambda _: clamped(1.0), ValueError, r"has shape \(\).*needs \(2,\)"),
    Row(
        "clamp of complex numbers",
        lambda _: clamped(np.zeros(2, complex)),
        ValueError,
        r"real numbers, got complex",
    ),
    Row(
        "clamp of text",
        lambda _: clamped(np.array(["a", "b"])),
        ValueError,
        r"clamp\['input'\].*real numbers",
    ),
    Row(
        "clamp of objects",
        lambda _: clamped(np.array([None, {}], object)),
        ValueError,
        r"clamp\['input'\].*real numbers",
    ),
    Row(
        "clamp of dates",
        lambda _: clamped(np.array(["2024-01-01"] * 2, "datetime64[D]")),
        ValueError,
        r"clamp\['input'\].*real numbers",
    ),
    Row("clamp of a ragged list", lambda _: clamped([[1.0, 2.0], [1.0]]), ValueError, r"clamp\['input'\]"),
    Row("clamp of None", lambda _: clamped(None), ValueError, r"clamp\['input'\].*None"),
    Row(
        "clamp of an empty batch",
        lambda _: clamped(np.zeros((0, 2))),
        ValueError,
        r"empty batch.*at least one",
    ),
    Row(
        "clamp of all layers",
        lambda _: relax(tiny(), {"input": IMAGE, "hidden": np.zeros(3), "output": TARGET}),
        ValueError,
        r"clamps every layer.*model\.energy",
    ),
    Row(
        "batches of different sizes",
        lambda _: relax(tiny(), {"input": np.zeros((3, 2)), "output": np.zeros((4, 2))}),
        ValueError,
        r"'input': 3.*'output': 4",
    ),
    Row(
        "start of an unknown layer",
        lambda _: relax(tiny(), {"input": IMAGE}, start={"hiden": np.zeros(3)}),
        ValueError,
        r"start.*'hiden'",
    ),
    Row(
        "start of a wrong shape",
        lambda _: relax(tiny(), {"input": IMAGE}, start={"hidden": np.zeros(2)}),
        ValueError,
        r"start\['hidden'\].*\(2,\).*\(3,\)",
    ),
    Row(
        "start of another batch",
        lambda _: relax(tiny(), {"input": np.zeros((3, 2))}, start={"hidden": np.zeros((2, 3))}),
        ValueError,
        r"'input': 3.*'hidden': 2",
    ),
    Row(
        "partial clamp with a mask of numbers",
        lambda _: clamped(PartialClamp(jnp.zeros(2), jnp.zeros(2))),
        ValueError,
        r"mask.*bool",
    ),
    Row(
        "partial clamp with a mask of another shape",
        lambda _: clamped(PartialClamp(jnp.zeros(2), jnp.zeros(3, bool))),
        ValueError,
        r"\(3,\).*\(2,\)",
    ),
    Row(
        "partial clamp of neurons that compete",
        lambda _: relax(
            hopfax.ModernHopfield(np.eye(3, dtype=np.float32), 1.0).ham(),
            {"memory": PartialClamp(jnp.zeros(3), jnp.ones(3, bool))},
        ),
        ValueError,
        r"'memory' cannot be clamped in part.*Softmax",
    ),
    Row("negative rtol", lambda _: solved(rtol=-1e-4), ValueError, r"rtol=-0\.0001.*0 or more"),
    Row("NaN rtol", lambda _: solved(rtol=NAN), ValueError, r"rtol=nan"),
    Row("NaN atol", lambda _: solved(atol=NAN), ValueError, r"atol=nan"),
    Row("rtol of a text", lambda _: solved(rtol="1e-4"), ValueError, r"rtol='1e-4'"),
    Row("infinite steps", lambda _: solved(max_steps=float("inf")), ValueError, r"max_steps=inf.*whole"),
    Row("negative steps", lambda _: solved(max_steps=-5), ValueError, r"max_steps=-5"),
    Row("two and a half steps", lambda _: solved(max_steps=2.5), ValueError, r"max_steps=2\.5.*whole"),
    Row("steps of None", lambda _: solved(max_steps=None), ValueError, r"max_steps=None"),
    Row(
        "trace by a name",
        lambda _: relax(tiny(), {"input": IMAGE}, trace="energy"),
        ValueError,
        r"trace='energy'.*Trace\(100, energy=True\)",
    ),
    Row("trace of -1 steps", lambda _: s.Trace(-1, energy=True), ValueError, r"trace=-1.*at least 0"),
    Row(
        "error optimisation by a step of 2",
        lambda _: ErrorOptimisation(2.0),
        ValueError,
        r"ErrorOptimisation\(step=2\.0\).*\(0, 1\]",
    ),
    Row(
        "error optimisation of sigmoid layers",
        lambda _: solved(update=ErrorOptimisation()),
        ValueError,
        r"needs linear layers.*'hidden' has `Sigmoid`",
    ),
    Row(
        "predictive coding of sigmoid layers",
        lambda _: trained(g.PredictiveCoding()),
        ValueError,
        r"needs a linear layer.*`Sigmoid`",
    ),
    Row(
        "predictive coding of layers that predict nothing",
        lambda _: trained(g.PredictiveCoding(), chain([2, 3, 2], Identity(), key=KEY)),
        ValueError,
        r"needs a network of predictions.*'hidden'",
    ),
    Row(
        "predictive coding of a cross-entropy",
        lambda _: trained(g.PredictiveCoding(), predictive_coding([2, 3, 2], key=KEY), CrossEntropy()),
        ValueError,
        r"`CrossEntropy` has no clamp.*SquaredError",
    ),
    Row(
        "predictive coding of a state",
        lambda _: jax.grad(
            lambda x: relax(tiny(), {"input": x}, method=Method(gradient=g.PredictiveCoding())).energy
        )(IMAGE),
        ValueError,
        r"`PredictiveCoding` differentiates a cost.*hopfax\.objective",
    ),
    Row("negative trace", lambda _: relax(tiny(), {"input": IMAGE}, trace=-1), ValueError, r"trace=-1"),
    Row("trace of a half", lambda _: relax(tiny(), {"input": IMAGE}, trace=1.5), ValueError, r"trace=1\.5"),
    Row("update by name", lambda _: solved(update="even-odd"), ValueError, r"update='even-odd'.*EvenOdd\(\)"),
    Row(
        "update by class",
        lambda _: solved(update=EvenOdd),
        ValueError,
        r"update=EvenOdd`.*such as `EvenOdd\(\)",
    ),
    Row(
        "solver by name", lambda _: solved(solver="anderson"), ValueError, r"solver='anderson'.*Anderson\(\)"
    ),
    Row(
        "solver by class",
        lambda _: solved(solver=s.Anderson),
        ValueError,
        r"solver=Anderson`.*such as `Anderson\(\)",
    ),
    Row(
        "gradient by name",
        lambda _: solved(gradient="implicit"),
        ValueError,
        r"gradient='implicit'.*Implicit\(\)",
    ),
    Row(
        "gradient of a cost for relax",
        lambda _: jax.grad(
            lambda x: relax(tiny(), {"input": x}, method=Method(gradient=g.CoupledLearning())).energy
        )(IMAGE),
        ValueError,
        r"`CoupledLearning` differentiates a cost.*hopfax\.objective",
    ),
    Row(
        "nudging the states of a CHN",
        lambda _: relax(
            CHN.like(tiny()), {"input": IMAGE}, method=Method(gradient=g.EquilibriumPropagation())
        ),
        ValueError,
        r"CHN.*to_ham",
    ),
    Row("coupling of zero", lambda _: g.CoupledLearning(0.0), ValueError, r"beta=0\.0.*\(0, 1\)"),
    Row(
        "coupling by a named variant",
        lambda _: g.CoupledLearning(0.1, "centred"),
        ValueError,
        r"variant='centred'.*Centred\(\)",
    ),
    Row(
        "coupling on a circle",
        lambda _: g.CoupledLearning(0.1, nudging.Holomorphic()),
        ValueError,
        r"complex.*Centred\(\)",
    ),
    Row(
        "clamping an output that is not linear",
        lambda _: trained(g.ContrastiveLearning()),
        ValueError,
        r"'output'.*linear neurons.*Identity\(\)",
    ),
    Row(
        "clamping the input as the output",
        lambda _: trained(g.CoupledLearning(), cost=SquaredError("input")),
        ValueError,
        r"clamps layer 'input'.*free layers",
    ),
    Row(
        "clamping two outputs",
        lambda _: trained(g.ContrastiveLearning(), cost=SquaredError("hidden") + SquaredError()),
        ValueError,
        r"one output layer.*'hidden', 'output'",
    ),
    Row(
        "unrolling a flow",
        lambda _: solved(solver=s.GradientFlow(), gradient=g.Unrolled()),
        ValueError,
        r"Unrolled.*Picard",
    ),
    Row(
        "unknown method of the papers",
        lambda _: paper_method("HAM-DEQ-EO"),
        ValueError,
        r"'HAM-DEQ-EO'.*HAM-EO-DEQ",
    ),
    Row(
        "method of the papers of no steps",
        lambda _: paper_method("HAM", 0),
        ValueError,
        r"`steps=0`.*at least 1",
    ),
    Row(
        "method of the papers of no backward steps",
        lambda _: paper_method("HAM", 40, 0),
        ValueError,
        r"steps=0.*at least 1",
    ),
    Row(
        "cost on an unknown layer",
        lambda _: valued(SquaredError("outptu")),
        ValueError,
        r"'outptu'.*\['input', 'hidden', 'output'\]",
    ),
    Row("cost by name", lambda _: valued("squared"), ValueError, r"`cost='squared'`.*SquaredError\(\)"),
    Row(
        "cost by class", lambda _: valued(SquaredError), ValueError, r"`cost=SquaredError`.*SquaredError\(\)"
    ),
    Row(
        "target of another width",
        lambda _: valued(target=np.zeros(3)),
        ValueError,
        r"`target`.*\(3,\).*\(2,\)",
    ),
    Row(
        "target of a class for a network without batch",
        lambda _: valued(target=1),
        ValueError,
        r"`target`.*\(\).*one_hot",
    ),
    Row(
        "target of another batch",
        lambda _: valued(clamp={"input": np.zeros((3, 2))}, target=np.zeros((4, 2))),
        ValueError,
        r"target.*\(4, 2\).*3 examples",
    ),
    Row(
        "target in a tensor", lambda _: valued(target=Tensor()), ValueError, r"`target`.*Tensor.*np\.asarray"
    ),
    Row(
        "clamp at a tensor",
        lambda _: clamped(Tensor()),
        ValueError,
        r"`clamp\['input'\]`.*Tensor.*np\.asarray",
    ),
    Row(
        "clamp at a tensor in part",
        lambda _: clamped(PartialClamp(Tensor(), np.ones(2, bool))),
        ValueError,
        r"`PartialClamp\.state`.*Tensor.*np\.asarray",
    ),
    Row(
        "start at a tensor",
        lambda _: relax(tiny(), {"input": IMAGE}, start={"output": Tensor()}),
        ValueError,
        r"`start\['output'\]`.*Tensor.*np\.asarray",
    ),
    Row(
        "weight in a tensor",
        lambda _: hopfax.Dense(("a", "b"), Tensor()),
        ValueError,
        r"`weight`.*Tensor.*np\.asarray",
    ),
    Row(
        "target of text", lambda _: valued(target=np.array(["a", "b"])), ValueError, r"`target`.*real numbers"
    ),
    Row(
        "target of complex numbers",
        lambda _: valued(target=np.zeros(2, complex)),
        ValueError,
        r"`target`.*complex",
    ),
    Row("method by name", lambda _: valued(method="HAM"), ValueError, r"`method='HAM'`.*paper_method"),
    Row(
        "nudge by a cost of the state",
        lambda _: trained(g.EquilibriumPropagation(0.1), cost=StateSquaredError()),
        ValueError,
        r"StateSquaredError.*SquaredError",
    ),
    Row(
        "nudge of a CHN",
        lambda _: trained(g.EquilibriumPropagation(0.1), CHN.like(tiny())),
        ValueError,
        r"CHN.*to_ham",
    ),
    Row(
        "nudge of a clamped layer",
        lambda _: objective(
            tiny(),
            {"input": IMAGE},
            SquaredError("input"),
            TARGET,
            method=Method(gradient=g.EquilibriumPropagation(0.1)),
        ),
        ValueError,
        r"'input'.*not free",
    ),
    Row("nudge of zero", lambda _: g.EquilibriumPropagation(0.0), ValueError, r"beta=0\.0.*\(0, 1\)"),
    Row("negative nudge", lambda _: g.EquilibriumPropagation(-0.1), ValueError, r"beta=-0\.1"),
    Row("nudge of NaN", lambda _: g.EquilibriumPropagation(NAN), ValueError, r"beta=nan"),
    Row("nudge of a text", lambda _: g.EquilibriumPropagation("0.1"), ValueError, r"beta='0\.1'"),
    Row(
        "nudge of a list", lambda _: g.EquilibriumPropagation([0.1, 0.2]), ValueError, r"beta=\[0\.1, 0\.2\]"
    ),
    Row(
        "nudge by a named variant",
        lambda _: g.EquilibriumPropagation(0.1, "centred"),
        ValueError,
        r"variant='centred'.*Centred\(\)",
    ),
    Row("circle of one point", lambda _: nudging.Holomorphic(1), ValueError, r"count=1.*at least 2"),
    Row("circle of NaN points", lambda _: nudging.Holomorphic(NAN), ValueError, r"count=nan"),
    Row("backprop of no steps", lambda _: g.RecurrentBackprop(0), ValueError, r"steps=0.*at least 1"),
    Row("backprop of half steps", lambda _: g.RecurrentBackprop(2.5), ValueError, r"steps=2\.5"),
    Row("phantom of no steps", lambda _: g.Phantom(0), ValueError, r"steps=0"),
    Row("phantom without steps of the map", lambda _: g.Phantom(5, 1.0), ValueError, r"damping=1\.0"),
    Row("unrolling no steps", lambda _: g.Unrolled(0), ValueError, r"steps=0"),
    Row("Neumann series of no terms", lambda _: g.Neumann(0), ValueError, r"terms=0"),
    Row(
        "conjugate gradient of no products",
        lambda _: g.ConjugateGradient(max_products=0),
        ValueError,
        r"max_products=0",
    ),
    Row("conjugate gradient to NaN", lambda _: g.ConjugateGradient(rtol=NAN), ValueError, r"rtol=nan"),
    Row(
        "adjoint without a Jacobian", lambda _: g.ConjugateGradient(damping=1.0), ValueError, r"damping=1\.0"
    ),
    Row("adjoint by name", lambda _: g.Implicit("cg"), ValueError, r"adjoint='cg'.*ConjugateGradient\(\)"),
    Row("Anderson of half a step", lambda _: s.Anderson(delay=0.5), ValueError, r"delay=0\.5.*at least 0"),
    Row("Anderson of no window", lambda _: s.Anderson(window=0), ValueError, r"window=0.*at least 2"),
    Row("Anderson of a window of a text", lambda _: s.Anderson(window="5"), ValueError, r"window='5'"),
    Row("Anderson without mixing", lambda _: s.Anderson(mixing=0.0), ValueError, r"mixing=0\.0"),
    Row("Anderson starting at NaN", lambda _: s.Anderson(start_rtol=NAN), ValueError, r"start_rtol=nan"),
    Row(
        "Anderson with underrelaxation",
        lambda _: s.Anderson(max_overrelaxation=0.5),
        ValueError,
        r"max_overrelaxation=0\.5",
    ),
    Row(
        "Anderson with a named safeguard",
        lambda _: s.Anderson(safeguard="energy"),
        ValueError,
        r"safeguard='energy'.*EnergyEstimate\(\)",
    ),
    Row(
        "Anderson with a number for a ridge",
        lambda _: s.Anderson(ridge=1e-8),
        ValueError,
        r"ridge=1e-08.*Relative\(\)",
    ),
    Row("negative ridge", lambda _: s.Absolute(-1.0), ValueError, r"factor=-1\.0"),
    Row("Broyden of no memory", lambda _: s.Broyden(memory=0), ValueError, r"memory=0"),
    Row("Broyden of a short reach", lambda _: s.Broyden(reach=0.5), ValueError, r"reach=0\.5"),
    Row("Picard with full damping", lambda _: s.Picard(1.0), ValueError, r"damping=1\.0"),
    Row("Picard of NaN", lambda _: s.Picard(NAN), ValueError, r"damping=nan"),
    Row("Picard of a text", lambda _: s.Picard("0.5"), ValueError, r"damping='0\.5'"),
    Row("Newton to a tolerance of 1", lambda _: s.newton(1.0), ValueError, r"rtol=1\.0"),
    Row("Newton of no products", lambda _: s.newton(max_products=0), ValueError, r"max_products=0"),
    Row("flow of negative steps", lambda _: s.GradientFlow(step=-1.0), ValueError, r"step=-1\.0"),
    Row("flow with share zero", lambda _: s.GradientFlow(share=0.0), ValueError, r"share=0\.0"),
    Row(
        "flow by a name",
        lambda _: solved(solver=s.GradientFlow("tsit5")),
        ValueError,
        r"solver='tsit5'.*Tsit5",
    ),
    Row(
        "flow with a solver for a controller",
        lambda _: solved(solver=s.GradientFlow(diffrax.Tsit5(), diffrax.Tsit5())),
        ValueError,
        r"controller.*ConstantStepSize",
    ),
    Row("damping to a standstill", lambda _: Damped(EvenOdd(), 0.0), ValueError, r"step=0\.0"),
    Row("damping a name", lambda _: Damped("synchronous"), ValueError, r"update='synchronous'"),
    Row("local steps of none", lambda _: LocalSteps(0), ValueError, r"steps=0"),
    Row(
        "cross-entropy read at slope zero",
        lambda _: BinaryCrossEntropy(slope=0.0),
        ValueError,
        r"slope=0\.0.*positive",
    ),
    Row(
        "two costs of one layer",
        lambda _: SumCost((COST, CrossEntropy())),
        ValueError,
        r"\['output', 'output'\].*one for each layer",
    ),
    Row("no costs", lambda _: SumCost(()), ValueError, r"at least one cost"),
    Row(
        "warm starts of an unknown layer",
        lambda _: WarmStarts.cold(tiny(), ["hiden"], 3),
        ValueError,
        r"'hiden'",
    ),
    Row(
        "warm starts of no examples",
        lambda _: WarmStarts.cold(tiny(), ["hidden"], 0),
        ValueError,
        r"examples=0",
    ),
    Row(
        "warm start beyond the last",
        lambda _: WarmStarts.cold(tiny(), ["hidden"], 3).start(np.array([3])),
        ValueError,
        r"index.*\[0, 3\)",
    ),
    Row(
        "warm start at -1",
        lambda _: WarmStarts.cold(tiny(), ["hidden"], 3).start(np.array([-1])),
        ValueError,
        r"index.*\[0, 3\)",
    ),
    Row(
        "warm start at a half",
        lambda _: WarmStarts.cold(tiny(), ["hidden"], 3).start(np.array([0.5])),
        ValueError,
        r"whole numbers.*float",
    ),
    Row("Madam of rate zero", lambda _: madam(0.0), ValueError, r"learning_rate=.*got 0\.0"),
    Row("Madam of rate NaN", lambda _: madam(NAN), ValueError, r"learning_rate=.*got nan"),
    Row("Madam of a rate in text", lambda _: madam("0.01"), ValueError, r"learning_rate=.*got '?0\.01"),
    Row("Madam of decay one", lambda _: madam(0.01, decay=1.0), ValueError, r"decay=.*got 1\.0"),
    Row(
        "Madam on whole numbers",
        lambda _: madam(0.01).init({"w": jnp.zeros(2, int)}),
        ValueError,
        r"floating-point.*int",
    ),
    Row(
        "Madam without weights",
        lambda _: madam(0.01).update({"w": jnp.zeros(2)}, madam(0.01).init({"w": jnp.zeros(2)})),
        ValueError,
        r"params=None",
    ),
    Row(
        "smallest Hessian eigenvalue without a state",
        lambda _: smallest_hessian_eigenvalue(tiny(), {"input": IMAGE}, {}, key=KEY),
        ValueError,
        r"states.*output",
    ),
    Row(
        "critical nudge with a seed for a key",
        lambda _: critical_nudge(
            tiny(), {"input": IMAGE}, {"hidden": jnp.zeros(3), "output": jnp.zeros(2)}, COST, TARGET, key=3
        ),
        ValueError,
        r"key.*3",
    ),
]
