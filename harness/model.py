"""[[model]]: one member of the ensemble, and the runs that it stands for."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Strict, Tag, model_validator

from harness.section import SafeName, Section, Strings

Invariance = Literal["hflip", "vflip", "rot90"]
Augmentation = Literal[
    "hflip", "vflip", "rot90", "crop", "rotate", "colour", "randaugment", "erase"
]
Preset = Literal["none", "light", "medium", "heavy"]
Precision = Literal["fp32", "bf16", "fp16"]

PRESETS: dict[Preset, tuple[Augmentation, ...]] = {
    "none": (),
    "light": ("crop",),
    "medium": ("crop", "rotate", "colour"),
    "heavy": ("crop", "rotate", "colour", "randaugment", "erase"),
}
"""What each preset adds to the invariances of [data]; "none" leaves these out, too."""


# parts of an error's place that begin with a colon are not shown
Augment = Annotated[
    Annotated[Preset, Tag(":preset")]
    | Annotated[tuple[Augmentation, ...], Strict(False), Tag(":names")],
    Discriminator(lambda value: ":preset" if isinstance(value, str) else ":names"),
]


class ModelSection(Section):
    """[[model]]: one member: what its training depends on, and how its models predict.

    ``seeds`` stands for one run a seed, named <name>-s<seed>; with ``snapshots`` = n the learning
    rate falls to nothing n times, and each time but the last leaves a run <name>-c<number>.
    """

    name: SafeName
    backbone: str
    weights: str = "timm"
    mode: Literal["finetune", "probe"] = "finetune"
    image_size: int = Field(default=224, ge=16, le=4096)
    channels: Literal[1, 3] = 3
    """1: the network sees grey pictures through one channel; its first layer is summed."""
    seed: int = Field(default=0, ge=0)
    seeds: Annotated[tuple[int, ...], Strict(False)] = ()

    # speed: what is not said here is measured before the first fold
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    channels_last: bool | None = None
    compile: bool | None = None
    deterministic: bool = False
    """Bit-identical on a GPU, too, where that is slower; on a CPU it always is."""

    # fine-tuning: which images, how often, how fast
    epochs: int = Field(default=10, ge=1)
    batch_size: int = Field(default=32, ge=1)
    lr: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    """Each layer learns so much slower than the next one towards the output."""
    warmup_epochs: float = Field(default=0.5, ge=0)
    clip: float = Field(default=1.0, gt=0)
    """The largest norm of the gradient."""
    balance: Literal["none", "weights", "sampling"] = "none"
    """Rare classes weigh more in the loss, or are drawn more often."""
    progressive: float = Field(default=1.0, gt=0, le=1)
    """Training begins at this share of image_size and reaches all of it at two thirds."""
    pseudo: Strings = ()
    """Trained runs whose fold models label the test images for the same fold."""

    # fine-tuning: which weights move, and which are kept
    frozen: float = Field(default=0.0, ge=0, le=1)
    """The share of the layers, from the input on, that stay as they are."""
    head_epochs: float = Field(default=0.0, ge=0)
    """Only the classifier learns so long: a probe first, then fine-tuning."""
    average: Literal["none", "ema", "swa"] = "none"
    """Keep a moving average of the weights, or the mean over the last quarter of the epochs."""
    average_decay: float = Field(default=0.999, gt=0, lt=1)
    snapshots: int = Field(default=1, ge=1, le=20)
    patience: int = Field(default=0, ge=0)
    """Stop so many epochs after the best one on an inner fold; 0 trains to the end on all."""

    # fine-tuning: what keeps it from learning by heart
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    drop_path: float = Field(default=0.0, ge=0, lt=1)
    augment: Augment = "light"
    mixup: float = Field(default=0.0, ge=0)
    cutmix: float = Field(default=0.0, ge=0)

    # probing: the inverse regularisation strengths that inner cross-validation chooses from
    strengths: Annotated[tuple[float, ...], Strict(False), Field(min_length=1)] = (
        3e-4,
        1e-3,
        3e-3,
        1e-2,
    )

    # prediction: what the trained models are used for, which changes nothing in their training.
    # The fold models' predictions averaged (all of them, or the first ``fold_models``); their
    # "soup", one network with the mean of their weights, if the holdout finds no harm in it; or a
    # "refit", one more model trained on all rows that are in folds.
    predict: Literal["average", "soup", "refit"] = "average"
    fold_models: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _one_choice(self) -> "ModelSection":
        if self.fold_models is not None and self.predict != "average":
            raise ValueError(
                f"'fold_models' says how many are averaged and predict = {self.predict!r} "
                "averages none; remove one of them"
            )
        if self.snapshots > 1 and (self.average == "swa" or self.patience):
            raise ValueError("'snapshots' are taken at the ends of cycles; drop swa and patience")
        if self.snapshots > self.epochs:
            raise ValueError(f"{self.snapshots} snapshots need as many epochs, not {self.epochs}")
        if self.average == "swa" and self.patience:
            raise ValueError("'patience' keeps one epoch's weights, swa many; drop one of them")
        if self.head_epochs >= self.epochs:
            raise ValueError("'head_epochs' leaves no epoch to fine-tune in; use mode = 'probe'")
        if len(set(self.seeds)) < len(self.seeds) or any(seed < 0 for seed in self.seeds):
            raise ValueError("'seeds' must be different whole numbers from 0 on")
        return self

    @model_validator(mode="after")
    def _name_is_free(self) -> "ModelSection":
        if self.name.lower() == "ensemble":
            raise ValueError("the name 'ensemble' is taken by models/ensemble; choose another")
        return self

    def require_trainable(self, task: str) -> None:
        """Raise a ValueError if no training of that task can do what is set."""
        found = ""  # not a check of the section itself: stored runs are still read
        if self.mode == "finetune" and self.batch_size < 2:
            found = "batch_size = 1 is too few for batch normalisation; set it to 2 or more"
        if task == "regression" and self.balance != "none":
            found = f"balance = {self.balance!r} needs classes, not values; remove it"
        if task == "regression" and self.label_smoothing:
            found = "label_smoothing needs classes, not values; remove it"
        if found:
            raise ValueError(f"model {self.name!r}: {found}")

    def trainings(self) -> tuple["ModelSection", ...]:
        """What is trained for it: itself, or one model a seed."""
        return tuple(
            self.model_copy(update={"name": f"{self.name}-s{seed}", "seed": seed, "seeds": ()})
            for seed in self.seeds
        ) or (self,)

    def snapshot_runs(self) -> tuple["ModelSection", ...]:
        """The runs that its cycles leave, in their order; the last is the model itself."""
        earlier = (
            self.model_copy(update={"name": f"{self.name}-c{cycle}"})
            for cycle in range(1, self.snapshots)
        )
        return (*earlier, self)

    def transforms(self, invariances: Sequence[Invariance]) -> tuple[Augmentation, ...]:
        """Its augmentations, where [data] states those invariances."""
        if not isinstance(self.augment, str):
            return self.augment
        return () if self.augment == "none" else (*invariances, *PRESETS[self.augment])


_PROBING = {
    *("name", "backbone", "weights", "mode", "image_size"),
    *("channels", "seed", "precision", "strengths"),
}


def training_settings(model: ModelSection) -> dict[str, Any]:
    """What decides a model's training, as plain values: how it predicts afterwards is left out,
    and for a probe all that only fine-tuning knows."""
    if model.mode == "probe":
        return model.model_dump(mode="json", include=_PROBING)
    return model.model_dump(mode="json", exclude={"predict", "fold_models", "seeds", "strengths"})
