"""Distributions: one version, wheels that hold what they need and install without an index, tools of one version."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from paths import ROOT

DISTRIBUTIONS = [ROOT, *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))]


def project(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a wheel of every distribution, built by what is installed, without an index."""
    folder = tmp_path_factory.mktemp("wheels")
    for source in DISTRIBUTIONS:
        build = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"
        subprocess.run([sys.executable, "-c", build, str(folder)], cwd=source, check=True, capture_output=True)
    return folder


def test_core_plugins_and_citation_have_one_version() -> None:
    versions = {project(folder)["project"]["name"]: project(folder)["project"]["version"] for folder in DISTRIBUTIONS}
    assert len(versions) == len(DISTRIBUTIONS)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert set(versions.values()) == {str(citation["version"])}, versions


def test_every_distribution_has_a_wheel_with_its_code_licence_and_entry_point(wheels: Path) -> None:
    assert len(list(wheels.glob("*.whl"))) == len(DISTRIBUTIONS)
    for folder in DISTRIBUTIONS:
        declared = project(folder)["project"]
        (path,) = wheels.glob(f"{declared['name'].replace('-', '_')}-{declared['version']}-*.whl")
        with zipfile.ZipFile(path) as wheel:
            names = wheel.namelist()
            information = next(name for name in names if name.endswith(".dist-info/METADATA"))
            metadata = Parser().parsestr(wheel.read(information).decode())
            assert not [name for name in names if "__pycache__" in name or name.startswith("tests/")], path.name
            assert metadata["License-Expression"] == declared["license"]
            assert metadata["Requires-Python"] == declared["requires-python"]
            needed = {
                Requirement(text).name for text in metadata.get_all("Requires-Dist", []) if "extra ==" not in text
            }
            assert needed == {Requirement(text).name for text in declared["dependencies"]}
            if folder != ROOT:
                entry = wheel.read(information.replace("METADATA", "entry_points.txt")).decode()
                modules = re.findall(r"^[\w-]+ = ([\w.]+)", entry, re.MULTILINE)
                assert modules, path.name
                for module in modules:
                    assert {f"{module}.py", f"{module}/__init__.py"} & set(names), (path.name, module)


def test_the_wheel_of_the_core_holds_its_tables_models_and_presets(wheels: Path, tmp_path: Path) -> None:
    (path,) = wheels.glob("tabgen_bench-*.whl")
    with zipfile.ZipFile(path) as wheel:
        held = {name for name in wheel.namelist() if name.startswith("tabgen/")}
    there = subprocess.run(["git", "ls-files", "tabgen"], cwd=ROOT, capture_output=True, text=True, check=False)
    tracked = set(there.stdout.split()) or {
        str(file.relative_to(ROOT)) for file in (ROOT / "tabgen").rglob("*") if file.is_file() and file.suffix != ".pyc"
    }
    assert "tabgen/py.typed" in held
    assert tracked <= held, sorted(tracked - held)


def test_the_wheels_install_without_an_index_and_the_command_runs_from_them(wheels: Path, tmp_path: Path) -> None:
    files = sorted(map(str, wheels.glob("*.whl")))
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-index",
        "--no-deps",
        "--no-compile",
        "--target",
        str(tmp_path / "site"),
    ]
    done = subprocess.run([*pip, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    code = (
        "import sys, tabgen, tabgen.cli; print(tabgen.__file__); sys.argv = ['tabgen', 'generators']; tabgen.cli.main()"
    )
    words = [sys.executable, "-c", f"import sys; sys.path.insert(0, sys.argv[1]); {code}", str(tmp_path / "site")]
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, cwd=tmp_path, env={"PATH": "/usr/bin:/bin"}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(str(tmp_path / "site" / "tabgen"))
    assert "bootstrap" in done.stdout
    assert "scm" in done.stdout


def test_tools_have_one_version_and_workflows_are_yaml_without_rights() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    ruff = next(repo["rev"] for repo in hooks if repo["repo"].endswith("ruff-pre-commit"))
    pinned = re.search(r"^ruff==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned is not None
    assert ruff == f"v{pinned[1]}"
    for path in [*ROOT.glob(".github/workflows/*.yml"), *ROOT.glob("docs/examples/*.yml")]:
        workflow = yaml.safe_load(path.read_text())
        assert workflow["permissions"] in ({}, {"contents": "read"}), path.name
        assert all("timeout-minutes" in job or name == "deploy" for name, job in workflow["jobs"].items()), path.name
    pythons = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())["jobs"]["pythons"]
    listed = [text.rpartition(" ")[2] for text in project(ROOT)["project"]["classifiers"] if "Python :: 3." in text]
    assert pythons["strategy"]["matrix"]["python"][: len(listed)] == listed
