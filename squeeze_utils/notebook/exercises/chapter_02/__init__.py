"""The exercises of notebook 02, the anatomy of SqueezeNet: titles, claims and hints."""

from __future__ import annotations

from squeeze_utils.notebook.exercises.chapter_02.maps import (
    for_32_pixels,
    how_far,
    where_is_the_peak,
)
from squeeze_utils.notebook.exercises.chapter_02.parameters import (
    another_million,
    half_the_bytes,
    lenet_with_fire,
    published,
    ten_classes,
)
from squeeze_utils.notebook.exercises.exercise import Exercise

EXERCISES = {
    1: Exercise(
        "Ten classes",
        ten_classes,
        "A filter of conv10 has 512 weights and one bias. How many of the thousand filters go?",
    ),
    2: Exercise(
        "Half the bytes",
        half_the_bytes,
        "Sort the largest first. The cumulative sum passes half of the total at the last module "
        "that you need, and that one counts.",
    ),
    3: Exercise(
        "LeNet with fire",
        lenet_with_fire,
        'by_module(layer_table(sq.build("lenet5_fire"), (1, 28, 28))) lists the modules. The '
        "1 × 1 convolution reads the channels of the last Fire module.",
    ),
    4: Exercise(
        "Another 1.2 million",
        another_million,
        "N = a + ρ (b + c p) stays the same if ρ (b + c p) does. Choose p, solve for ρ, and sort "
        "by the multiply-adds that sq.count gives.",
    ),
    5: Exercise(
        "How far can it see?",
        how_far,
        "Make all parameters positive with abs_(), give random positive pixels "
        "(requires_grad_()), and call backward on the pixel in the middle of the output.",
    ),
    6: Exercise(
        "Where is the peak?",
        where_is_the_peak,
        "For each operation add up the maps it reads and the maps it writes. A concatenation "
        "reads two halves and writes both again.",
    ),
    7: Exercise(
        "A SqueezeNet for 32 pixels",
        for_32_pixels,
        "Width near 0.55 comes close to the budget. Pooling after fire2 and a later fire keeps "
        "the map large; each Fire module then sees farther.",
    ),
    8: Exercise(
        "Check published numbers",
        published,
        "Divide by 100 only after the sum, so that no single term is rounded. For the "
        'bypass, sq.build("squeezenet1_0", bypass="complex") exists.',
    ),
}
