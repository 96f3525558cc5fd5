"""Decoded test images, by row: read ahead in threads, kept for later stages up to a limit."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from harness.competition import Rendering
from harness.data.images import USUAL, Pixels, decode
from harness.errors import DataError
from harness.predict.engines.kinds import cores

AHEAD = 256
"""Rows that may be decoded before they are asked for."""

Decoded = Mapping[int, Pixels] | DataError


class PixelStore:
    """Images as uint8 squares, each file decoded once for all ``sizes`` while memory allows.

    ``limit`` is how many bytes of pixels are kept after they were read; what does not fit is
    decoded again when it is asked for again. Rows are positions in ``paths``. For one thread; use
    it as a context manager, which ends the decoding threads.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        sizes: Iterable[int],
        *,
        limit: int,
        ahead: int = AHEAD,
        rendering: Rendering = USUAL,
    ) -> None:
        self.errors: dict[int, DataError] = {}
        self.kept_bytes = 0
        self._paths, self._sizes = paths, tuple(sorted(set(sizes)))
        self._limit, self._ahead, self._rendering = limit, ahead, rendering
        self._kept: dict[int, Mapping[int, Pixels]] = {}
        self._pending: dict[int, Future[Decoded]] = {}
        self._pool = ThreadPoolExecutor(cores())

    def prefetch(self, rows: Iterable[int]) -> None:
        """Begin to decode the rows that will be read next; earlier wishes are dropped."""
        wanted: dict[int, Future[Decoded]] = {}
        for row in map(int, rows):
            if len(wanted) == self._ahead:
                break
            if row not in self._kept and row not in self.errors:
                wanted[row] = self._begin(row)
        for future in self._pending.values():
            future.cancel()
        self._pending = wanted

    def read(
        self, rows: Sequence[int] | NDArray[np.intp], size: int
    ) -> tuple[Pixels, NDArray[np.bool_]]:
        """(pixels (rows, size, size, 3), good (rows,) bool), waiting for what is not decoded yet.

        A row that cannot be read is black and not good; why stands in ``errors``, and it is not
        tried again.
        """
        rows = [int(row) for row in rows]
        pixels = np.zeros((len(rows), size, size, 3), np.uint8)
        good = np.zeros(len(rows), bool)
        waiting = {
            row: self._begin(row)
            for row in dict.fromkeys(rows)
            if row not in self._kept and row not in self.errors
        }
        fresh = {row: future.result() for row, future in waiting.items()}
        for row, decoded in fresh.items():
            self._keep(row, decoded)
        for i, row in enumerate(rows):
            if row not in self.errors:
                decoded = self._kept[row] if row in self._kept else fresh[row]
                assert not isinstance(decoded, DataError)
                pixels[i], good[i] = decoded[size], True
        return pixels, good

    def forget(self, rows: Iterable[int]) -> None:
        """Make room: no later stage will read these rows."""
        for row in map(int, rows):
            if images := self._kept.pop(row, None):
                self.kept_bytes -= _bytes(images)

    def __enter__(self) -> "PixelStore":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _begin(self, row: int) -> Future[Decoded]:
        if row in self._pending:
            return self._pending.pop(row)
        return self._pool.submit(_decode, self._paths[row], self._sizes, self._rendering)

    def _keep(self, row: int, decoded: Decoded) -> None:
        if isinstance(decoded, DataError):
            self.errors[row] = decoded
        elif self.kept_bytes + _bytes(decoded) <= self._limit:
            self._kept[row] = decoded
            self.kept_bytes += _bytes(decoded)


def _decode(path: Path, sizes: tuple[int, ...], rendering: Rendering) -> Decoded:
    try:
        return dict(zip(sizes, decode(path, sizes, rendering), strict=True))
    except DataError as error:
        return error
    except Exception as error:  # whatever a decoder makes of a damaged file, the rest goes on
        return DataError(path, f"cannot be decoded ({error!r})", "replace the file")


def _bytes(images: Mapping[int, Pixels]) -> int:
    return sum(pixels.nbytes for pixels in images.values())
