"""A figure that is not known exactly."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float

    def for_new_rows(self, rows: int, new_rows: int) -> "Estimate":
        """The interval for a score on ``new_rows``, which has a sampling error of its own.

        ``rows`` is how many the figure was measured on.
        """
        wider = math.sqrt(1 + rows / new_rows)
        return Estimate(
            self.value,
            self.value - wider * (self.value - self.low),
            self.value + wider * (self.high - self.value),
        )

    def within(self, lowest: float, highest: float) -> "Estimate":
        """The same with an interval that holds nothing impossible."""
        low, high = (min(max(end, lowest), highest) for end in (self.low, self.high))
        return Estimate(self.value, low, high)

    @property
    def includes_zero(self) -> bool:
        """Whether the interval leaves open that there is nothing."""
        return self.low <= 0 <= self.high
