"""The one training loop: states and steps, optimizers, evaluation, resuming."""
