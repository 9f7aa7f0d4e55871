"""`tabgen doctor`: what is fine is said, what is wrong is named with its mend, and the exit code tells."""

from __future__ import annotations

import shutil
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from typer.testing import CliRunner

from tabgen.cli import app, doctor
from tabgen.plugins import Plugins


def test_a_good_installation_passes(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["--no-external-plugins", "doctor", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "error" not in result.output
    for word in (
        "tabgen 0",
        "torch ",
        "fit together",
        "bootstrap",
        "'tabgen-nano' loads and predicts",
        "GB free",
        "fork server",
    ):
        assert word in result.output


def test_a_broken_checkpoint_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    result = CliRunner().invoke(app, ["--no-external-plugins", "doctor", "--model", str(tmp_path)])
    assert result.exit_code == 1
    assert "ModelError" in result.output
    assert "config.json" in result.output


def test_a_broken_plugin_is_an_error_with_a_mend(built_in: Plugins, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = SimpleNamespace(name="bad", error="ImportError: no sdv", source="installed: bad")
    plugins = SimpleNamespace(plugins=[broken], broken=[broken], generators=[])
    (what, state, text), _ = doctor._plugins(plugins)  # type: ignore[arg-type]
    assert (what, state) == ("plugins", "error")
    assert "ImportError: no sdv" in text and "--no-external-plugins" in text


def test_versions_that_do_not_fit_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "0.1" if name == "scipy" else real(name))
    wrong = [text for _, state, text in doctor._dependencies() if state == "error"]
    assert any("tabgen-bench needs scipy" in text and "0.1 is installed" in text for text in wrong)


def test_a_folder_that_cannot_be_written_is_an_error() -> None:
    ((_, state, text),) = doctor._disk(Path("/proc/self"))
    assert state == "error"
    assert "choose another folder" in text


def test_little_disk_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1e9))
    ((_, state, text),) = doctor._disk(tmp_path / "not" / "there" / "yet")
    assert (state, "--cache-limit" in text) == ("warning", True)


def test_a_gpu_that_torch_cannot_use_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    ((_, state, text),) = doctor._gpu()
    assert state == "warning"
    assert "nvidia-smi" in text or "CPU build" in text


def test_a_check_that_breaks_is_told_and_the_others_go_on(
    built_in: Plugins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_threads", lambda: 1 / 0)
    monkeypatch.setattr(doctor, "_engine", lambda plugins: iter([("engine", "ok", "")]))
    found = list(doctor.findings(built_in, tmp_path, "tabgen-nano"))
    assert ("threads", "error", "ZeroDivisionError: division by zero") in found
    assert found[-1][0] == "engine"
