"""The exercises of notebook 03, training a baseline: titles, claims and hints."""

from __future__ import annotations

from squeeze_utils.notebook.exercises.chapter_03.losses import (
    digits_of_an_accuracy,
    reviving,
    sure_and_wrong,
    without_effect,
)
from squeeze_utils.notebook.exercises.chapter_03.trainings import (
    random_labels,
    same_optimizer,
    too_fast,
    without_momentum,
)
from squeeze_utils.notebook.exercises.exercise import Exercise

EXERCISES = {
    1: Exercise(
        "Sure and wrong",
        sure_and_wrong,
        "L = −log p with the natural logarithm. How often does the small loss fit into the large?",
    ),
    2: Exercise(
        "A direction without effect",
        without_effect,
        "Softmax does not change if you add a number to all scores. Which one makes the last "
        "score zero? Then all ten scores are known.",
    ),
    3: Exercise(
        "Without momentum",
        without_momentum,
        "Copy nesterov_step with mu = 0, or use sq.Train(optimizer='sgd') with a constant "
        "schedule. The theory names a rate; a slightly larger rate is accepted, too.",
    ),
    4: Exercise(
        "Random labels",
        random_labels,
        "torch.randperm(len(digits.train)) is an order for the labels. Replace the labels of "
        "digits.train, then the train of digits.",
    ),
    5: Exercise(
        "Too fast",
        too_fast,
        "try: ... except DivergedError: keep math.nan. The class lies in "
        "squeeze_utils.training.failures.",
    ),
    6: Exercise(
        "Reviving a dead network",
        reviving,
        "Replace net.classifier[2], call F.cross_entropy(net(x), y).backward(), and return "
        "the grad of the bias of net.classifier[1].",
    ),
    7: Exercise(
        "How many digits of an accuracy are real?",
        digits_of_an_accuracy,
        "Divide the accuracy by 100 first, and multiply the result by 100.",
    ),
    8: Exercise(
        "The same optimizer for both",
        same_optimizer,
        "Keep the rows whose optimizer is nesterov, then groupby('model')['validation_accuracy'].",
    ),
}
