"""What decides what a run of pre-training computes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from tabgen.models.levels import MANY
from tabgen.models.tab2d import Tab2DConfig
from tabgen.pretrain.tasks import Curriculum


@dataclass(frozen=True)
class PretrainConfig:
    """Everything that decides what a run computes; saved beside its checkpoints."""

    model: Tab2DConfig = field(default_factory=lambda: Tab2DConfig(64, 10, 4, 4, many_levels=MANY))
    curriculum: Curriculum = field(default_factory=Curriculum)
    priors: dict[str, float] = field(default_factory=lambda: {"mechanisms": 1.0})
    steps: int = 20_000
    decay_steps: int = 4_000
    warmup_steps: int = 200
    muon_lr: float = 2e-3
    adamw_lr: float = 1e-3
    weight_decay: float = 0.01
    minutes: float = 0.0
    """The run ends after this time at the latest, its decay taking the same share of it as of the steps; 0: none."""
    distinct_tasks: int = 0
    """The first batches that hold this many tasks are gone through again and again; 0: every batch is new."""
    emphasis: dict[str, float] = field(default_factory=dict)
    """Chances of regions (:func:`tabgen.pretrain.tasks.regions_of`) that a batch which the priors draw is let in;
    empty: all are."""
    accumulate: int = 1
    """Batches whose gradients make up a step: several shapes and priors in each."""
    ema: float = 0.999
    """What the averaged weights, which are the model in the end, keep of themselves at a step; less in the first."""
    bfloat16: bool = False
    """Linear layers, norms and activations of a step in bfloat16; weights, attention and rates stay float32."""
    seed: int = 0

    def left(self, step: int, seconds: float = 0.0) -> float:
        """Steps still to come; of a run limited in time, the share of it that is left if that is less."""
        in_time = (1 - seconds / (60 * self.minutes)) * self.steps if self.minutes else math.inf
        return max(0.0, min(self.steps - step, in_time))

    def decays(self, step: int, seconds: float = 0.0) -> bool:
        """Whether the rate falls from this step on."""
        return self.left(step, seconds) <= self.decay_steps

    def rate(self, step: int, seconds: float = 0.0) -> float:
        """Share of the full learning rate at a step: linear up, constant, down to zero as a cosine."""
        left = min(1.0, self.left(step, seconds) / max(1, self.decay_steps))
        return min(1.0, (step + 1) / self.warmup_steps) * (1 - math.cos(math.pi * left)) / 2

    def kept(self, step: int) -> float:
        """What the averaged weights keep at a step: they reach back over a tenth of the steps so far at most."""
        return min(self.ema, (step + 1) / (step + 11))
