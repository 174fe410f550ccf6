"""The exercises of notebook 00, start here: titles, claims and hints."""

from __future__ import annotations

from squeeze_utils.notebook.exercises.chapter_00.luck import (
    best_of_ten,
    coverage,
    deviation,
    how_many_images,
    lazy_classifier,
    same_key,
)
from squeeze_utils.notebook.exercises.chapter_00.networks import one_line, shared_beginning
from squeeze_utils.notebook.exercises.exercise import Exercise

EXERCISES = {
    1: Exercise(
        "Change one line",
        one_line,
        "welch(adam, nesterov) has estimate, low and high. seeds_needed takes the root of the "
        "mean of the two variances, and 1 as the difference.",
    ),
    2: Exercise(
        "A lazy classifier",
        lazy_classifier,
        "The accuracy of a class is its entry on the diagonal divided by the sum of its row.",
    ),
    3: Exercise(
        "How many test images?",
        how_many_images,
        "Half the length is z √(p (1 − p) / n) with z = 1.96. Half a point is 0.005.",
    ),
    4: Exercise(
        "Does the interval keep its promise?",
        coverage,
        "Go through all h from 0 to n, n included. Take those whose interval holds p, and add up "
        "their binomial probabilities.",
    ),
    5: Exercise(
        "Why divide by r − 1?",
        deviation,
        "var(1, correction=0) divides by r, correction=1 by r − 1. Take the root of each set's "
        "s² first and average then.",
    ),
    6: Exercise(
        "Can two experiments have the same key?",
        same_key,
        "N (N − 1) / 2 pairs times 2⁻⁶⁴. For the second answer solve N² / 2⁶⁵ = 1/1000.",
    ),
    7: Exercise(
        "A shared beginning",
        shared_beginning,
        "An arm of pruning is a criterion with a sparsity; of dsd, a recipe. For the deviations, "
        "groupby(['sparsity', 'criterion']) and std.",
    ),
    8: Exercise(
        "The best of ten seeds",
        best_of_ten,
        "Draw many rows of k normal numbers, take the largest of each row, and average.",
    ),
}
