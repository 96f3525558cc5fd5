"""The pictures of a workspace as the audit sees them: training images, then test images."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from harness.audit.embed import Eyes, open_eyes
from harness.audit.look import Looks, cached_looks
from harness.audit.probe import Floats, reducer
from harness.data.findings import Part
from harness.data.images import find_images
from harness.data.sample import read_test_ids
from harness.data.table import Table, read_table
from harness.display import Display
from harness.workspace import Workspace


@dataclass(frozen=True)
class Pictures:
    """Every picture looked at once: the table's rows first, then ``test_ids``."""

    table: Table
    test_ids: NDArray[np.object_]
    looks: Looks
    eyes: Eyes | None

    @property
    def trained(self) -> int:
        """How many of the rows are training images."""
        return len(self.table.ids)

    @property
    def ids(self) -> list[str]:
        """The ids of all rows."""
        return [*self.table.ids, *self.test_ids]

    @property
    def parts(self) -> list[Part]:
        """Where each row comes from."""
        train: list[Part] = ["train"]
        test: list[Part] = ["test"]
        return train * self.trained + test * len(self.test_ids)

    @property
    def readable(self) -> NDArray[np.intp]:
        """The training rows whose picture can be read."""
        return np.flatnonzero(self.looks.readable[: self.trained])

    @cached_property
    def reduce(self) -> Callable[[NDArray[np.floating]], Floats]:
        """What brings what is seen of pictures to what probes look at."""
        return reducer(self.seen(self.looks))

    @cached_property
    def reduced(self) -> Floats:
        """What probes look at: (rows, width)."""
        return self.reduce(self.seen(self.looks))

    def seen(self, looks: Looks) -> NDArray[np.floating]:
        """What is seen of pictures: the backbone's features, or their thumbnails' pixels."""
        if self.eyes is not None:
            return looks.features
        return looks.colour.reshape(len(looks), -1).astype(np.float32)


def see(workspace: Workspace, display: Display) -> Pictures:
    """Read the tables and look at every picture; what was seen before comes from the cache."""
    competition, root = workspace.competition, workspace.root
    table = read_table(competition, root)
    test_ids: NDArray[np.object_] = np.empty(0, dtype=object)
    if competition.data.test or competition.data.sample_submission:
        test_ids = read_test_ids(competition, root)
    paths = find_images(competition, root, table.ids, tolerate_missing=True)
    paths += find_images(competition, root, test_ids, test=True, tolerate_missing=True)
    eyes = open_eyes(workspace, display.say)
    with display.progress("looking", len(paths)) as advance:
        looks = cached_looks(
            paths,
            None if eyes is None else eyes.embed,
            "" if eyes is None else eyes.name,
            workspace.cache / "audit",
            lambda done: advance(done, ""),
            rendering=competition.data.rendering,
        )
    return Pictures(table, test_ids, looks, eyes)
