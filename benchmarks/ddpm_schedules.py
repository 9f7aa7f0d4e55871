"""TabDDPM's schedules of noise after few steps of training: how wide the numbers come out.

500 rows of three standard normal numbers, the first of which decides the class; as synthyverse's TabDDPM learns them
with 3 layers of 256 units. Right is: spread 1, class means of the first number -0.8 and 0.8. Run it with the
environment's own Python, in the folder that `tabgen plugins list` names:

    PYTHON benchmarks/ddpm_schedules.py
"""

from __future__ import annotations

import contextlib
import io
import time

import numpy as np
import pandas as pd
import torch
from synthyverse.generators import TabDDPMGenerator

ROWS, DRAWN = 500, 1000
TRIALS = (("cosine", 100, 1000), ("cosine", 1000, 1000), ("linear", 100, 1000))
"""Schedule, steps of diffusion, steps of training."""


def main() -> None:
    torch.set_num_threads(1)
    values = np.random.default_rng(0).normal(size=(ROWS, 3))
    frame = pd.DataFrame(values, columns=list("abc")).assign(y=(values[:, 0] > 0).astype(int))
    print("| schedule | steps of diffusion | of training | widest spread | class means | CPU seconds |")
    print("|---|---|---|---|---|---|")
    for schedule, timesteps, steps in TRIALS:
        torch.manual_seed(0)
        start = time.process_time()
        model = TabDDPMGenerator(
            "y", training_steps=steps, batch_size=ROWS, num_timesteps=timesteps, lr=1e-3, scheduler=schedule
        )
        silence = io.StringIO()
        with contextlib.redirect_stdout(silence), contextlib.redirect_stderr(silence):
            model.fit(frame, ["y"])
            drawn = model.diffusion.sample_all(DRAWN, torch.arange(DRAWN) % 2).detach().numpy()
        means = " and ".join(f"{drawn[label::2, 0].mean():.2f}" for label in (0, 1))
        spent = time.process_time() - start
        print(
            f"| {schedule} | {timesteps} | {steps} | {drawn.std(axis=0).max():.2f} | {means} | {spent:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
