"""The exercises of notebook 11, dense-sparse-dense training: titles, claims and hints."""

from __future__ import annotations

from squeeze_utils.notebook.exercises.chapter_11.counting import (
    count_the_steps,
    missing_control,
    other_shapes,
)
from squeeze_utils.notebook.exercises.chapter_11.phases import kick, more_noise, more_rounds
from squeeze_utils.notebook.exercises.exercise import Exercise

EXERCISES = {
    1: Exercise(
        "Count the steps",
        count_the_steps,
        "20,000 // 128 steps in an epoch, times the epochs of the phase. For the learning rate "
        "weigh the steps of each phase by half of its peak.",
    ),
    2: Exercise(
        "Another shape of weights",
        other_shapes,
        "For Laplace weights the sizes have the density e⁻ʷ, so the share s lies below "
        "q = −log(1 − s). Divide the integral of w² e⁻ʷ up to q by its whole, 2.",
    ),
    3: Exercise(
        "Dense, sparse, dense, sparse, dense",
        more_rounds,
        "Keep the largest weights, correct them by the least squares step on these columns "
        "alone; then add the pseudoinverse of X times what is still missing in y.",
    ),
    4: Exercise(
        "More noise",
        more_noise,
        "Take the median over a few hundred draws for each deviation, and compare the columns.",
    ),
    5: Exercise(
        "A kick instead of zeros",
        kick,
        "Draw normal numbers of the shape of the weight, divide them by their norm, and multiply "
        "by the length of the step that pruning makes.",
    ),
    6: Exercise(
        "Design the missing control",
        missing_control,
        "The effect is 0.3 / 0.15 deviations of a difference. Three effects that are told apart "
        "need three differences between neighbouring arms.",
    ),
}
