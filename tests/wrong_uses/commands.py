"""Wrong uses of the command line: one line on standard error, exit code 2."""

import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hopfax.apps.cli import run

from .table import Row


class Refused(Exception):
    """The line that a command printed on standard error before it ended with code 2."""


def command(*arguments: str) -> Callable[[Path], object]:
    """A function that runs the command; DIR in its arguments is a folder with rows.npy and short.npy."""

    def call(folder: Path) -> object:
        np.save(folder / "rows.npy", 2 * np.eye(3))
        np.save(folder / "short.npy", np.eye(2))
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
            code = run([argument.replace("DIR", str(folder)) for argument in arguments])
        lines = errors.getvalue().strip().splitlines()
        if code == 2 and len(lines) == 1 and lines[0].startswith("hopfax: "):
            raise Refused(lines[0])
        return code

    return call


def row(line: str, pattern: str) -> Row:
    """A command that is refused with a message that matches `pattern`; the name of the row is the command."""
    return Row(f"hopfax {line}", command(*line.split()), Refused, pattern)


RECALL = "recall --patterns DIR/rows.npy --queries DIR/rows.npy --out DIR/o.npy"

ROWS = [
    row("trian", r"No such command 'trian'.*'train'"),
    row("train --out DIR/r --data digits --layers 64 10", r"unexpected extra argument"),
    row("train", r"Missing option '--out'"),
    row("train --out DIR/r --fast", r"No such option.*--fast"),
    row("train --out DIR/r --data mnsit", r"'mnsit'.*digits, mnist"),
    row("train --out DIR/r --data digits --layers 64", r"layers=\(64,\)"),
    row("train --out DIR/r --data digits --layers sixty,10", r"--layers 'sixty,10' must be whole numbers"),
    row("train --out DIR/r --data digits --layers 64,-3,10", r"-3"),
    row("train --out DIR/r --data digits --layers 32,10", r"do not fit digits.*64 pixels"),
    row("train --out DIR/r --data digits --model RNN", r"'RNN'. is not a model.*HAM-EO"),
    row("train --out DIR/r --data digits --recipe v9", r"'v9'.*'goemaere2023', 'goemaere2024'"),
    row("train --out DIR/r --data digits --gradient magic", r"'magic'.*'implicit'"),
    row("train --out DIR/r --data digits --beta 0.1", r"--beta 0\.1.*--gradient ep"),
    row("train --out DIR/r --data digits --components 3", r"--components 3.*--task completion"),
    row(
        "train --out DIR/r --data digits --task completion --layers 64,8 --components 3", r"8 hidden neurons"
    ),
    row("train --out DIR/r --data digits --gradient ep --beta 3", r"beta=3\.0.*\(0, 1\)"),
    row("train --out DIR/r --data digits --augment rotate", r"--augment 'rotate' must be crop:N"),
    row("train --out DIR/r --data digits --augment crop", r"--augment 'crop' must be crop:N"),
    row("train --out DIR/r --data digits --augment crop:0", r"RandomCrop\(padding=0\)"),
    row("recall --queries DIR/rows.npy --out DIR/o.npy", r"either --patterns.*or --network"),
    row("recall --network DIR --dot --queries DIR/rows.npy --out DIR/o.npy", r"--dot.*--patterns"),
    row("recall --network DIR --queries DIR/rows.npy --out DIR/o.npy", r"no model\.json"),
    row("train --out DIR/r --data digits --task colour", r"'colour'.*'completion'"),
    row("train --out DIR/r --data digits --task completion", r"\[784, 512\] do not fit digits.*64 pixels"),
    row("train --out DIR/r --task completion --model HAM", r"--model is for networks that classify"),
    row("train --out DIR/r --task completion --gradient recurrent", r"use ep or implicit"),
    row("train --out DIR/r --data digits --epochs 0", r"epochs=0.*at least 1"),
    row("train --out DIR/r --data digits --epochs ten", r"--epochs"),
    row("train --out DIR/r --data digits --batch-size 0", r"batch_size=0"),
    row(
        "train --out DIR/r --data digits --layers 64,10 --batch-size 5000", r"batch_size=5000.*1500 training"
    ),
    row("train --out DIR/r --data digits --learning-rate -1", r"learning_rate=-1"),
    row("train --out DIR/r --data digits --learning-rate nan", r"learning_rate=nan"),
    row("train --out DIR/r --data digits --seed -1", r"seed=-1"),
    row("train --out DIR/r --data digits --layers 64,10 --validation 1500", r"between 1 and 1499"),
    row("train --out DIR/r --data digits --checkpoint-chunks 0", r"--checkpoint-chunks 0.*at least 1"),
    row("train --out DIR/r --data digits --log paper", r"'paper'.*tensorboard:FOLDER"),
    row("train --out DIR/r --data digits --layers 64,10 --devices 99", r"devices=99"),
    row("train --out DIR --data digits --layers 64,10", r"not empty.*--resume"),
    row("train --out DIR/rows.npy --data digits --layers 64,10", r"--out.*rows\.npy cannot be written"),
    row("train --out DIR/r --data digits --json DIR/no/x.json", r"--json.*cannot be written"),
    row(
        "train --out DIR/r --data mnist --directory DIR/rows.npy --layers 784,10 --model CHN-OE", r"'CHN-OE'"
    ),
    row("evaluate DIR", r"no run\.json.*--out"),
    row("evaluate DIR/no", r"no run\.json"),
    row("audit DIR", r"no model\.json.*--out.*--resume"),
    row("audit --layers 3", r"layers"),
    row("audit --layers 2,2 --batch 0", r"--batch"),
    row("audit --layers 2,2 --beta 2", r"--beta"),
    row("sweep --out DIR/s --layers 64,10 --data digits --seeds a", r"--seeds.*'a'"),
    row("sweep --out DIR/s --layers 64,10 --data digits --betas 2 --recipe goemaere_ep", r"beta=2\.0"),
    row("sweep --out DIR/s --layers 64,10 --data digits --jobs 0", r"processes=0"),
    row("recall --patterns DIR/no.npy --queries DIR/rows.npy --out DIR/o.npy", r"no\.npy is not a file"),
    row(
        "recall --patterns DIR/rows.npy --queries DIR/short.npy --out DIR/o.npy",
        r"2 values a row; the patterns have 3",
    ),
    row(
        "recall --patterns DIR/rows.npy --queries DIR/rows.npy --out DIR/o.txt",
        r"--out.*must end in \.npy or \.csv",
    ),
    row(f"{RECALL} --values DIR/short.npy", r"2 rows for 3 patterns"),
    row(f"{RECALL} --beta 0", r"`beta=0\.0`.*positive"),
    row(f"{RECALL} --beta cold", r"--beta"),
    row(f"{RECALL} --beta nan", r"`beta=nan`"),
    row("calibrate DIR/rows.npy --fraction 2", r"`fraction`.*got 2"),
    row("calibrate DIR", r"is not a file"),
    row("capacity hopfield", r"'hopfield'.*'hebb'"),
    row("capacity hebb --neurons 0", r"neurons.*at least 1"),
    row("capacity hebb --flips 2", r"fraction=2\.0"),
    row("capacity hebb --fraction 0", r"`fraction`.*\(0, 1\]"),
    row("capacity hebb --most 0", r"`most=0` must be a whole number, at least 1"),
    row("capacity hebb --compare none", r"--compare 'none'.*choose from hebb"),
    row("phase thresholds --patterns 5 --norm 1", r"--norm and --cosine go together"),
    row("phase minima DIR/rows.npy --points 1", r"--points must be at least 2, got 1"),
    row("phase thresholds --patterns 1", r"`n=1`.*at least 2"),
    row("phase clusters --clusters 2 --per-cluster 2 --within 0 --across 0.5", r"`across`.*below `within`"),
    row("phase minima DIR/no.npy", r"no\.npy"),
    row("reproduce table9", r"'table9'.*'table1'"),
    row("reproduce table1 --rows 9-RNN", r"9-RNN"),
    row("reproduce table1 --stored --out DIR", r"no results of these rows.*--out"),
    row("reproduce vae --stored", r"--stored is not for vae"),
    row("reproduce table1 --seeds -1 --rows v1-HAM --out DIR/e --data digits", r"seed=-1"),
    row("bench --only sleep", r"sleep.*relax"),
    row("bench --rounds 0", r"--rounds 0"),
    row("data fetch mnsit", r"'mnsit'.*digits"),
    row("demo --out DIR/rows.npy", r"--out.*rows\.npy cannot be written"),
    row("vae train --out DIR/v --model big", r"'big'.*tied"),
    row("vae train --out DIR/v --gradient magic", r"'magic'.*ep or implicit"),
    row("vae train --out DIR/v --epochs 0", r"epochs=0"),
    row("vae train --out DIR/v --latents 0", r"latents=0"),
    row("vae train --out DIR/v --learning-rate 0", r"learning_rate=0"),
    row("vae train --out DIR", r"not empty.*--resume"),
    row("vae sample DIR --out DIR/x.png", r"no vae\.safetensors"),
    row("vae inpaint DIR --out DIR/x.txt", r"--out.*\.png"),
]
