"""The exercises of notebook 10, pruning: titles, claims and hints."""

from __future__ import annotations

from squeeze_utils.notebook.exercises.chapter_10.criteria import (
    brain_damage,
    taylor,
    where_magnitude_errs,
)
from squeeze_utils.notebook.exercises.chapter_10.files import break_even, skips_zeros
from squeeze_utils.notebook.exercises.chapter_10.recipes import (
    forgets_a_class,
    not_convex,
    rewinding,
)
from squeeze_utils.notebook.exercises.exercise import Exercise

EXERCISES = {
    1: Exercise(
        "Break even",
        break_even,
        "Divide both sides by N and solve for s. For the third number set the two costs equal.",
    ),
    2: Exercise(
        "Where magnitude errs",
        where_magnitude_errs,
        "copy.deepcopy(net), then mul_ under torch.no_grad(). A ReLU passes a positive factor "
        "on, so multiply the whole output of the first layer, its bias included.",
    ),
    3: Exercise(
        "Optimal brain damage",
        brain_damage,
        "torch.func: vmap(grad(loss of one image), in_dims=(None, 0, 0)) gives a gradient for "
        "each image. Square first and average then.",
    ),
    4: Exercise(
        "Not convex",
        not_convex,
        "Buying piece by piece, A at 0.05 is cheaper than the first piece of B at 0.06. For the "
        "pairs go through all sixteen, and keep those that remove 240 weights or more.",
    ),
    5: Exercise(
        "Iterative with rewinding",
        rewinding,
        "A recipe is a tuple of steps, and tuples add up. After the last cut the network is "
        "rewound like the others and then trained.",
    ),
    6: Exercise(
        "A mask that forgets a class",
        forgets_a_class,
        "m.flatten(1).any(1) says for each filter of a mask whether a weight is left. A column "
        "of the confusion table counts how often its class was named.",
    ),
    7: Exercise(
        "A kernel that skips zeros",
        skips_zeros,
        "The weights of row i are values[starts[i] : starts[i + 1]]; each is multiplied by the "
        "row of the maps that its column names.",
    ),
    8: Exercise(
        "How good is Taylor's formula?",
        taylor,
        "The step is −w_q along one axis: put it into g·d + ½ d H d. All other entries of d are "
        "zero.",
    ),
}
