"""Chapter 21: how good can SqueezeNet get? What five changes are worth, then the best for long.

Full width: 730,570 parameters, and no bypass, which was no gain on validation images after 150
epochs (`residual_best`). The ladder adds one change after the other; the headline takes the rung
that is best on validation images, and trains more than three times as long.
"""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean
from typing import Any

from squeeze_utils.anatomy.views import ObserveViews
from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments.experiment import Experiment
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.models import ModelSpec
from squeeze_utils.studies.pooling import PLACES
from squeeze_utils.studies.variants import LONG, LONG_RATES, Chapter, Variant, studies_of

BASE: dict[str, Any] = {"shift": 4, "cutout": 8}
CHANGES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("base", {}),
    ("+ moving average", {"ema": 0.999}),
    ("+ label smoothing", {"label_smoothing": 0.1}),
    ("+ mixup", {"mixup": 0.2}),
    ("+ rotation and colour", {"rotation": 10, "colour": 0.2}),
)
EPOCHS = 200
# What its networks are called, also where nothing says that they are of this study.
BEST = "SqueezeNet, best training"
EVERYTHING = "SqueezeNet, trained on validation images too"
LATE = "SqueezeNet, late pooling"
CHECKPOINT = "squeezenet-headline-cifar10"


def _rungs() -> tuple[Variant, ...]:
    """Each change together with all before it."""
    settings, rungs = dict(BASE), []
    for name, change in CHANGES:
        settings |= change
        rungs.append(Variant.of({}, dict(settings), LONG_RATES, network="SqueezeNet", rung=name))
    return tuple(rungs)


class Ladder(Chapter):
    """A chapter in which the first variant's learning rate is everybody's."""

    def pilot(self, scale: Scale) -> Study:
        """The rates of the first variant."""
        return Chapter.pilot(replace(self, variants=self.variants[:1]), scale)

    def rate(self, variant: Variant, scale: Scale, records: Any) -> float | None:
        """The rate of the first variant, whichever is asked for."""
        return super().rate(self.variants[0], scale, records)


# The pilot is as long as a rung, and less than a third of the headline.
LADDER = Ladder(
    "ladder",
    "what is each change of the training worth, one added to the other?",
    _rungs(),
    **{**LONG, "epochs": 60, "pilot_epochs": 60, "seeds": (0, 1)},
    width=1.0,
    pools_deviation=True,
)


def headline(scale: Scale) -> Study:
    """The best rung of the ladder for 200 epochs: three seeds, and two rows of one seed each.

    One is trained on the validation images too, and is used for nothing else. The other halves
    its maps late, for three times the arithmetic.
    """
    ladder = LADDER.study(scale)
    settled = scale.name == "quick" or not (ladder.expected or ladder.missing())
    best = _best(ladder, settled and scale.name == "reference")
    (step,) = best.recipe
    recipe = (replace(step, epochs=scale.pick(step.epochs, EPOCHS)), ObserveViews())
    chosen = replace(best, recipe=recipe, seed=0)
    late = dict(chosen.model.options) | {"pool_after": PLACES["late"]}
    everything = replace(chosen.data, train_on_validation=True)
    kept = {"checkpoint": CHECKPOINT} if scale.name == "reference" else {}
    arms = [
        Arm.of(chosen, network=BEST, **kept),
        *(Arm.of(replace(chosen, seed=seed), network=BEST) for seed in scale.pick((), (1, 2))),
        Arm.of(replace(chosen, data=everything), network=EVERYTHING),
        Arm.of(replace(chosen, model=ModelSpec.of(chosen.model.name, **late)), network=LATE),
    ]
    title = "how good can SqueezeNet get?"
    return Study("headline", title, arms, ladder.name).once(settled)


def _best(ladder: Study, known: bool) -> Experiment:
    """An experiment of the rung that is best on validation images; of the last where not known."""
    if not known:
        return ladder.planned[-1].experiment
    records, rungs = ladder.records(), {}
    for arm in ladder.arms:
        accuracy = records[arm.experiment.key].final["validation_accuracy"]
        rungs.setdefault(dict(arm.labels)["rung"], []).append(accuracy)
    best = max(rungs, key=lambda rung: fmean(rungs[rung]))
    return ladder.where(rung=best).arms[0].experiment


STUDIES = {**studies_of(LADDER), "headline": headline}
