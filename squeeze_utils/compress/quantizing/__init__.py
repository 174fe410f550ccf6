"""Quantization: grids, rounding after training and in training, integers."""
