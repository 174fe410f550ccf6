"""A full factorial of techniques: its cells, their effects, whose gain it is, the best recipes."""
