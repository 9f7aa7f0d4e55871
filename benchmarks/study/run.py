"""Run the study: freeze the analysis of every experiment (presets `study` and `study-NAME`), run it, resume it.

    python benchmarks/study/run.py -o runs/study                    # all, in the order of ORDER
    python benchmarks/study/run.py -o runs/study --only field,main
    python benchmarks/study/run.py -o runs/study --only other-model,other-recipe              # question 7
    python benchmarks/study/run.py -o runs/study --only earlier-model --model FOLDER          # weights of another day
    python benchmarks/study/run.py -o runs/study --only outside --suite FOLDER                # tables of one's own

Each experiment gets a run folder of its own under the output folder, with `freeze.json` written before its first cell.
The weights of `earlier-model` are in the history of this repository: `model.safetensors` and `config.json` of
`git show fc08e6b^:tabgen/models/weights/tabgen-nano/...`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from rows import KEPT, outcomes_of, share

from tabgen.experiment import plan
from tabgen.models import WEIGHTS
from tabgen.plugins import load_plugins
from tabgen.spec import make_spec, read_preset

ORDER = ("field", "gans", "main", "few-rows", "more-rows", "mixing")


def read_once(output: Path) -> str:
    """A folder with `tabgen-small` without its four views of every table: they would make this 12 hours of a core."""
    folder = output / "tabgen-small-once"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(WEIGHTS / "tabgen-small" / "model.safetensors", folder)
    config = json.loads((WEIGHTS / "tabgen-small" / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"views": 1}))
    return str(folder)


ROBUST: dict[str, tuple[str, dict[str, str | Callable[[Path], str] | None]]] = {
    "other-model": ("study-robust", {"model": read_once}),
    "earlier-model": ("study-robust", {"model": None}),
    "outside": ("study-robust", {"suite": None}),
    "other-recipe": ("study", {"recipe": "autogluon", "folds": "2", "tuning-seeds": "1"}),
}
"""Question 7: experiment -> its preset, and what of it is other: a value, what makes a folder in the
output folder, or None, a folder that is to be given."""
SHARES = {"mixing": "main"}
"""Experiment -> one that has ended and has measured some of its cells, with more arms: these are not computed again."""
YARDSTICKS = ("real", "zero-shot", "bootstrap", "independent", "noise", "shuffled-labels")
PAPERS = ("causalmix", "scm", "ctgan", "tabebm", "tableaugment", "mixed-model")


def preset_of(name: str) -> str:
    """The name of an experiment's file in tabgen/presets."""
    if name in ROBUST:
        return ROBUST[name][0]
    return "study" if name == "main" else f"study-{name}"


def methods_of(name: str) -> list[str]:
    """The methods of an experiment, as its preset has them."""
    return [str(method) for method in read_preset(preset_of(name))["methods"]]


def contrasts_of(name: str) -> tuple[str, list[str], float]:
    """Primary arm, contrasts and half-width of equality in points of an experiment, as README.md has them."""
    generators = [m for m in methods_of(name) if m not in YARDSTICKS and not m.startswith("corrupted") and ":" not in m]
    if preset_of(name) == "study":
        against_real = [f"{method}/real" for method in PAPERS]
        return "fine-tune", [*against_real, "causalmix/scm", "causalmix/bootstrap"], 0.1
    if name == "mixing":
        return "fine-tune", [f"{method}@augment/{method}@replace" for method in generators], 0.1
    if name == "more-rows":
        names = dict.fromkeys(method.partition(":")[0] for method in methods_of(name) if ":" in method)
        return "context", [f"{method}:ratio=32/{method}:ratio=1" for method in names], 0.5
    return "context", [f"{method}/bootstrap" for method in generators], 0.5


def words_of(name: str, options: argparse.Namespace) -> list[str]:
    """What `tabgen plan` and `tabgen run` are told of an experiment.

    Raises
    ------
    ValueError
        If it needs a folder that is not given.
    """
    words = ["--preset", preset_of(name)]
    for flag, value in ROBUST[name][1].items() if name in ROBUST else ():
        other = value(options.output) if callable(value) else value or getattr(options, flag)
        if other is None:
            raise ValueError(f"{name} needs --{flag} FOLDER.")
        words += [f"--{flag}", other]
    return words


def main() -> None:
    """Freeze and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the run folders")
    parser.add_argument("--only", default=",".join(ORDER), help="which experiments, in this order")
    parser.add_argument("--model", help="a folder with the weights of `earlier-model`")
    parser.add_argument("--suite", help="a folder with the tables of `outside`")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    for name in options.only.split(","):
        try:
            experiment, folder = words_of(name, options), options.output / name
        except ValueError as error:
            parser.error(str(error))
        tabgen = [sys.executable, "-m", "tabgen"]
        if not (folder / "freeze.json").exists():
            arm, contrasts, region = contrasts_of(name)
            analysis = ["--arm", arm, "--contrasts", ",".join(contrasts), "--region", str(region)]
            subprocess.run([*tabgen, "plan", *experiment, "-o", str(folder), "--freeze", *analysis], check=True)
        if name in SHARES:
            known = outcomes_of(KEPT / f"{SHARES[name]}.parquet")
            plugins = load_plugins()
            cells = plan(make_spec(read_preset(preset_of(name))).build(plugins), plugins)
            print(f"{name}: {share(known, cells, folder):,} of its cells are those of {SHARES[name]}.")
        subprocess.run([*tabgen, "run", *experiment, "-o", str(folder), "--workers", str(options.workers)], check=True)


if __name__ == "__main__":
    main()
