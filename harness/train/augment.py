"""Random changes to batches of training images, every image drawing its own."""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms import v2

from harness.model import Augmentation

Augment = Callable[[Tensor], Tensor]

SMALLEST_CROP = 0.6  # share of the picture's area
WIDEST_ASPECT = 1.18
LARGEST_TURN = 15.0  # degrees
COLOUR = 0.2  # how far brightness, contrast and saturation go from 1
ERASED = 0.25  # of the pictures lose a rectangle
GREY = (0.299, 0.587, 0.114)


def make_augment(names: Sequence[Augmentation]) -> Augment:
    """A function from uint8 images (rows, size, size, 3) to images changed one by one.

    The result is uint8, or float32 in [0, 255]. Chance is torch's global random state on the
    CPU, wherever the images are, so that a device changes nothing in what is drawn.
    """
    chosen = [_STEPS[name] for name in _ORDER if name in names]
    if "crop" in names or "rotate" in names:  # one resampling for both
        move = _mover(crop="crop" in names, rotate="rotate" in names)
        chosen.insert(sum(name in names for name in _BEFORE_MOVING), move)

    def augment(images: Tensor) -> Tensor:
        for step in chosen:
            images = step(images)
        return images

    return augment


def _flipper(dimension: int) -> Augment:
    def flip(images: Tensor) -> Tensor:
        chosen = torch.rand(len(images)) < 0.5
        flipped = images.clone()
        flipped[chosen] = images[chosen].flip(dimension)
        return flipped

    return flip


def _quarter_turns(images: Tensor) -> Tensor:
    turns = torch.randint(4, (len(images),))
    turned = images.clone()
    for count in (1, 2, 3):
        turned[turns == count] = torch.rot90(images[turns == count], count, dims=(1, 2))
    return turned


def _randaugment(images: Tensor) -> Tensor:
    """RandAugment (Cubuk et al. 2020) with two changes of medium strength."""
    change = v2.RandAugment(num_ops=2, magnitude=9)
    return torch.stack([change(image) for image in images.permute(0, 3, 1, 2)]).permute(0, 2, 3, 1)


def _mover(*, crop: bool, rotate: bool) -> Augment:
    """Random crops and turns, resampled once, mirrored beyond the border."""

    def move(images: Tensor) -> Tensor:
        count = len(images)
        across = down = torch.ones(count)
        shift_x = shift_y = torch.zeros(count)
        if crop:
            area = torch.empty(count).uniform_(SMALLEST_CROP, 1)
            aspect = torch.exp(torch.empty(count).uniform_(-1, 1) * math.log(WIDEST_ASPECT))
            across, down = (area * aspect).sqrt().clamp(max=1), (area / aspect).sqrt().clamp(max=1)
            shift_x = torch.empty(count).uniform_(-1, 1) * (1 - across)
            shift_y = torch.empty(count).uniform_(-1, 1) * (1 - down)
        angle = torch.zeros(count)
        if rotate:
            angle = torch.empty(count).uniform_(-1, 1) * math.radians(LARGEST_TURN)
        sine, cosine = angle.sin(), angle.cos()
        where = torch.stack(
            [
                torch.stack([across * cosine, -down * sine, shift_x], dim=1),
                torch.stack([across * sine, down * cosine, shift_y], dim=1),
            ],
            dim=1,
        ).to(images.device)
        pixels = images.permute(0, 3, 1, 2).float()
        grid = F.affine_grid(where, list(pixels.shape), align_corners=False)
        moved = F.grid_sample(pixels, grid, padding_mode="reflection", align_corners=False)
        return moved.permute(0, 2, 3, 1)

    return move


def _colour(images: Tensor) -> Tensor:
    """Brightness, contrast and saturation in one linear map a picture."""
    count = len(images)
    bright, contrast, saturation = (
        torch.empty(3, count, 1, 1, 1).uniform_(1 - COLOUR, 1 + COLOUR).to(images.device)
    )
    pixels = images.float() * bright
    grey = (pixels * torch.tensor(GREY, device=images.device)).sum(dim=-1, keepdim=True)
    mean = grey.mean(dim=(1, 2), keepdim=True)
    pixels = pixels * saturation + grey * (1 - saturation)
    return (pixels * contrast + mean * (1 - contrast)).clamp(0, 255)


def _erase(images: Tensor) -> Tensor:
    """Random erasing (Zhong et al. 2020): a rectangle of a quarter of the pictures turns grey."""
    erase = v2.RandomErasing(p=ERASED, scale=(0.02, 0.25), value=127)
    return torch.stack([erase(image) for image in images.permute(0, 3, 1, 2)]).permute(0, 2, 3, 1)


_STEPS: dict[Augmentation, Augment] = {
    "hflip": _flipper(2),
    "vflip": _flipper(1),
    "rot90": _quarter_turns,
    "randaugment": _randaugment,
    "colour": _colour,
    "erase": _erase,
}
# flips and turns are exact, resampling is not and comes after them; RandAugment wants bytes
_BEFORE_MOVING: tuple[Augmentation, ...] = ("hflip", "vflip", "rot90", "randaugment")
_ORDER: tuple[Augmentation, ...] = (*_BEFORE_MOVING, "colour", "erase")
