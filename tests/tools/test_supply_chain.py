"""The development tools that audit the dependencies and write the bill of materials, without network."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tools"


def load(name):
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def auditing():
    return load("audit_dependencies")


@pytest.fixture
def sbom():
    return load("sbom")


GOOD = {"name": "numpy", "version": "2.0.0", "vulns": []}
BAD = {"name": "joblib", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.2"]}]}
OURS = {"name": "hopfax", "skip_reason": "not in the index"}


@pytest.mark.parametrize(
    ("report", "said", "code"),
    [
        ({"dependencies": [GOOD, OURS]}, "1 packages audited, 0 advisories", 0),
        ({"dependencies": [GOOD, BAD]}, "joblib 1.0: PYSEC-1, mended by 1.2", 1),
        ({"dependencies": [OURS]}, "no package to audit", 1),
        (None, "nothing was audited", 0),
    ],
)
def test_an_advisory_fails_the_audit_and_an_unreachable_service_does_not(auditing, report, said, code):
    message, returned = auditing.verdict(report)
    assert said in message
    assert returned == code


def stub(tmp_path, monkeypatch, auditing, script):
    """A pip-audit that does what `script` says."""
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setattr(auditing.sys, "executable", str(program))


def test_a_report_counts_whatever_the_exit_code(auditing, tmp_path, monkeypatch):
    """Which is 1 both for an advisory and for a service that is not there."""
    stub(tmp_path, monkeypatch, auditing, f"echo '{json.dumps({'dependencies': [BAD]})}'; exit 1")
    assert auditing.audit(tmp_path) == {"dependencies": [BAD]}


def test_only_the_network_may_keep_a_report_away(auditing, tmp_path, monkeypatch):
    stub(tmp_path, monkeypatch, auditing, "echo 'requests.exceptions.ConnectionError: no' >&2; exit 1")
    assert auditing.audit(tmp_path) is None
    stub(tmp_path, monkeypatch, auditing, "echo 'No module named pip_audit' >&2; exit 1")
    with pytest.raises(RuntimeError, match="No module named pip_audit"):
        auditing.audit(tmp_path)


def test_a_bill_of_materials_lists_what_is_declared(sbom, tmp_path, monkeypatch, capsys):
    def bill(names):
        packages = [{"name": name, "version": "1"} for name in names]
        return {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": packages}

    path, needed = tmp_path / "sbom.json", sbom.declared()
    assert {"jax", "equinox", "optimistix"} <= needed
    monkeypatch.setattr(sbom, "write", lambda path, python: path.write_text(json.dumps(bill(names))))
    names = [*(needed - {"optimistix"}), "Optimistix"]
    assert sbom.main([str(path)]) == 0
    names = needed - {"jax"}
    assert sbom.main([str(path), "--python", sys.executable]) == 1
    assert "lacks jax" in capsys.readouterr().err
