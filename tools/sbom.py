"""Write a bill of materials, CycloneDX in JSON, of an environment that has hopfax. Needs cyclonedx-bom in any.

    python tools/sbom.py sbom.json --python path/to/python

The same environment gives the same file. Exit code 1 where a declared dependency is missing from it.
"""

import argparse
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def normal(name: str) -> str:
    """A package's name as the index spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(project: Path = PROJECT) -> set[str]:
    """The packages that hopfax needs, extras left out."""
    needed = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]
    return {normal(re.match(r"[\w.-]+", requirement)[0]) for requirement in needed}


def listed(bill: dict[str, Any]) -> set[str]:
    """The packages in a bill that have a version."""
    return {normal(each["name"]) for each in bill["components"] if each.get("version")}


def write(path: Path, python: str) -> None:
    command = [sys.executable, "-m", "cyclonedx_py", "environment", "--pyproject", str(PROJECT)]
    command += ["--mc-type", "library", "--output-reproducible", "--output-file", str(path), python]
    subprocess.run(command, check=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path, help="where it is written")
    parser.add_argument("--python", default=sys.executable, help="of the environment; by default this one")
    options = parser.parse_args(arguments)
    write(options.path, options.python)
    bill = json.loads(options.path.read_text(encoding="utf-8"))
    if missing := sorted(declared() - listed(bill)):
        print(f"{options.path} lacks {', '.join(missing)}; is hopfax installed there?", file=sys.stderr)
        return 1
    print(f"{options.path}: {bill['bomFormat']} {bill['specVersion']}, {len(bill['components'])} packages.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
