"""Training of any task: learning rates, optimiser, gradients, moving average. Knows no model family."""
