"""The exercises of notebook 04, optimizers: titles, claims and hints."""

from __future__ import annotations

from squeeze_utils.notebook.exercises.chapter_04.rates import (
    decay,
    equal_areas,
    faster_nesterov,
    wrong_momentum,
)
from squeeze_utils.notebook.exercises.chapter_04.rules import (
    late_noise,
    other_units,
    turned_matrix,
    turned_valley,
)
from squeeze_utils.notebook.exercises.exercise import Exercise

EXERCISES = {
    1: Exercise(
        "Noise in the wrong place",
        late_noise,
        "Set theta.grad to the gradient, call step(), then add the noise. In the next round the "
        "assignment throws the noise away.",
    ),
    2: Exercise(
        "A loss in other units",
        other_units,
        "A rule that divides by the size of its gradient does not notice a factor. Nor does one "
        "that takes a sign.",
    ),
    3: Exercise(
        "Equal areas",
        equal_areas,
        "A triangle has half the area of its rectangle, and so has half a wave of (1 + cos) / 2. "
        "With a floor, only the part above it is scaled.",
    ),
    4: Exercise(
        "The wrong momentum",
        wrong_momentum,
        "For each end h of the valley the errors follow z² − (1 + µ − ηh) z + µ = 0. Take the "
        "largest absolute value of the four roots; np.roots finds them, complex ones too.",
    ),
    5: Exercise(
        "Nesterov, faster",
        faster_nesterov,
        "error_curve(nesterov, {'lr': ..., 'mu': ...}, kappa, steps) holds the distances. Here "
        "ℓ = 1 and L = κ.",
    ),
    6: Exercise(
        "Muon does not mind being turned",
        turned_matrix,
        "Turn first and then apply the rule; apply the rule first and then turn. How far are the "
        "two results apart?",
    ),
    7: Exercise(
        "How much does decay take?",
        decay,
        "arm.experiment.recipe[0] has the lr, the schedule and the weight_decay of an arm of "
        "sq.study('optimizers').at(Scale('reference')); one epoch has train_limit // 128 steps.",
    ),
    8: Exercise(
        "Turn the valley",
        turned_valley,
        "Three of the rules only add and scale vectors. The other three treat each coordinate by "
        "itself and divide by its size, or take its sign. t ρᵗ is largest where its derivative "
        "is zero.",
    ),
}
