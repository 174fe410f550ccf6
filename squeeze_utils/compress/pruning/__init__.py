"""Pruning: scores, masks, whole filters, and the steps that use them."""
