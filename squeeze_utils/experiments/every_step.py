"""Every kind of step, in one place: a step is known by its name once its module is imported."""

# ruff: noqa: F401  (to import them is enough)

from __future__ import annotations

from squeeze_utils.anatomy.ablation import ObserveBlocks
from squeeze_utils.anatomy.answers import ObserveAnswers
from squeeze_utils.anatomy.loss_surface import ObserveSurface
from squeeze_utils.anatomy.shifts import ObserveShifts
from squeeze_utils.anatomy.signals import ObserveOutputs, ObserveSignals
from squeeze_utils.anatomy.views import ObserveViews
from squeeze_utils.compress.pricing.frozen_codes import FreezeCodes
from squeeze_utils.compress.pricing.in_training import PriceBits
from squeeze_utils.compress.pricing.silent_units import RemoveSilent
from squeeze_utils.compress.pricing.steps import Squeeze
from squeeze_utils.compress.pruning.during_training import Gradual, Rewire
from squeeze_utils.compress.pruning.filters import Shrink
from squeeze_utils.compress.pruning.steps import Densify, Prune, Recalibrate, Remember, Rewind
from squeeze_utils.compress.quantizing.after_training import Calibrate, Halve, QuantizeWeights
from squeeze_utils.compress.quantizing.alternating import Alternate
from squeeze_utils.compress.quantizing.equalising import CorrectBias, Equalise
from squeeze_utils.compress.quantizing.fold_batch_norm import FoldBatchNorm, MergeStatistics
from squeeze_utils.compress.quantizing.in_training import QuantizedTrain
from squeeze_utils.compress.quantizing.mixed_bits import MixedBits
from squeeze_utils.compress.sharing.steps import Share, TuneCentroids
from squeeze_utils.compress.sqz.steps import Encode
from squeeze_utils.compress.updates import Federate
from squeeze_utils.training.distributed.together import TrainTogether
from squeeze_utils.training.loop import Train
from squeeze_utils.training.start_from_checkpoint import Load
from squeeze_utils.training.start_from_imagenet import ImageNetBackbone
from squeeze_utils.training.step import Step
from squeeze_utils.training.transfer import FitHead, LoadImageNet, NewHead, TrainElsewhere

OBSERVING: tuple[type[Step], ...] = (
    ObserveAnswers,
    ObserveBlocks,
    ObserveOutputs,
    ObserveShifts,
    ObserveSignals,
    ObserveSurface,
    ObserveViews,
)
STEPS = tuple(
    known
    for known in tuple(globals().values())
    if isinstance(known, type) and issubclass(known, Step) and known is not Step
)
