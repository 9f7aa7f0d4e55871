"""`tabgen pretrain`: train a Tab2D on synthetic tasks, resumably."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from tabgen.errors import TabgenError


def pretrain(
    output: Path = typer.Option(..., "-o", "--output", help="Folder of the checkpoint; the same folder resumes it."),
    steps: int = typer.Option(20_000, "--steps", min=1, help="Steps in all."),
    decay_steps: int = typer.Option(
        2_000, "--decay-steps", min=0, help="The last steps, over which the rate falls to zero as a cosine."
    ),
    dim: int = typer.Option(64, "--dim", help="Width of the embedding."),
    layers: int = typer.Option(4, "--layers", help="Layers."),
    heads: int = typer.Option(4, "--heads", help="Attention heads; must divide the width."),
    max_rows: int = typer.Option(1000, "--max-rows", help="Rows of a task at the end of the curriculum."),
    max_columns: int = typer.Option(40, "--max-columns", help="Columns of a task at the end of the curriculum."),
    grow_steps: int = typer.Option(6_000, "--grow-steps", help="Steps until tasks have their full size."),
    cells: int = typer.Option(14_000, "--cells", help="rows x columns in a batch: what it costs."),
    task_cells: int = typer.Option(
        0, "--task-cells", help="rows x columns of one task at most; 0: half of those of a batch."
    ),
    accumulate: int = typer.Option(1, "--accumulate", min=1, help="Batches a step: several shapes and priors in each."),
    tasks: int = typer.Option(32, "--tasks", min=1, help="Tasks of a batch at most; more keep a GPU busy."),
    minutes: float = typer.Option(
        0.0, "--minutes", min=0.0, help="End after this time at the latest, the decay included; 0: after --steps."
    ),
    ema: float = typer.Option(
        0.999, "--ema", min=0.0, max=0.999_999, help="What the averaged weights, the result, keep at a step."
    ),
    warmup_steps: int = typer.Option(200, "--warmup-steps", min=1, help="Steps over which the rate rises."),
    muon_rate: float = typer.Option(5e-3, "--muon-rate", help="Learning rate of the layers' matrices."),
    adamw_rate: float = typer.Option(2e-3, "--adamw-rate", help="Learning rate of everything else."),
    priors: str = typer.Option(
        "mechanisms=1", "--priors", metavar="NAME=SHARE,...", help="Share of the batches that each prior makes."
    ),
    distinct_tasks: int = typer.Option(
        0, "--distinct-tasks", min=0, help="Go through the first so many tasks again and again; 0: each is new."
    ),
    gaps: Path | None = typer.Option(None, "--gaps", help="What `tabgen gap -o FILE` wrote, for --target-gap."),
    target_gap: float | None = typer.Option(
        None,
        "--target-gap",
        metavar="TEMPERATURE",
        help="Lean towards the regions of --gaps where the model is behind, by exp(gap / TEMPERATURE): 0.05, say.",
    ),
    start_from: Path | None = typer.Option(
        None, "--from", help="A checkpoint's folder: a new run starts from its weights instead of random ones."
    ),
    bfloat16: bool = typer.Option(
        False, "--bfloat16", help="Compute in bfloat16 where it is safe: faster on a processor with AVX512-BF16 or AMX."
    ),
    device: str = typer.Option("cpu", "--device", help="cpu, or cuda for a GPU."),
    seed: int = typer.Option(0, "--seed", min=0),
    producers: int = typer.Option(0, "--producers", help="Processes that make tasks ahead; 0: the trainer makes them."),
    threads: int = typer.Option(1, "--threads", help="Compute threads of the trainer."),
    report_every: int = typer.Option(250, "--report-every", help="Steps between two reports."),
) -> None:
    """Pre-train a Tab2D on synthetic tasks only.

    Saves its whole state every two minutes: after a stop or a kill the same line goes on. The result
    loads with --model FOLDER.
    """
    import torch

    from tabgen.models.levels import MANY
    from tabgen.models.tab2d import Tab2DConfig
    from tabgen.outputs import check_folder
    from tabgen.pretrain.config import PretrainConfig
    from tabgen.pretrain.gap import read_gaps, weights
    from tabgen.pretrain.tasks import Curriculum, parse_priors
    from tabgen.pretrain.train import pretrain as train

    check_folder(output)
    if (gaps is None) != (target_gap is None):
        raise TabgenError("--gaps FILE and --target-gap TEMPERATURE go together; `tabgen gap -o FILE` writes the file.")
    emphasis = weights(read_gaps(gaps), target_gap) if gaps is not None and target_gap is not None else {}
    torch.set_num_threads(threads)
    config = PretrainConfig(
        model=Tab2DConfig(dim, 10, layers, heads, many_levels=MANY),
        curriculum=Curriculum(
            rows=(140, max_rows),
            features=(8, max_columns),
            grow_steps=grow_steps,
            cells=cells,
            task_cells=task_cells,
            tasks=tasks,
        ),
        priors=parse_priors(priors),
        steps=steps,
        decay_steps=decay_steps,
        minutes=minutes,
        muon_lr=muon_rate,
        adamw_lr=adamw_rate,
        warmup_steps=warmup_steps,
        accumulate=accumulate,
        emphasis=emphasis,
        distinct_tasks=distinct_tasks,
        ema=ema,
        bfloat16=bfloat16,
        seed=seed,
    )
    train(config, output, producers, _print, report_every, start_from=start_from, device=device)


def _print(entry: dict[str, Any]) -> None:
    if "auc" in entry:
        scores = "  ".join(f"{name} {value:.3f}" for name, value in entry["auc"].items())
        typer.echo(
            f"step {entry['step']}  loss {entry['loss']:.4f}  {entry['tasks']} tasks"
            f" ({entry['tasks_per_second']:.0f}/s)  held-out ROC-AUC: {scores}"
        )
    else:
        forest = "  ".join(f"{name} {value:.3f}" for name, value in entry["random_forest"].items())
        typer.echo(f"{entry['parameters']} parameters; a random forest's ROC-AUC on the held-out tasks: {forest}")
