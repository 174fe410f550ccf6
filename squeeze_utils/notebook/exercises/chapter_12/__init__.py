"""The exercises of notebook 12, quantization: titles, claims and hints."""

from __future__ import annotations

from squeeze_utils.notebook.exercises.chapter_12.grids import (
    affine_weights,
    cutting_off,
    equalisation,
    off_grid,
)
from squeeze_utils.notebook.exercises.chapter_12.rounding import (
    compensating,
    greedy,
    largest_weight,
)
from squeeze_utils.notebook.exercises.exercise import Exercise

EXERCISES = {
    1: Exercise(
        "Cutting off",
        cutting_off,
        "Integrate e² over [0, s] and divide by s. One bit halves s, so it quarters the noise.",
    ),
    2: Exercise(
        "A zero that is off the grid",
        off_grid,
        "Three bits have eight levels and seven steps between α and β. Write the levels down: "
        "which one is nearest to 0?",
    ),
    3: Exercise(
        "Affine weights",
        affine_weights,
        "Multiply (n − z_w)(q − z_x) out and sum each of the four terms over the N inputs. A "
        "constant that is summed N times gives N times itself.",
    ),
    4: Exercise(
        "Where equalisation stops",
        equalisation,
        "A channel is a row of the first layer and a column of the second. Divide the one and "
        "multiply the other by the same number: the root of the ratio of both ranges.",
    ),
    5: Exercise(
        "Steps that follow the largest weight",
        largest_weight,
        "Divide each row by its largest absolute value and round. The step of training is "
        "experiment(method='straight-through').recipe[-2] of the study's live results; "
        "vars(step) | {'steps': 'largest'} are the options of the other run.",
    ),
    6: Exercise(
        "How good is greedy?",
        greedy,
        "itertools.product((2, 3, 4, 6, 8), repeat=5) lists all 3125 combinations. Keep those "
        "within the budget and take the one with the least damage.",
    ),
    7: Exercise(
        "Rounding that compensates its errors",
        compensating,
        "Go through the columns once. After each, solve a linear system with the block of H that "
        "belongs to the columns still open, and change the weights that are still open.",
    ),
}
