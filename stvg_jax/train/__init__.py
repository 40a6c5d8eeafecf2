"""Training of any task: learning rates, optimiser, gradients, moving average, checkpoints."""
