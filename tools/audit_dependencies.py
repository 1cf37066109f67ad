"""Hold the packages of an environment against known advisories. Needs pip-audit, of another environment.

    python tools/audit_dependencies.py SITE_PACKAGES

Asks OSV and not the index the packages come from: through a mirror of an index pip-audit finds nothing, and calls that
good. Exit code 1 for an advisory; 0 without one, and also where OSV cannot be reached, which is said.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TIMEOUT = 30  # seconds for one answer


def audit(site_packages: Path) -> dict[str, Any] | None:
    """What pip-audit reports; nothing where it came to no report."""
    command = [sys.executable, "-m", "pip_audit", "--vulnerability-service", "osv", "--format", "json"]
    command += ["--progress-spinner", "off", "--timeout", str(TIMEOUT), "--path", str(site_packages)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.stdout.strip():
        return json.loads(done.stdout)
    if "ConnectionError" not in done.stderr and "ServiceError" not in done.stderr:
        raise RuntimeError(f"pip-audit failed for another reason than the network:\n{done.stderr}")
    return None


def advisories(report: dict[str, Any]) -> Iterator[str]:
    """A line for each: package, version, advisory, and the versions that mend it."""
    for package in report["dependencies"]:
        for found in package.get("vulns", []):
            mended = ", ".join(found["fix_versions"]) or "nothing yet"
            yield f"{package['name']} {package['version']}: {found['id']}, mended by {mended}"


def verdict(report: dict[str, Any] | None) -> tuple[str, int]:
    """What to say, and the exit code. hopfax itself is in no index, and so is passed over."""
    if report is None:
        return "OSV could not be reached: nothing was audited.", 0
    audited = [package for package in report["dependencies"] if "skip_reason" not in package]
    if not audited:
        return "There was no package to audit; is this the folder of an environment?", 1
    found = list(advisories(report))
    return "\n".join([*found, f"{len(audited)} packages audited, {len(found)} advisories."]), int(bool(found))


def main(arguments: list[str]) -> int:
    said, code = verdict(audit(Path(arguments[0])))
    print(said)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
