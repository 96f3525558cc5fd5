"""What probes tell: twins across folds, shortcuts, and what more pictures would bring."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from harness.audit.curve import gain_of_doubling, hungry_classes, measure
from harness.audit.duplicates import Copies
from harness.audit.embed import eyes_of, pretrained
from harness.audit.look import SIDE
from harness.audit.metadata import table_columns
from harness.audit.occlusion import occlusion_map, save_map
from harness.audit.pictures import Pictures
from harness.audit.probe import (
    Floats,
    Question,
    linear,
    make_folds,
    mean_interval,
    predict,
    reducer,
)
from harness.audit.score import score_interval
from harness.audit.shortcuts import (
    balanced,
    cheap_columns,
    colour_shares,
    judge,
    sentences,
    turn_hues,
)
from harness.data.findings import merge_groups
from harness.data.images import Pixels, decode, find_images
from harness.data.state import MAPS
from harness.errors import ConfigError
from harness.estimate import Estimate
from harness.metrics import Metric
from harness.workspace import Workspace

MOST_ROWS = 5000
"""Rows that probes look at: what they tell is clear from these."""
_RECOLOURED = 500
_EXAMPLES = 4
_OTHERS = 2
"""Other backbones that are tried: each reads all of the rows again."""
_FELL = 0.25
"""The share of the gain over guessing that other colours must cost to be worth an alarm."""


@dataclass(frozen=True)
class Probed:
    """The training rows that probes learn from, and what they see of them."""

    workspace: Workspace
    pictures: Pictures
    copies: Copies

    @cached_property
    def rows(self) -> NDArray[np.intp]:
        """Readable rows, at most ``MOST_ROWS``."""
        rows = self.pictures.readable
        if len(rows) > MOST_ROWS:
            rows = np.random.default_rng(0).permutation(rows)[:MOST_ROWS]
        return np.sort(rows)

    @cached_property
    def columns(self) -> Floats:
        """What probes see of each."""
        return self.pictures.reduced[self.rows]

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """A code each (rows,): the same for copies, and for rows of one group of the table."""
        ids = self.pictures.table.ids
        pairs = [(ids[a], ids[b]) for a, b in self.copied.tolist()]
        merged = merge_groups(ids, self.pictures.table.groups, pairs)
        return np.unique(merged, return_inverse=True)[1].astype(np.int64)[self.rows]

    @cached_property
    def copied(self) -> NDArray[np.int64]:
        """Pairs of training rows that are copies (of all, not only of ``rows``)."""
        pairs = self.copies.pairs
        return pairs[(pairs < self.pictures.trained).all(axis=1)]

    @cached_property
    def question(self) -> Question:
        """What is to be learnt, with copies kept together."""
        target = self.pictures.table.target[self.rows].astype(np.int64)
        return Question(target, len(self.pictures.table.targets), make_folds(target, self.groups))

    @cached_property
    def predicted(self) -> NDArray[np.float64]:
        """A linear probe's answers out of fold: (rows, classes)."""
        return self.question.out_of_fold(self.columns)

    @property
    def names(self) -> tuple[str, ...]:
        """The classes."""
        return self.pictures.table.targets

    def squares(self, some: NDArray[np.intp]) -> Pixels:
        """The pictures of some of the rows, as backbones see them."""
        ids = self.pictures.table.ids[self.rows[some]]
        paths = find_images(self.workspace.competition, self.workspace.root, ids)
        rendering = self.workspace.competition.data.rendering
        return np.stack([decode(path, (SIDE,), rendering)[0] for path in paths])


def twins(probed: Probed) -> list[str]:
    """What copies on both sides of a split do to a probe's score."""
    if not len(probed.copied):
        return ["copies across folds: none, so none flatters the score"]
    metric = probed.workspace.competition.metric
    before, after = twin_scores(metric, probed)
    return [
        f"copies: {len(np.unique(probed.copied))} training images have one; a probe's "
        f"{metric.name}, out of fold, is",
        f"  with them on both sides of a split: {_figure(before)}",
        f"  with them kept together:            {_figure(after)}",
        "  [folds] group_duplicates = true keeps them together",
    ]


def twin_scores(metric: Metric, probed: Probed) -> tuple[Estimate, Estimate]:
    """A probe's score with copies dealt out as they come, and with copies kept together."""
    given = probed.pictures.table.groups
    codes = None
    if given is not None:
        codes = np.unique(given, return_inverse=True)[1].astype(np.int64)[probed.rows]
    target, classes = probed.question.target, probed.question.classes
    flattered = Question(target, classes, make_folds(target, codes)).out_of_fold(probed.columns)
    return (
        score_interval(metric, target, flattered, probed.groups),
        score_interval(metric, target, probed.predicted, probed.groups),
    )


def shortcuts(probed: Probed) -> list[str]:
    """What is learnt from cheap things, against what the pictures themselves tell."""
    question, looks = probed.question, probed.pictures.looks[probed.rows]
    right = probed.predicted.argmax(axis=1) == question.target
    model, real = "the model", balanced(question, right)[0]
    lines = ["shortcuts: what gives the class away, by the balanced accuracy of small classifiers"]
    if probed.pictures.eyes is None:
        model, real = "a perfect model", 1.0
        lines.append(
            "  no [[model]] has pretrained weights to compare with: only what reaches half of a "
            "perfect score is an alarm"
        )
    cheap = cheap_columns(looks)
    names, table = table_columns(probed.workspace, probed.pictures)
    if names:
        cheap["metadata"] = table[probed.rows]
    verdicts = [judge(name, question, values, real) for name, values in cheap.items()]
    shares = colour_shares(looks.colour)
    told = sentences(verdicts, probed.names, question, shares, real, model)
    lines += [f"  {line}" for line in told]
    if probed.pictures.eyes is not None:
        lines += _other_colours(probed, right, real)
        lines += _maps(probed)
    return lines


def growth(probed: Probed) -> list[str]:
    """What twice as many pictures would bring, and what another look at these brings."""
    question = probed.question
    smallest = np.bincount(question.target, minlength=question.classes).min()
    if smallest < 10:
        return [f"more pictures: a class has {smallest}, too few to draw a learning curve"]
    curve = measure(probed.columns, question.target, question.classes, probed.groups)
    gain = gain_of_doubling(curve)
    half = (gain.high - gain.low) / 2
    probe = "a probe" if probed.pictures.eyes else "a probe of pixels (no pretrained weights)"
    lines = [
        f"more pictures: doubling the training set is worth {100 * gain.value:.1f} ± "
        f"{100 * half:.1f} points of accuracy to {probe} "
        f"(now {100 - 100 * curve.errors[:, -1].mean():.1f} %)"
    ]
    if hungry := hungry_classes(curve, probed.names):
        lines.append(
            f"  most, as far as {len(curve.errors)} draws can tell, for {' and '.join(hungry)}"
        )
    if probed.pictures.eyes is not None:
        lines += [
            f"  against it, {what} is worth {100 * worth.value:+.1f} points "
            f"({100 * worth.low:+.1f} to {100 * worth.high:+.1f})"
            for what, worth in [
                ("training on mirrored pictures, too,", _mirrored(probed)),
                *_other_backbones(probed),
            ]
        ]
    return lines


def _other_backbones(probed: Probed) -> Iterator[tuple[str, Estimate]]:
    """What a probe gains in accuracy from the eyes of competition.toml's other models."""
    question = probed.question
    right = probed.predicted.argmax(axis=1) == question.target
    others = pretrained(probed.workspace)[1 : 1 + _OTHERS]
    squares = probed.squares(np.arange(len(probed.rows))) if others else None
    for model in others:
        try:
            eyes = eyes_of(probed.workspace, model)
        except ConfigError:  # its weights are not here
            continue
        assert squares is not None
        features = eyes.embed(squares)
        answer = question.out_of_fold(reducer(features)(features)).argmax(axis=1)
        gains = (answer == question.target).astype(np.float64) - right
        yield f"looking with {model.backbone}", Estimate(*mean_interval(gains, probed.groups))


def _mirrored(probed: Probed) -> Estimate:
    """What a probe gains in accuracy from seeing each training picture mirrored as well."""
    assert probed.pictures.eyes is not None
    question, embed = probed.question, probed.pictures.eyes.embed
    some = np.arange(len(probed.rows))
    flipped = probed.pictures.reduce(embed(probed.squares(some)[:, :, ::-1]))
    gains = np.zeros(len(some))
    for fold in np.unique(question.folds):
        inside = question.folds == fold
        both = np.concatenate([probed.columns[~inside], flipped[~inside]])
        fitted = linear(both, np.tile(question.target[~inside], 2))
        answer = predict(fitted, probed.columns[inside], question.classes).argmax(axis=1)
        gains[inside] = answer == question.target[inside]
    gains -= probed.predicted.argmax(axis=1) == question.target
    return Estimate(*mean_interval(gains, probed.groups))


def _other_colours(probed: Probed, right: NDArray[np.bool_], real: float) -> list[str]:
    """Whether a probe that learnt from the pictures still knows them in other colours."""
    assert probed.pictures.eyes is not None
    random = np.random.default_rng(0)
    some = np.sort(random.permutation(len(probed.rows))[:_RECOLOURED])
    squares = probed.squares(some)
    if np.abs(squares.astype(np.int16) - squares[..., :1]).mean() < 1:
        return []  # grey pictures have no hues
    turned = turn_hues(squares, random.uniform(60, 300, len(some)))
    columns = probed.pictures.reduce(probed.pictures.eyes.embed(turned))
    question, still = probed.question, np.zeros(len(some), np.bool_)
    for fold in np.unique(question.folds):
        inside = question.folds[some] == fold
        if inside.any():
            others = question.folds != fold
            fitted = linear(probed.columns[others], question.target[others])
            answer = predict(fitted, columns[inside], question.classes).argmax(axis=1)
            still[inside] = answer == question.target[some[inside]]
    fall, low, high = mean_interval(right[some] - still.astype(np.float64))
    alarm = low > _FELL * (real - 1 / question.classes)
    return [
        f"  {'ALARM: ' if alarm else ''}with their hues turned, {still.mean():.0%} are recognised "
        f"instead of {right[some].mean():.0%} (a fall of {fall:.2f}, {low:.2f} to {high:.2f})"
    ]


def _maps(probed: Probed) -> list[str]:
    """Occlusion maps of pictures that were recognised most surely, of different classes."""
    assert probed.pictures.eyes is not None
    question, embed = probed.question, probed.pictures.eyes.embed
    sure = probed.predicted[np.arange(len(probed.rows)), question.target]
    examples = [
        int(np.flatnonzero(question.target == code)[sure[question.target == code].argmax()])
        for code in np.unique(question.target)[:_EXAMPLES]
    ]
    fitted = linear(probed.columns, question.target)
    folder = probed.workspace.root / MAPS
    for row, square in zip(examples, probed.squares(np.array(examples)), strict=True):
        code = int(question.target[row])

        def probability(squares: Pixels, code: int = code) -> NDArray[np.floating]:
            seen = probed.pictures.reduce(embed(squares))
            return predict(fitted, seen, question.classes)[:, code]

        caption = (
            f"{probed.names[code]}: image {probed.pictures.table.ids[probed.rows[row]]}\n"
            "Left: the picture. Right: red where covering a part lowers a probe's answer most."
        )
        falls = occlusion_map(square, probability)
        save_map(folder / f"class-{code}.png", square, falls, caption)
    return [f"  where it looks: {len(examples)} occlusion maps in {MAPS}/"]


def _figure(estimate: Estimate) -> str:
    return f"{estimate.value:.4f} ({estimate.low:.4f} to {estimate.high:.4f})"
