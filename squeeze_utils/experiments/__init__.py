"""Experiments: a model, an image set, a recipe and a seed; studies of them; a record of each."""
