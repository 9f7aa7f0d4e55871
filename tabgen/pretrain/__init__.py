"""Pre-training of Tab2D on synthetic tasks: priors, tasks, the training loop."""
