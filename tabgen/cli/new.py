"""`tabgen new`: a plugin distribution to start from."""

from __future__ import annotations

import re
from pathlib import Path

import typer

from tabgen.errors import ExperimentError
from tabgen.generator import BASELINES

PYPROJECT = """\
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "tabgen-{name}"
version = "0.1.0"
description = "The generator {name} for tabgen"
readme = "README.md"
requires-python = ">=3.11"
license = "Apache-2.0"
dependencies = ["tabgen-bench", "numpy"]

[project.optional-dependencies]
test = ["pytest"]

[project.entry-points.tabgen]
{name} = "{module}"

[tool.hatch.build.targets.wheel]
only-include = ["{module}.py"]
"""

MODULE = '''\
"""{name}: what it does, in a line."""

from __future__ import annotations

import numpy as np

from tabgen import Generator, GeneratorInfo, Limits, hookimpl


class {cls}(Generator):
    """Real rows drawn with replacement, their numbers jittered: replace this by your method.

    Parameters
    ----------
    noise : float
        Standard deviation of the noise, in standard deviations of the column.
    """

    info = GeneratorInfo(
        "{name}",
        "real rows with noise on the numbers",
        citation="your paper",
        licence="Apache-2.0",
        mixing="replace",
        accepts_missing=True,
        limits=Limits(min_rows=2),
    )

    def __init__(self, noise: float = 0.05) -> None:
        self.noise = noise

    def fit(self, table, context):
        """Learn from the training rows; ``context`` has the seed, the time left and the foundation model."""
        self.table = table

    def sample(self, n_rows, seed):
        """Draw exactly ``n_rows`` rows with the same columns, kinds, levels and classes."""
        rng = np.random.default_rng(seed)
        frame = self.table.take(rng.integers(0, len(self.table), n_rows)).frame
        for column in self.table.schema.columns:
            if column.is_number:
                spread = self.noise * self.table.frame[column.name].std()
                frame[column.name] = frame[column.name] + np.nan_to_num(spread) * rng.standard_normal(n_rows)
        return self.table.conform(frame)  # rounds integers; an error names what does not fit


@hookimpl
def tabgen_register_generators(register):
    register({cls})
'''

TEST = '''\
"""The generator keeps tabgen's contract."""

import pytest
from {module} import {cls}

from tabgen.testing import conformance_checks


@pytest.mark.parametrize("check", conformance_checks({cls}), ids=str)
def test_contract(check):
    check()
'''

README = """\
# tabgen-{name}

A generator for [tabgen](https://pypi.org/project/tabgen-bench/).

```
pip install -e .
tabgen check {name}
tabgen run --suite quick --folds 2 --methods zero-shot,real,{name} -o runs/{name}
```
"""


def new(
    context: typer.Context,
    name: str = typer.Argument(..., help="Name of the generator: lower case, with hyphens."),
    folder: Path = typer.Option(None, "-o", "--output", help="Where to put it; default: tabgen-NAME here."),
) -> None:
    """Write an installable plugin: pyproject.toml, one module, tests with the conformance kit, README."""
    from tabgen.cli.listings import load

    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise ExperimentError(f"'{name}' cannot be a generator's name: lower-case letters, digits and hyphens only.")
    if name in BASELINES:
        raise ExperimentError(f"'{name}' cannot be a generator's name: it is that of a baseline.")
    generators = load(context).generators
    if name in generators:
        raise ExperimentError(
            f"'{name}' cannot be a new generator's name: the plugin '{generators.plugin_of(name).name}' has it."
        )
    home = folder or Path(f"tabgen-{name}")
    if home.exists():
        raise ExperimentError(f"{home} is there already; name another folder with -o.")
    module = f"tabgen_{name.replace('-', '_')}"
    words = {"name": name, "module": module, "cls": "".join(part.capitalize() for part in name.split("-"))}
    (home / "tests").mkdir(parents=True)
    for path, text in (
        (home / "pyproject.toml", PYPROJECT),
        (home / f"{module}.py", MODULE),
        (home / "tests" / f"test_{module}.py", TEST),
        (home / "README.md", README),
    ):
        path.write_text(text.format(**words), encoding="utf-8")
    typer.echo(f"{home}: edit {module}.py, then `pip install -e {home}` and `tabgen check {name}`.")
