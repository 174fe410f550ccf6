"""The same network, written so that a runtime has less to do: two identities, exact ones.

In evaluation a batch normalisation is a fixed affine map, so it goes into the convolution before
it. And a ReLU looks at one number at a time, so it may stand on either side of a concatenation:
relu(cat(a, b)) = cat(relu(a), relu(b)). Runtimes fuse a ReLU that directly follows a
convolution; one behind a concatenation they compute by itself.
"""

from __future__ import annotations

import copy

from torch import nn

from squeeze_utils.models import Fire


def for_inference(model: nn.Module) -> nn.Module:
    """A copy for the CPU in evaluation and float32, with both identities applied where they can be.

    The network that is given keeps its device, its mode and its weights.
    """
    return relu_first(without_norm(model))


def without_norm(model: nn.Module) -> nn.Module:
    """A copy whose batch normalisations are folded into its convolutions, where that is known.

    Folding is a step of recipes and brings their imports along, so a network without
    normalisation is copied without importing it.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch module, not {type(model).__name__}")
    network = copy.deepcopy(model).cpu().float().eval()
    if not any(isinstance(module, nn.BatchNorm2d) for module in network.modules()):
        return network
    from squeeze_utils.compress.quantizing.fold_batch_norm import foldable, folded

    return folded(network).eval() if foldable(network) else network


def relu_first(model: nn.Module) -> nn.Module:
    """Move the ReLU of every Fire module without normalisation before its concatenation, in place.

    The names of the weights change, so this is the last thing done before an export.
    """
    for fire in model.modules():
        if not isinstance(fire, Fire) or not isinstance(fire.expand_norm, nn.Identity):
            continue
        if type(fire.expand_activation) is nn.ReLU:
            fire.expand1x1 = nn.Sequential(fire.expand1x1, nn.ReLU())
            fire.expand3x3 = nn.Sequential(fire.expand3x3, nn.ReLU())
            fire.expand_activation = nn.Identity()
    return model
