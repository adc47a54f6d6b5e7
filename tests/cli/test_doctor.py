"""`mugvos doctor`."""

import json

import pytest

from mugvos_cli.commands import doctor as doctor_module


@pytest.fixture
def bundled(tmp_path, monkeypatch):
    """An installation whose bundled weights are there, and an own weights folder."""
    monkeypatch.setattr("engine.weights.find.BUNDLED", tmp_path)
    monkeypatch.setenv("MUGVOS_WEIGHTS", str(tmp_path / "not" / "yet"))
    for model in ("mmpm-tiny", "sam-tiny"):
        (tmp_path / f"{model}.safetensors").write_bytes(b"x")
    return tmp_path


def test_one_line_each(cli, bundled):
    done = cli("doctor")
    assert done.status == 0, done.err
    lines = done.out.splitlines()
    assert all(line.split()[0] in {"ok", "missing", "absent"} for line in lines)
    for part in ("python", "torch", "device cpu", "write H.264", "weights mmpm-tiny", "disk space", "weights folder"):
        assert any(part in line for line in lines), part
    assert any("mavos-swinb-lvos https://" in line for line in lines), "the longest name has a space behind it"


def test_json(cli, bundled):
    checks = json.loads(cli("doctor", "--json").out)["checks"]
    assert {"name", "ok", "detail", "needed"} == checks[0].keys()


def test_missing_parts_are_named_with_what_to_do(cli, bundled, monkeypatch):
    (bundled / "mmpm-tiny.safetensors").unlink()
    monkeypatch.setitem(doctor_module._MODULES, "no-such-package", "no_such_module")
    done = cli("doctor")
    assert done.status == 1
    assert "missing: no-such-package, weights mmpm-tiny" in done.err
    assert "pip install --force-reinstall no-such-package" in done.out


def test_a_folder_that_cannot_be_written(monkeypatch, bundled):
    monkeypatch.setattr(doctor_module.os, "access", lambda path, mode: False)
    check = next(check for check in doctor_module._weights() if check.name == "weights folder")
    assert not check.ok and "MUGVOS_WEIGHTS" in check.detail
