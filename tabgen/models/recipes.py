"""Recipes: how to fine-tune, as data. Needs no torch, so that a plan can be made without it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from tabgen.errors import ExperimentError, UnknownNameError

SMALL_TABLE = 16_384
WHAT_IS_TRAINED = ("last_layers", "lora_rank", "lora_alpha", "lora_targets")
MOST = 1e15
"""Of a number in a recipe: beyond it float64 no longer tells integers apart."""


@dataclass(frozen=True)
class Recipe:
    """How to fine-tune.

    Attributes
    ----------
    name : str
    learning_rate : float
        After warm-up.
    warmup_steps : int
        Steps of linear warm-up, from ``warmup_from``.
    weight_decay, betas
        Of AdamW, on all weights.
    steps : int
        At most; one step is one forward and backward pass.
    patience : int
        Stop after this many steps without a better validation log-loss.
    query_share : float
        Share of the step's table that is predicted; the rest is its context. A fresh stratified split each step.
    max_support, max_query : int
        Rows of a step at most, drawn anew each step.
    views : float
        Steps are at least so many that each of the rows offered is looked at so often, on average: a table with more
        synthetic rows gets more steps, and patience grows with them. 0: steps do not depend on rows.
    max_gradient_norm : float
        Gradients are scaled down to this norm; 0: never.
    evaluate_every : int
        Validation rows are predicted after every so many steps, and after the last.
    binary_learning_rate : float
        The learning rate on two classes and at most 16,384 training rows; 0: as on others.
    last_layers : int
        Only the weights of so many layers before the output, and those of the output, are trained; 0: of all.
    lora_rank : int
        Not the weights are trained, but updates of this rank of the matrices among them; 0: the weights.
    lora_alpha : float
        The updates are scaled by ``lora_alpha / lora_rank``; 0: by 1.
    lora_targets : tuple of str
        Which matrices, by the names of their layers in the model, such as ``q`` or ``attention1.q``; none: all but
        embeddings.
    source : str
    """

    name: str
    learning_rate: float
    steps: int = 50
    warmup_steps: int = 10
    warmup_from: float = 1e-7
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.999)
    patience: int = 40
    query_share: float = 0.2
    max_support: int = 8192
    max_query: int = 1024
    views: float = 0.0
    max_gradient_norm: float = 0.0
    evaluate_every: int = 1
    binary_learning_rate: float = 0.0
    last_layers: int = 0
    lora_rank: int = 0
    lora_alpha: float = 0.0
    lora_targets: tuple[str, ...] = ()
    source: str = ""

    def rate(self, step: int) -> float:
        """Learning rate of step 1, 2, ..."""
        share = min(1.0, (step - 1) / self.warmup_steps) if self.warmup_steps else 1.0
        return self.warmup_from + (self.learning_rate - self.warmup_from) * share

    def for_table(self, n_classes: int, n_rows: int) -> Recipe:
        """The recipe with the learning rate that it has for a table of this many classes and training rows."""
        if self.binary_learning_rate and n_classes == 2 and n_rows <= SMALL_TABLE:
            return replace(self, learning_rate=self.binary_learning_rate)
        return self

    def for_rows(self, offered: int) -> Recipe:
        """The recipe with the steps that it has for a table of so many rows to learn from."""
        seen = min(offered, self.max_support + self.max_query)
        steps = max(self.steps, math.ceil(self.views * offered / seen))
        return replace(self, steps=steps, patience=math.ceil(self.patience * steps / self.steps))

    def to_dict(self) -> dict[str, Any]:
        """Its fields; those that say what is trained only where it is not all, so that they leave other keys alone."""
        data = asdict(self) | {"betas": list(self.betas), "lora_targets": list(self.lora_targets)}
        return {name: value for name, value in data.items() if value or name not in WHAT_IS_TRAINED}


_NANO = Recipe(
    "nano",
    1e-3,
    steps=30,
    warmup_steps=3,
    patience=10,
    evaluate_every=5,
    max_support=256,
    max_query=64,
    max_gradient_norm=1.0,
    source="ours, for tabgen-nano; chosen on synthetic tasks (benchmarks/choose_recipe.py)",
)
_OURS = "ours: nano with a rate chosen on five synthetic tasks (benchmarks/choose_recipe.py)"

RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("autogluon", 1e-4, warmup_steps=1000, source="AutoGluon 1.6 Mitra defaults (TrainerFinetune)"),
        Recipe(
            "mitra-v2",
            1e-5,
            warmup_steps=10,
            weight_decay=0.3,
            binary_learning_rate=3e-6,
            source="Mitra 2",
        ),
        _NANO,
        replace(_NANO, name="nano-lora", learning_rate=1e-3, lora_rank=8, source=_OURS),
        replace(_NANO, name="nano-last", learning_rate=1e-3, last_layers=1, source=_OURS),
    )
}


def get_recipe(name: str, /, **overrides: Any) -> Recipe:
    """A recipe by name, with any field replaced.

    Raises
    ------
    UnknownNameError, ExperimentError
        For a recipe, or a field, that does not exist.
    """
    if name not in RECIPES:
        raise UnknownNameError("recipe", name, RECIPES)
    there = [field.name for field in fields(Recipe)]
    if unknown := set(overrides) - set(there):
        raise ExperimentError(f"a recipe has no field {', '.join(sorted(unknown))}; it has {', '.join(there)}.")
    for field, value in overrides.items():
        _check_field(field, value, getattr(RECIPES[name], field))
    recipe = replace(RECIPES[name], **overrides)
    if (recipe.lora_alpha or recipe.lora_targets) and not recipe.lora_rank:
        raise ExperimentError("a recipe with lora_alpha or lora_targets is due a lora_rank above 0.")
    return recipe


def _check_field(name: str, value: Any, like: Any) -> None:
    """A field's value is of the kind of the one that it replaces, finite and not below 0."""
    many = isinstance(like, tuple)
    if isinstance(like, str):
        due, sound = "a text", isinstance(value, str)
    elif name == "lora_targets":
        due = "a list of names"
        sound = isinstance(value, list | tuple) and all(isinstance(each, str) and each for each in value)
    elif many and not (isinstance(value, list | tuple) and len(value) == len(like)):
        due, sound = f"{len(like)} numbers", False
    else:
        whole = isinstance(like, int)
        due = "a whole number, 0 or more" if whole else "finite and 0 or more"
        numbers = value if many else [value]
        sound = all(
            isinstance(each, int if whole else int | float) and not isinstance(each, bool) and 0 <= each <= MOST
            for each in numbers
        )
    if not sound:
        raise ExperimentError(f"a recipe's {name} is {due}; not {value!r:.80}.")
