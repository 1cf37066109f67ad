"""Wrong uses of recipes, training, evaluation, autoencoders, estimators, sweeps and devices."""

import dataclasses
from pathlib import Path

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax

from hopfax import CHN, EvenOdd
from hopfax.apps.reproduce.vae import reproduce_vae
from hopfax.costs import SquaredError
from hopfax.data import Dataset
from hopfax.interop.hub import pull_model, push_model
from hopfax.interop.pretrained import FILES, load_pretrained
from hopfax.interop.sklearn import HAMClassifier, HopfieldMemory
from hopfax.networks import gaussian, gaussian_mixture
from hopfax.papers import paper_method
from hopfax.parallel.mesh import device_grid, device_mesh, shard_layers
from hopfax.solvers import GradientFlow
from hopfax.training import (
    Architecture,
    Block,
    Classification,
    ClassifierJob,
    Completion,
    CompletionJob,
    CompletionRecipe,
    Compose,
    FromGaussian,
    FromMixture,
    Half,
    Mixture,
    RandomCrop,
    ScatteredPixels,
    SpectralPenalty,
    Trainer,
    TrainState,
    evaluate,
    evaluate_completion,
    fit,
    open_loggers,
    train,
)
from hopfax.training.optimisers import Adam, CosineDecay, Madam
from hopfax.training.recipes import Recipe, from_config, goemaere2023, goemaere2024, low_feedback
from hopfax.training.sweeps import run_sweep, variations
from hopfax.vae import Bernoulli, FixedVariance, Gaussian, OffsetBernoulli, VAEConfig
from hopfax.vae.run import VAEJob, load_vae

from .networks import KEY, tiny
from .table import Row

URL = "https://models.example/digits"

NAN = float("nan")
IMAGES, LABELS = np.zeros((4, 2), np.float32), np.array([0, 1, 0, 1], np.int32)
SMALL = Recipe(layers=(2, 3, 2), batch_size=2, epochs=1)
TRAINER = Trainer(optax.sgd(0.1), Classification(), batch_size=2)


def small(**changes) -> Recipe:
    return Recipe(**{"layers": (2, 3, 2), **changes})


def dataset() -> Dataset:
    return Dataset("small", IMAGES, LABELS, IMAGES, LABELS, classes=2, image_shape=(1, 2))


def pixels():
    return gaussian(np.zeros(2), np.eye(2), ridge=0.1)


def fitted(images=IMAGES, labels=LABELS, trainer=TRAINER, epochs=1) -> list:
    state = TrainState.begin(tiny(), trainer, key=KEY)
    return list(fit(trainer, state, images, labels, epochs=epochs))


def evaluated(images=IMAGES, labels=LABELS, **options) -> object:
    return evaluate(tiny(), images, labels, **{"method": paper_method("HAM"), **options})


def trained(folder: Path, recipe=SMALL, **options) -> object:
    return train(ClassifierJob(recipe, dataset()), folder / "run", **options)


def classifier(**parameters) -> HAMClassifier:
    return HAMClassifier((3,), **parameters).fit(IMAGES, LABELS)


ROWS = [
    Row(
        "augment by a name",
        lambda _: small(augmentation="crop"),
        ValueError,
        r"`Recipe\(augmentation='crop'\)`.*RandomCrop",
    ),
    Row(
        "augment by a class",
        lambda _: Classification(augmentation=RandomCrop),
        ValueError,
        r"`Classification\(augmentation=RandomCrop\)`.*RandomCrop\(padding=4\)",
    ),
    Row("compose names", lambda _: Compose(("crop",)), ValueError, r"augmentations='crop'.*RandomCrop\(4\)"),
    Row("compose a list", lambda _: Compose([RandomCrop(4)]), ValueError, r"augmentations=.*HorizontalFlip"),
    Row("crop by a half pixel", lambda _: RandomCrop(0.5), ValueError, r"RandomCrop\(padding=0\.5\)"),
    Row(
        "crop rows without a shape",
        lambda _: fitted(
            trainer=Trainer(optax.sgd(0.1), Classification(augmentation=RandomCrop(1)), batch_size=2)
        ),
        ValueError,
        r"image_shape=None.*\(height, width\)",
    ),
    Row(
        "train in a number",
        lambda _: train(ClassifierJob(SMALL, dataset()), 3),
        ValueError,
        r"`folder=3`.*path or a string",
    ),
    Row(
        "sweep in no folder",
        lambda _: run_sweep({"a": SMALL}, "digits", None),
        ValueError,
        r"`folder=None`.*path",
    ),
    Row("recipe of one layer", lambda _: small(layers=(2,)), ValueError, r"layers=\(2,\).*two positive"),
    Row("recipe of a number", lambda _: small(layers=3), ValueError, r"layers=3.*two positive"),
    Row("recipe of a text", lambda _: small(layers="784"), ValueError, r"layers=784.*two positive"),
    Row(
        "recipe of half neurons",
        lambda _: small(layers=(2, 2.5, 2)),
        ValueError,
        r"layers=\(2, 2\.5, 2\).*whole",
    ),
    Row("recipe of an unknown model", lambda _: small(model="RNN"), ValueError, r"'RNN'.*HAM-EO"),
    Row("recipe of no epochs", lambda _: small(epochs=0), ValueError, r"epochs=0.*at least 1"),
    Row("recipe of half epochs", lambda _: small(epochs=1.5), ValueError, r"epochs=1\.5.*whole"),
    Row("recipe of epochs in text", lambda _: small(epochs="10"), ValueError, r"epochs='10'.*whole"),
    Row("recipe of no batch", lambda _: small(batch_size=0), ValueError, r"batch_size=0"),
    Row(
        "recipe of negative rate",
        lambda _: small(learning_rate=-0.1),
        ValueError,
        r"learning_rate=-0\.1.*positive",
    ),
    Row(
        "recipe of infinite rate",
        lambda _: small(learning_rate=float("inf")),
        ValueError,
        r"learning_rate=inf",
    ),
    Row("recipe of rate NaN", lambda _: small(learning_rate=NAN), ValueError, r"learning_rate=nan"),
    Row(
        "recipe of a rate in text",
        lambda _: small(learning_rate="0.1"),
        ValueError,
        r"learning_rate='0\.1'.*number",
    ),
    Row(
        "recipe that falls to nothing",
        lambda _: small(final_learning_rate_fraction=0.0),
        ValueError,
        r"final_learning_rate_fraction=0\.0",
    ),
    Row("recipe of a negative seed", lambda _: small(seed=-1), ValueError, r"seed=-1"),
    Row("recipe of a huge seed", lambda _: small(seed=2**32), ValueError, r"seed=4294967296"),
    Row("recipe of half a seed", lambda _: small(seed=0.5), ValueError, r"seed=0\.5"),
    Row("recipe of smoothing one", lambda _: small(smoothing=1.0), ValueError, r"smoothing=1\.0"),
    Row("recipe to rtol zero", lambda _: small(rtol=0.0), ValueError, r"rtol=0\.0"),
    Row("recipe of two steps", lambda _: small(forward_steps=2), ValueError, r"forward_steps=2.*at least 3"),
    Row("recipe of no backward steps", lambda _: small(backward_steps=0), ValueError, r"backward_steps=0"),
    Row("recipe with a negative held-out part", lambda _: small(validation=-1), ValueError, r"validation=-1"),
    Row(
        "recipe by a named cost",
        lambda _: small(cost="squared"),
        ValueError,
        r"cost='squared'.*SquaredError\(\)",
    ),
    Row(
        "recipe by a named rule", lambda _: small(optimiser="adam"), ValueError, r"optimiser='adam'.*Adam\(\)"
    ),
    Row(
        "recipe by a named gradient",
        lambda _: small(gradient="ep"),
        ValueError,
        r"gradient='ep'.*EquilibriumPropagation",
    ),
    Row(
        "recipe by a named architecture",
        lambda _: small(architecture="deep"),
        ValueError,
        r"architecture='deep'.*Architecture\(\)",
    ),
    Row(
        "network of one layer",
        lambda _: Architecture().network((3,), key=KEY),
        ValueError,
        r"`\[3\]` needs at least two layers",
    ),
    Row("recipe of the papers with one layer", lambda _: goemaere2023([3]), ValueError, r"layers=\(3,\)"),
    Row(
        "recipe of the papers with a wrong name",
        lambda _: goemaere2024(model="HAM-OE"),
        ValueError,
        r"'HAM-OE'",
    ),
    Row(
        "recipe from settings that are none",
        lambda _: from_config({**SMALL.config(), "speed": 3}),
        ValueError,
        r"no recipe.*'speed'",
    ),
    Row(
        "recipe from settings with one missing",
        lambda _: from_config({}),
        ValueError,
        r"no recipe.*missing.*layers",
    ),
    Row("deep recipe of a CHN", lambda _: low_feedback(model="CHN"), ValueError, r"CHN.*feedback"),
    Row("Adam of negative decay", lambda _: Adam(-1.0), ValueError, r"weight_decay=-1\.0"),
    Row("Madam of no bound", lambda _: Madam(0.0), ValueError, r"gradient_bound=0\.0"),
    Row("cosine of endless warm-up", lambda _: CosineDecay(float("inf")), ValueError, r"warmup=inf"),
    Row(
        "training on other images",
        lambda d: trained(d, small(layers=(5, 2))),
        ValueError,
        r"layers \[5, 2\] do not fit small.*2 pixels",
    ),
    Row(
        "training of no recipe",
        lambda d: trained(d, "v1"),
        ValueError,
        r"recipe='v1'.*recipes\.goemaere2023\(\)",
    ),
    Row(
        "training on arrays",
        lambda d: train(ClassifierJob(SMALL, IMAGES), d / "run"),
        ValueError,
        r"dataset=.*data\.digits\(\)",
    ),
    Row(
        "training by too large a batch",
        lambda d: trained(d, small(batch_size=99)),
        ValueError,
        r"batch_size=99.*4 training examples",
    ),
    Row(
        "training that holds everything out",
        lambda d: trained(d, dataclasses.replace(SMALL, validation=4)),
        ValueError,
        r"size.*between 1 and 3",
    ),
    Row("training to stop after none", lambda d: trained(d, stop_after=0), ValueError, r"stop_after=0"),
    Row(
        "training to stop after the end",
        lambda d: trained(d, stop_after=2),
        ValueError,
        r"stop_after=2.*1 epochs",
    ),
    Row(
        "training with no checkpoints",
        lambda d: trained(d, checkpoint_chunks=0),
        ValueError,
        r"checkpoint_chunks=0.*at least 1",
    ),
    Row("training on no devices", lambda d: trained(d, devices=0), ValueError, r"devices=0"),
    Row("training on more devices than there are", lambda d: trained(d, devices=999), ValueError, r"999"),
    Row(
        "training in a folder in use",
        lambda d: ((d / "run").mkdir(), (d / "run" / "x").touch(), trained(d)),
        ValueError,
        r"not empty.*--resume",
    ),
    Row(
        "training in a file",
        lambda d: ((d / "run").touch(), trained(d)),
        (ValueError, OSError),
        r"File exists.*run",
    ),
    Row(
        "fitting images in cubes",
        lambda _: fitted(np.zeros((4, 2, 1), np.float32)),
        ValueError,
        r"images.*\(4, 2, 1\).*\(examples, 2\)",
    ),
    Row(
        "fitting images that are not finite", lambda _: fitted(IMAGES * NAN), ValueError, r"`images`.*finite"
    ),
    Row("fitting complex images", lambda _: fitted(IMAGES + 1j), ValueError, r"`images`.*complex"),
    Row(
        "fitting too few labels",
        lambda _: fitted(labels=LABELS[:3]),
        ValueError,
        r"labels.*\(3,\) for 4 images",
    ),
    Row(
        "fitting unknown labels",
        lambda _: fitted(labels=LABELS + 1),
        ValueError,
        r"labels.*\[1, 2\].*2 neurons",
    ),
    Row("fitting half labels", lambda _: fitted(labels=LABELS + 0.5), ValueError, r"`labels`.*whole.*float"),
    Row(
        "fitting one-hot labels", lambda _: fitted(labels=np.eye(4, 2)), ValueError, r"labels.*whole numbers"
    ),
    Row("fitting too few for a batch", lambda _: fitted(IMAGES[:1], LABELS[:1]), ValueError, r"batch_size=2"),
    Row("fitting nothing", lambda _: fitted(IMAGES[:0], LABELS[:0]), ValueError, r"\(0,\).*batch"),
    Row(
        "fitting by a clamp that is not there",
        lambda _: fitted(trainer=Trainer(optax.sgd(0.1), Classification(clamp="x"), batch_size=2)),
        ValueError,
        r"clamp='x'.*\['input'",
    ),
    Row("fitting no epochs in text", lambda _: fitted(epochs="1"), ValueError, r"epochs='1'.*whole"),
    Row(
        "trainer of no batch",
        lambda _: Trainer(optax.sgd(0.1), Classification(), batch_size=0),
        ValueError,
        r"batch_size=0",
    ),
    Row(
        "trainer of smoothing two",
        lambda _: Classification(smoothing=2.0),
        ValueError,
        r"smoothing=2\.0",
    ),
    Row(
        "penalty by a number",
        lambda _: Classification(penalty=0.1),
        ValueError,
        r"penalty=0\.1.*SpectralPenalty",
    ),
    Row(
        "completion with a number as penalty", lambda _: Completion(penalty=0.1), ValueError, r"penalty=0\.1"
    ),
    Row(
        "recipe with a number as penalty",
        lambda _: Recipe(layers=(2, 2), penalty=1),
        ValueError,
        r"penalty=1",
    ),
    Row(
        "recipe of a completion with a number as penalty",
        lambda _: CompletionRecipe(penalty=1),
        ValueError,
        r"CompletionRecipe.*penalty=1",
    ),
    Row(
        "penalty of a negative weight",
        lambda _: SpectralPenalty(-1.0),
        ValueError,
        r"weight=-1\.0.*0 or more",
    ),
    Row(
        "penalty of a CHN",
        lambda _: SpectralPenalty()(CHN.like(tiny()).condition({"input": jnp.zeros(2)}), EvenOdd(), {}),
        ValueError,
        r"SpectralPenalty.*HAM.*CHN.*to_ham",
    ),
    Row(
        "recipe of a CHN with a penalty",
        lambda _: small(model="CHN-EO", penalty=SpectralPenalty()),
        ValueError,
        r"CHN-EO.*penalty.*HAM",
    ),
    Row("penalty above one", lambda _: SpectralPenalty(limit=1.0), ValueError, r"limit=1\.0.*\[0, 1\)"),
    Row("penalty of no products", lambda _: SpectralPenalty(products=0), ValueError, r"products=0"),
    Row("trainer by a rate", lambda _: Trainer(0.1, Classification()), ValueError, r"optimiser=0\.1.*optax"),
    Row(
        "trainer by a named method",
        lambda _: Classification("HAM"),
        ValueError,
        r"method='HAM'.*paper_method",
    ),
    Row(
        "evaluating other images",
        lambda _: evaluated(np.zeros((4, 3))),
        ValueError,
        r"images.*\(4, 3\).*\(examples, 2\)",
    ),
    Row("evaluating nothing", lambda _: evaluated(IMAGES[:0], LABELS[:0]), ValueError, r"images.*\(0, 2\)"),
    Row(
        "evaluating with a label too few",
        lambda _: evaluated(labels=LABELS[:3]),
        ValueError,
        r"labels.*4 images",
    ),
    Row("evaluating in two steps", lambda _: evaluated(steps=2), ValueError, r"steps=2.*at least 3"),
    Row("evaluating in chunks of nothing", lambda _: evaluated(chunk=0), ValueError, r"chunk=0"),
    Row("evaluating by an unknown clamp", lambda _: evaluated(clamp="x"), ValueError, r"'x'.*\['input'"),
    Row(
        "evaluating by an unknown output",
        lambda _: evaluated(cost=SquaredError("x")),
        ValueError,
        r"'x'.*\['input'",
    ),
    Row(
        "evaluating a flow step by step",
        lambda _: evaluated(method=dataclasses.replace(paper_method("HAM"), solver=GradientFlow())),
        ValueError,
        r"GradientFlow.*Picard",
    ),
    Row(
        "logging to nowhere",
        lambda _: open_loggers(["wandb"]).__enter__(),
        ValueError,
        r"'wandb'.*tensorboard:FOLDER",
    ),
    Row(
        "logging to an unknown place",
        lambda _: open_loggers(["neptune:x"]).__enter__(),
        ValueError,
        r"'neptune:x'",
    ),
    Row(
        "sweep over no setting", lambda _: variations(SMALL, {"speed": [1]}), ValueError, r"'speed'.*'epochs'"
    ),
    Row(
        "VAE table with an unknown row",
        lambda _: reproduce_vae(["G-VAE"]),
        ValueError,
        r"unknown row 'G-VAE'.*TH-VAE",
    ),
    Row(
        "VAE table with a setting that its row determines",
        lambda _: reproduce_vae(changes={"seed": 1}),
        ValueError,
        r"`changes` names 'seed'.*'hidden'",
    ),
    Row("sweep over no values", lambda _: variations(SMALL, {"seed": []}), ValueError, r"'seed'.*no values"),
    Row("sweep over a number", lambda _: variations(SMALL, {"seed": 3}), ValueError, r"'seed'\]=3.*list"),
    Row("sweep over a wrong value", lambda _: variations(SMALL, {"epochs": [0]}), ValueError, r"epochs=0"),
    Row(
        "sweep into other folders",
        lambda d: run_sweep({"../x": SMALL}, "digits", d),
        ValueError,
        r"'\.\./x'.*name",
    ),
    Row("sweep on unknown data", lambda d: run_sweep({"x": SMALL}, "mnsit", d), ValueError, r"'mnsit'"),
    Row("mesh of no devices", lambda _: device_mesh(0), ValueError, r"devices=0"),
    Row("mesh of more devices than there are", lambda _: device_mesh(999), ValueError, r"999"),
    Row("grid of no rows", lambda _: device_grid(0, 1), ValueError, r"devices=0"),
    Row(
        "layers over an axis that is not there",
        lambda _: shard_layers(tiny(), device_mesh(1), axis="x"),
        ValueError,
        r"axis='x'.*\['data'\]",
    ),
    Row(
        "an unknown layer over devices",
        lambda _: shard_layers(tiny(), device_mesh(1), axis="data", layers=["x"]),
        ValueError,
        r"'x'.*\['input'",
    ),
    Row("autoencoder of an unknown model", lambda _: VAEConfig(model="big"), ValueError, r"'big'.*tied"),
    Row("autoencoder of no latents", lambda _: VAEConfig(latents=0), ValueError, r"latents=0"),
    Row(
        "autoencoder with two hidden layers that is no perceptron",
        lambda _: VAEConfig(hidden_layers=2),
        ValueError,
        r"hidden_layers=2.*'feedforward'.*'tied'",
    ),
    Row("autoencoder of half a latent", lambda _: VAEConfig(latents=2.5), ValueError, r"latents=2\.5.*whole"),
    Row(
        "autoencoder of negative pixel variance",
        lambda _: VAEConfig(pixel_variance=-1.0),
        ValueError,
        r"pixel_variance=-1\.0",
    ),
    Row(
        "autoencoder with a learning rate of NaN",
        lambda _: VAEConfig(learning_rate=NAN),
        ValueError,
        r"learning_rate=nan",
    ),
    Row(
        "autoencoder with a learning rate in text",
        lambda _: VAEConfig(learning_rate="1"),
        ValueError,
        r"learning_rate='1'.*number",
    ),
    Row(
        "autoencoder with an infinite learning rate",
        lambda _: VAEConfig(learning_rate=float("inf")),
        ValueError,
        r"learning_rate=inf",
    ),
    Row(
        "autoencoder of negative KL weight",
        lambda _: VAEConfig(kl_weight=-1.0),
        ValueError,
        r"kl_weight=-1\.0",
    ),
    Row(
        "autoencoder with a posterior of no width", lambda _: VAEConfig(sigma=0.0), ValueError, r"sigma=0\.0"
    ),
    Row("autoencoder with a seed in text", lambda _: VAEConfig(seed="x"), ValueError, r"seed='x'.*whole"),
    Row("autoencoder with a large nudge", lambda _: VAEConfig(beta=2.0), ValueError, r"beta=2\.0.*\(0, 1\)"),
    Row(
        "autoencoder on other images",
        lambda _: VAEJob(VAEConfig(pixels=5), dataset()),
        ValueError,
        r"pixels=5.*small, which has 2",
    ),
    Row(
        "autoencoder with no checkpoints",
        lambda d: train(VAEJob(VAEConfig(pixels=2), dataset()), d / "run", checkpoint_chunks=0),
        ValueError,
        r"checkpoint_chunks=0",
    ),
    Row("autoencoder from an empty folder", load_vae, ValueError, r"no vae\.safetensors.*hopfax vae train"),
    Row("Gaussian likelihood of no variance", lambda _: Gaussian(0.0), ValueError, r"variance=0\.0"),
    Row("Bernoulli likelihood of no slope", lambda _: Bernoulli(0.0), ValueError, r"slope=0\.0"),
    Row(
        "likelihood with an image scale of zero",
        lambda _: OffsetBernoulli(image_scale=0.0),
        ValueError,
        r"image_scale=0\.0",
    ),
    Row("posterior of no width", lambda _: FixedVariance(0.0), ValueError, r"sigma=0\.0"),
    Row("classifier of an unknown model", lambda _: classifier(model="RNN"), ValueError, r"'RNN'"),
    Row("classifier of no epochs", lambda _: classifier(epochs=0), ValueError, r"epochs=0"),
    Row(
        "classifier of negative rate",
        lambda _: classifier(learning_rate=-1.0),
        ValueError,
        r"learning_rate=-1\.0",
    ),
    Row(
        "classifier of one class",
        lambda _: HAMClassifier((3,)).fit(IMAGES, np.zeros(4)),
        ValueError,
        r"one class",
    ),
    Row("classifier of NaN", lambda _: HAMClassifier((3,)).fit(IMAGES * NAN, LABELS), ValueError, r"NaN"),
    Row(
        "classifier with too few labels",
        lambda _: HAMClassifier((3,)).fit(IMAGES, LABELS[:3]),
        ValueError,
        r"inconsistent numbers of samples",
    ),
    Row(
        "classifier with no layers in text",
        lambda _: HAMClassifier("big").fit(IMAGES, LABELS),
        ValueError,
        r"hidden_layers='big'",
    ),
    Row(
        "classifier asked before it was fitted",
        lambda _: HAMClassifier((3,)).predict(IMAGES),
        ValueError,
        r"not fitted",
    ),
    Row(
        "estimator of memory, cold",
        lambda _: HopfieldMemory(beta="cold").fit(IMAGES),
        ValueError,
        r"beta='cold'.*\"auto\"",
    ),
    Row(
        "estimator of memory to NaN",
        lambda _: HopfieldMemory(beta=1.0, tolerance=NAN).fit(np.eye(2)),
        ValueError,
        r"tolerance=nan",
    ),
    Row(
        "estimator of memory asked before it was fitted",
        lambda _: HopfieldMemory().transform(IMAGES),
        ValueError,
        r"not fitted",
    ),
    Row(
        "model to a hub by one name",
        lambda d: push_model(d, "digits"),
        ValueError,
        r"'digits' must be owner/name",
    ),
    Row("model from a hub by an address", lambda _: pull_model("https://x/y"), ValueError, r"owner/name"),
    Row("model from a hub by a path", lambda _: pull_model("../x"), ValueError, r"owner/name"),
    Row(
        "trained network of an unknown name",
        lambda _: load_pretrained("resnet"),
        ValueError,
        r"'resnet'.*choose from completion-digits",
    ),
    Row(
        "trained network of a URL without its hashes",
        lambda _: load_pretrained(URL),
        ValueError,
        r"hashes of model.json and weights.safetensors",
    ),
    Row(
        "trained network of a URL with other hashes",
        lambda _: load_pretrained(URL, sha256=dict.fromkeys(FILES, "abc")),
        ValueError,
        r"'abc' is not a SHA-256",
    ),
    Row(
        "trained network of the repository with hashes",
        lambda _: load_pretrained("conv-digits", sha256={}),
        ValueError,
        r"'conv-digits'.*leave it out",
    ),
    Row(
        "state of training with a seed for a key",
        lambda _: TrainState.begin(tiny(), TRAINER, key=0),
        ValueError,
        r"key=.*got 0",
    ),
    Row(
        "images of a batch for a state of text", lambda _: fitted(jnp.zeros(())), ValueError, r"images.*\(\)"
    ),
    Row("masks out of range", lambda _: ScatteredPixels(0.5, 1.5), ValueError, r"most=1\.5.*\[0, 1\]"),
    Row("masks of no range", lambda _: Block(0.6, 0.4), ValueError, r"least=0\.6.*least <= most"),
    Row("a mixture of no masks", lambda _: Mixture(()), ValueError, r"tuple of masks"),
    Row(
        "a mixture of too few weights",
        lambda _: Mixture((Half(), Block()), (1.0,)),
        ValueError,
        r"positive weight for each",
    ),
    Row("halves of a vector", lambda _: Half().check((2,)), ValueError, r"height, width.*\(2,\)"),
    Row(
        "completion by a name", lambda _: Completion(masks="half"), ValueError, r"masks=.*ScatteredPixels\(\)"
    ),
    Row(
        "completion by sigmoid pixels",
        lambda _: Completion(layer="input").check(tiny(), IMAGES, LABELS),
        ValueError,
        r"'input'.*HardSigmoid\(\)",
    ),
    Row(
        "completion of no layer",
        lambda _: Completion().check(tiny(), IMAGES, LABELS),
        ValueError,
        r"no layer 'visible'.*'input'",
    ),
    Row(
        "completion of a mask of numbers",
        lambda _: evaluate_completion(pixels(), IMAGES, np.ones(2), np.zeros(2)),
        ValueError,
        r"`known` must be bool, got float",
    ),
    Row(
        "completion from a guess of another size",
        lambda _: evaluate_completion(pixels(), IMAGES, np.ones(2, bool), np.zeros(3)),
        ValueError,
        r"`guess` has shape \(3,\)",
    ),
    Row(
        "completion of raw pixels",
        lambda _: Completion(masks=ScatteredPixels()).check(pixels(), 255 + IMAGES, LABELS),
        ValueError,
        r"lie in \[255.*scale pixels",
    ),
    Row(
        "completion of other images",
        lambda _: CompletionJob(CompletionRecipe(), dataset()),
        ValueError,
        r"\[784, 512\] do not fit small.*2 pixels",
    ),
    Row(
        "completion by no layers",
        lambda _: CompletionRecipe(layers=784),
        ValueError,
        r"layers=784.*\(784, 512\)",
    ),
    Row(
        "a Gaussian of another size",
        lambda _: gaussian(np.zeros(3), np.eye(2), ridge=0.1),
        ValueError,
        r"`covariance` has shape \(2, 2\)",
    ),
    Row(
        "a mixture of unequal numbers",
        lambda _: gaussian_mixture(np.zeros((2, 3)), np.stack([np.eye(3)]), np.ones(2), ridge=0.1),
        ValueError,
        r"`covariances` \(1, 3, 3\)",
    ),
    Row(
        "a mixture with an empty component",
        lambda _: gaussian_mixture(np.zeros((1, 2)), np.eye(2)[None], np.zeros(1), ridge=0.1),
        ValueError,
        r"weights=\[0\.0\].*leave empty components out",
    ),
    Row(
        "a mixture at no temperature",
        lambda _: gaussian_mixture(np.zeros((1, 2)), np.eye(2)[None], np.ones(1), ridge=0.1, temperature=0.0),
        ValueError,
        r"temperature=0",
    ),
    Row(
        "hidden neurons that the components cannot share",
        lambda _: CompletionRecipe(layers=(784, 512), initialisation=FromMixture()),
        ValueError,
        r"512 hidden neurons.*10 \* \(1 \+ factors\)",
    ),
    Row(
        "recipe of a completion with a word as initialisation",
        lambda _: CompletionRecipe(initialisation="gaussian"),
        ValueError,
        r"initialisation='gaussian'",
    ),
    Row(
        "mixture of no components",
        lambda _: FromMixture(components=0),
        ValueError,
        r"FromMixture.*components=0",
    ),
    Row(
        "a mixture of more components than images",
        lambda _: FromMixture(3)(np.ones((5, 4), np.float32), 9, key=jr.key(0)),
        ValueError,
        r"1 different images.*3 components",
    ),
    Row(
        "Gaussian of negative factor gain",
        lambda _: FromGaussian(factor_gain=-1.0),
        ValueError,
        r"factor_gain=-1",
    ),
    Row(
        "a Gaussian of no covariance",
        lambda _: gaussian(np.zeros(2), -np.eye(2), ridge=0.1),
        ValueError,
        r"negative eigenvalue -1",
    ),
    Row(
        "a Gaussian without a ridge",
        lambda _: gaussian(np.zeros(2), np.eye(2), ridge=0.0),
        ValueError,
        r"ridge=0",
    ),
]
