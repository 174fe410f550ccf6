"""Rotation, colour and sharpness of a whole batch of images, each image by numbers of its own.

Images are float32 of shape (b, height, width, channels), contiguous, values 0 to 255.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

GREY = (0.299, 0.587, 0.114)  # how bright red, green and blue look (ITU-R BT.601)


def grey_levels(images: Tensor) -> Tensor:
    """Of uint8 images (n, c, h, w) in memory, c 1 or 3: float32 (n, 1, h, w), 0 to 255."""
    pixels = images.float()
    weights = pixels.new_tensor(GREY) if pixels.shape[1] == 3 else pixels.new_ones(1)
    return (pixels * weights[:, None, None]).sum(1, keepdim=True)


def rotated(images: Tensor, degrees: Tensor) -> Tensor:
    """Turn each image about its centre, anticlockwise, by its own of `degrees` (b,).

    Pixel (row, column), counted from the centre as (v, u), takes the value at
    (u sin a + v cos a, u cos a - v sin a), which bilinear interpolation reads between four pixels.
    What lies outside is the image reflected there, the edge pixel not repeated.
    """
    height, width = images.shape[1:3]
    middle_row, middle_column = (height - 1) / 2, (width - 1) / 2
    v = torch.arange(height, device=images.device)[:, None] - middle_row
    u = torch.arange(width, device=images.device) - middle_column
    angle = torch.deg2rad(degrees.to(images))[:, None, None]
    sine, cosine = torch.sin(angle), torch.cos(angle)
    places = (
        (cosine * u - sine * v) / max(middle_column, 0.5),
        (sine * u + cosine * v) / max(middle_row, 0.5),
    )
    turned = F.grid_sample(
        images.permute(0, 3, 1, 2),
        torch.stack(places, -1),
        mode="bilinear",
        padding_mode="reflection",
        align_corners=True,
    )
    return turned.permute(0, 2, 3, 1).contiguous()


def recoloured(images: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor) -> Tensor:
    """Change brightness b, contrast c and saturation s of each image; factors (b,), 1: as it is.

    One after the other, with g(x) the grey value of a pixel and m the mean of g over the image:
    x' = b x, then x'' = m(x') + c (x' - m(x')), then g(x'') + s (x'' - g(x'')). Together that is

        b c (s x + (1 - s) g(x)) + b (1 - c) m(x),

    cut to 0..255 at the end. Images of other than three channels have the channels' mean as grey.
    """
    channels = images.shape[3]
    weights = images.new_tensor(GREY if channels == 3 else (1 / channels,) * channels)
    b, c, s = (
        factor.to(images)[:, None, None, None] for factor in (brightness, contrast, saturation)
    )
    grey = (images @ weights)[..., None]
    level = b * (1 - c) * grey.mean((1, 2), keepdim=True)
    return (b * c * s * images).add_(b * c * (1 - s) * grey).add_(level).clamp_(0, 255)


def sharpened(images: Tensor, factor: Tensor) -> Tensor:
    """Move each pixel away from its smoothed neighbourhood: smooth + factor (x - smooth).

    smooth is the mean of the 3x3 pixels around, in which the pixel itself counts five times
    (13 in all), as in Pillow. Pixels at the edge stay as they are; the result is cut to 0..255.
    """
    if min(images.shape[1:3]) < 3:
        return images
    rows = (images[:, :-2] + images[:, 1:-1]).add_(images[:, 2:])
    around = (rows[:, :, :-2] + rows[:, :, 1:-1]).add_(rows[:, :, 2:])  # sums of 3x3 pixels
    by = factor.to(images)[:, None, None, None]
    smooth = (1 - by) / 13  # weight of each pixel around
    inner = images[:, 1:-1, 1:-1] * (by + 4 * smooth)
    result = images.clone()
    result[:, 1:-1, 1:-1] = around.mul_(smooth).add_(inner).clamp_(0, 255)
    return result
