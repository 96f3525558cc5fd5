"""Random changes to training images that leave their label as it is."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torchvision.transforms import v2

from harness.competition import Augmentation


def make_augment(names: Sequence[Augmentation], size: int) -> Callable[[Tensor], Tensor]:
    """A function from uint8 images (rows, size, size, 3) to images changed one by one.

    Every image draws its own changes, from torch's global random state.
    """
    if not names:
        return lambda images: images
    transform = v2.Compose([_TRANSFORMS[name](size) for name in _ORDER if name in names])

    def augment(images: Tensor) -> Tensor:
        changed = [transform(image) for image in images.permute(0, 3, 1, 2)]
        return torch.stack(changed).permute(0, 2, 3, 1)

    return augment


def _quarter_turns(image: Tensor) -> Tensor:
    return torch.rot90(image, int(torch.randint(4, ())), dims=(-2, -1))


_TRANSFORMS: dict[Augmentation, Callable[[int], Callable[[Tensor], Tensor]]] = {
    "hflip": lambda size: v2.RandomHorizontalFlip(),
    "vflip": lambda size: v2.RandomVerticalFlip(),
    "rot90": lambda size: _quarter_turns,
    "crop": lambda size: v2.RandomResizedCrop(
        size, scale=(0.6, 1.0), ratio=(0.85, 1.18), antialias=True
    ),
    "colour": lambda size: v2.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2),
}
# crops last but one: flips and turns are exact, resampling is not and should come after them
_ORDER: tuple[Augmentation, ...] = ("hflip", "vflip", "rot90", "crop", "colour")
