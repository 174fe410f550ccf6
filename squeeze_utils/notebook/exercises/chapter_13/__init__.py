"""The exercises of notebook 13, weight sharing and Huffman coding: titles, claims and hints."""

from __future__ import annotations

from squeeze_utils.notebook.exercises.chapter_13.codes import (
    best_gap,
    break_even,
    layer_by_layer,
    pairs,
    worst_alphabet,
)
from squeeze_utils.notebook.exercises.chapter_13.values import rate_and_distortion, sign_and_size
from squeeze_utils.notebook.exercises.exercise import Essay, Exercise

EXERCISES = {
    1: Exercise(
        "Break even",
        break_even,
        "The codebook has 256 values of 32 bits each. Give the first whole number of weights "
        "for which the file is smaller, not equal.",
    ),
    2: Exercise(
        "The worst alphabet",
        worst_alphabet,
        "From the fourth on, each count is one more than the sum of the counts up to two places "
        "before it. Why?",
    ),
    3: Exercise(
        "Pairs",
        pairs,
        "List the 2^m blocks with their probabilities, scale these to whole counts of at least "
        "1, and weigh the lengths of the codewords by the probabilities. Divide by m.",
    ),
    4: Exercise(
        "Sign and size",
        sign_and_size,
        "sign() of a pruned weight is 0, so it stays 0. The mean is over the weights that are "
        "left.",
    ),
    5: Exercise(
        "The best gap",
        best_gap,
        "min(range(1, 13), key=lambda g: ...) finds the g with the smallest cost.",
    ),
    6: Exercise(
        "Rate and distortion",
        rate_and_distortion,
        "Shares p of the values from their counts; the entropy is the sum of −p log2 p. To "
        "compare, read both errors at 3 bits of entropy with np.interp.",
    ),
    7: Exercise(
        "Layer by layer",
        layer_by_layer,
        "A code of fixed width is one of the codes that Huffman's beats or equals. So compare "
        "the paper's bits after Huffman with the width in the same layer.",
    ),
    8: Essay("What was measured?"),
}
