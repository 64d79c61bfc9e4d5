"""Training: the one loop, its methods, optimizers, schedules and checkpoints."""
