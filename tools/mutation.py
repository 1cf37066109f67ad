"""Change the core in one small way at a time, and count how often a test notices.

Needs cosmic-ray: pip install cosmic-ray.

    python tools/mutation.py --sample 200 --json mutation.json

The core is energies, updates, solvers and gradients. cosmic-ray changes a number, an operator, a comparison or a
condition; of all such mutants a random sample is tried, in a copy of the repository at its last commit, each against
the tests of its own part of the core and no others, those with the name of the module first. Says the share that was
noticed, and lists the survivors. Killed in the middle it goes on where it was, if `--work` names the same folder.
"""

import argparse
import json
import math
import os
import random
import re
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PREDICTIVE = "tests/networks/test_predictive_coding.py"
LAWS = ["tests/training/test_settings.py", "tests/test_laws.py", "tests/test_wrong_uses.py"]
TESTS = {  # of each package of the core
    # Separations have their laws in the tests of memories, nudged Lagrangians in those of equilibrium propagation.
    "lagrangians": ["tests/lagrangians", "tests/memory/test_modern.py", "tests/gradients/test_ep.py", *LAWS],
    "networks": ["tests/networks", *LAWS],
    "updates": [
        "tests/updates",
        "tests/test_relax.py",
        "tests/solvers/test_safeguards.py",
        "tests/gradients/test_nudged.py",
        PREDICTIVE,
        *LAWS,
    ],
    "solvers": ["tests/solvers", "tests/test_relax.py", *LAWS],
    "gradients": ["tests/gradients", "tests/test_objective.py", PREDICTIVE, *LAWS],
}
OPERATORS = (
    r"NumberReplacer|AddNot|ReplaceAndWithOr|ReplaceOrWithAnd|ReplaceTrueWithFalse|ReplaceFalseWithTrue"
    r"|ReplaceBinaryOperator_(Add_Sub|Sub_Add|Mul_Div|Div_Mul)"
    r"|ReplaceComparisonOperator_(Lt_LtE|LtE_Lt|Gt_GtE|GtE_Gt|Lt_GtE|Gt_LtE|LtE_Gt|GtE_Lt|Eq_NotEq|NotEq_Eq)"
    r"|ReplaceUnaryOperator_(USub_UAdd|Delete_Not|Invert_UAdd)"
)
SECONDS = 600  # of one mutant's tests; a longer run counts as noticed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--work", type=Path, help="folder of the copy and the session; a temporary one by default"
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--test", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.test:
        sys.exit(test())
    with tempfile.TemporaryDirectory() as place:
        result = score(options.work or Path(place), options.sample, options.seed)
    text = json.dumps(result, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")


def test() -> int:
    """The tests of the part of the core that is changed, in the copy that is the working folder."""
    command = ["git", "diff", "--name-only"]
    changed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0]
    options = ["-q", "-x", "-n", "0", "-m", "slow or not slow"]
    return subprocess.run([sys.executable, "-m", "pytest", *options, *files_of(Path(changed))]).returncode


def files_of(changed: Path) -> list[str]:
    """The files of tests of a module: first those with its name, which are the likeliest to notice; then short ones."""
    places = [Path(place) for place in TESTS[changed.parts[2]]]
    files = {file for place in places for file in (place.rglob("test_*.py") if place.is_dir() else [place])}
    names = [part.strip("_").removesuffix("s") for part in changed.with_suffix("").parts[3:]]
    named = lambda file: any(name in file.stem for name in names)
    place = lambda file: (not named(file), str(file) != LAWS[0], file.stat().st_size)  # settings take seconds
    return [str(file) for file in sorted(files, key=place)]


def score(place: Path, sample: int, seed: int) -> dict:
    session = place / "session.sqlite"
    if not session.exists():
        begin(place, session, sample, seed)
    # Compiled code is kept between mutants: most functions of one are those of the next.
    kept = {"PYTHONPATH": str(place / "copy" / "src"), "JAX_COMPILATION_CACHE_DIR": str(place / "compiled")}
    always = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    command = ["cosmic-ray", "exec", str(place / "settings.toml"), str(session)]
    subprocess.run(command, cwd=place / "copy", env={**os.environ, **kept, **always}, check=True)
    return report(session, sample, seed)


def begin(place: Path, session: Path, sample: int, seed: int) -> None:
    """A copy of the repository, and a session with the sampled mutants alone."""
    place.mkdir(parents=True, exist_ok=True)
    copy, settings, unfinished = place / "copy", place / "settings.toml", place / "unfinished.sqlite"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(copy)], check=True)
    modules = [str(Path("src/hopfax") / part) for part in TESTS]
    command = f"{sys.executable} {Path(__file__).resolve()} --test"
    lines = [f"module-path = {json.dumps(modules)}", f"timeout = {SECONDS}", "excluded-modules = []"]
    lines += [f"test-command = {json.dumps(command)}", "[cosmic-ray.distributor]", 'name = "local"']
    settings.write_text("\n".join(["[cosmic-ray]", *lines]) + "\n", encoding="utf-8")
    unfinished.unlink(missing_ok=True)
    subprocess.run(["cosmic-ray", "init", str(settings), str(unfinished)], cwd=copy, check=True)
    keep_sample(unfinished, sample, seed)
    unfinished.rename(session)


def keep_sample(session: Path, sample: int, seed: int) -> None:
    with sqlite3.connect(session) as base:
        rows = base.execute(
            "select job_id, operator_name, module_path, occurrence from mutation_specs"
        ).fetchall()
        wanted = sorted((row[1:], row[0]) for row in rows if re.fullmatch(f"core/({OPERATORS})", row[1]))
        chosen = {job for _, job in random.Random(seed).sample(wanted, min(sample, len(wanted)))}
        others = [(row[0],) for row in rows if row[0] not in chosen]
        base.executemany("delete from mutation_specs where job_id = ?", others)
        base.executemany("delete from work_items where job_id = ?", others)


def report(session: Path, sample: int, seed: int) -> dict:
    query = (
        "select test_outcome, module_path, operator_name, start_pos_row, diff "
        "from mutation_specs join work_results using (job_id) order by module_path, start_pos_row"
    )
    with sqlite3.connect(session) as base:
        rows = base.execute(query).fetchall()
    survived = [row for row in rows if row[0] == "SURVIVED"]
    noticed = len(rows) - len(survived)
    share = noticed / len(rows)
    survivors = [
        {"module": row[1], "line": row[3], "operator": row[2], "change": changed_lines(row[4])}
        for row in survived
    ]
    return {
        "mutants": len(rows),
        "noticed": noticed,
        "share": share,
        "standard error": math.sqrt(share * (1 - share) / len(rows)),
        "sample": sample,
        "seed": seed,
        "survivors": survivors,
    }


def changed_lines(diff: str) -> list[str]:
    """Those that a unified diff takes away and puts in."""
    return [line for line in diff.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]


if __name__ == "__main__":
    main()
