"""Deep gradient compression (Lin et al. 2018): each process sends its largest sums of gradients.

Of every layer only the largest share of what has accumulated is sent; the rest stays and grows.
With gradient g, momentum m, velocity u and what is not sent yet v,

    u <- m u + g,    v <- v + u,    send v at the k largest |v|, and set u = 0 there.

Values are rounded to be sent, and v keeps what rounding left of them, where the paper has v = 0.

The momentum is inside (momentum correction), so the optimizer must have none of its own. Setting
u = 0 (momentum factor masking) keeps a number from being driven by old gradients once it was sent.

No postponed annotations here: DistributedDataParallel reads those of its hooks as they are.
"""

import math
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from torch import Tensor

from squeeze_utils.training.distributed.ranks import here

BLOCK = 1 << 16  # positions within a block take two bytes
START = 0.25  # of the numbers, sent in the first step of the warm-up


@dataclass
class TopK:
    """State of the hook: what is kept back of every parameter, and what is sent when.

    `density` is the share of numbers sent. In the first `warm_up` steps it falls exponentially
    from a quarter to that. Without `feedback` nothing but momentum is kept of what a step did not
    send.
    """

    density: float
    momentum: float = 0.9
    warm_up: int = 0
    feedback: bool = True
    step: int = 0
    kept: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def share(self) -> float:
        """The share of numbers that is sent in this step."""
        if self.step >= self.warm_up:
            return self.density
        return START * (self.density / START) ** (self.step / self.warm_up)

    def accumulate(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        """Take in a gradient; what has accumulated for this parameter, flat."""
        flat = gradient.reshape(-1)
        if id(parameter) not in self.kept:
            self.kept[id(parameter)] = torch.zeros_like(flat), torch.zeros_like(flat)
        velocity, waiting = self.kept[id(parameter)]
        velocity.mul_(self.momentum).add_(flat)
        if not self.feedback:
            waiting.zero_()
        return waiting.add_(velocity)

    def forget(self, parameter: Tensor, at: Tensor, sent: Tensor) -> None:
        """What was sent is done with: `sent` at the positions `at`, rounded as it was."""
        velocity, waiting = self.kept[id(parameter)]
        waiting[at] -= sent
        velocity[at] = 0


def top_k_hook(state: TopK, bucket: dist.GradBucket) -> torch.futures.Future[Tensor]:
    """The hook for DistributedDataParallel: the mean over processes of what each has sent."""
    flat, share = bucket.buffer(), state.share()
    places, values, first = [], [], 0
    for parameter, gradient in zip(bucket.parameters(), bucket.gradients(), strict=True):
        waiting = state.accumulate(parameter, gradient)
        count = max(1, math.ceil(share * waiting.numel()))
        at = waiting.abs().topk(count).indices.sort().values
        places.append(at + first)
        values.append(waiting[at])
        first += waiting.numel()
    message, sent = packed(torch.cat(places), torch.cat(values), flat.numel())
    rounded = sent.split([len(part) for part in places])
    first = 0
    for parameter, at, part in zip(bucket.parameters(), places, rounded, strict=True):
        state.forget(parameter, at - first, part)
        first += parameter.numel()
    if bucket.is_last():
        state.step += 1
    size = here().size
    received = [torch.empty_like(message) for _ in range(size)]
    answer = dist.all_gather(received, message, async_op=True).get_future()

    def summed(_: object) -> Tensor:
        flat.zero_()
        for one in received:
            at, value = unpacked(one, flat.numel())
            flat[at] += value / size
        return flat

    return answer.then(summed)


def packed(places: Tensor, values: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """A message of bytes, and the values as they will be read from it.

    `places` (k,) rise from 0 to `length` - 1, `values` (k,) stand there. A place takes two bytes,
    its position within a block of 65,536; how many lie in each block takes four bytes a block. A
    value takes two bytes: a half-precision share of the largest, which is sent in four bytes.
    """
    counts = torch.bincount(places // BLOCK, minlength=_blocks(length)).to(torch.int32)
    low = (places % BLOCK - BLOCK // 2).to(torch.int16)
    largest = values.abs().max().clamp_min(1e-30).float()
    halves = (values / largest).to(torch.float16)
    parts = (largest.view(1), counts, low, halves)
    return torch.cat([part.view(torch.uint8) for part in parts]), halves.float() * largest


def unpacked(message: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """The places and values of a `packed` message."""
    blocks = _blocks(length)
    head = 4 + 4 * blocks
    k = (len(message) - head) // 4
    largest = message[:4].clone().view(torch.float32)
    counts = message[4:head].clone().view(torch.int32).long()
    low = message[head : head + 2 * k].clone().view(torch.int16).long() + BLOCK // 2
    halves = message[head + 2 * k :].clone().view(torch.float16)
    block = torch.repeat_interleave(torch.arange(blocks), counts)
    return block * BLOCK + low, halves.float() * largest


def _blocks(length: int) -> int:
    return -(-length // BLOCK)
