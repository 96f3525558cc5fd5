"""Texts → 64-bit keys: where every fold comes from, specified so that it can be written again.

**The hash of a text**, under a 64-bit ``key``; all arithmetic is modulo 2**64:

1. Encode the text as UTF-8 (lone surrogates as if they were characters): ``length`` bytes.
2. Fill up with zero bytes to a multiple of 8 and read little-endian words w1, w2, ….
3. h = mix(key + length); then for each word h = mix(h XOR w).

``mix`` is the finaliser of SplitMix64 (Steele, Lea & Flood 2014) after its increment::

    x = x + 0x9E3779B97F4A7C15
    x = (x XOR x >> 30) * 0xBF58476D1CE4E5B9
    x = (x XOR x >> 27) * 0x94D049BB133111EB
    x =  x XOR x >> 31

It is one-to-one, so texts of one length that differ in a single word never collide.

**A key** is the first 8 bytes, little-endian, of the BLAKE2b hash (``digest_size=8``) of words
joined by single spaces, such as ``"harness.fold 1 order 2019 0"``.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]

_BLOCK = 1 << 13  # texts hashed at a time, so that the intermediate words stay in the cache
_U64 = np.uint64


def derive_key(*words: object) -> np.uint64:
    """The 64-bit key that stands for these words."""
    text = " ".join(map(str, ("harness.fold", *words)))
    return _U64(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little"))


def mix(values: Keys) -> Keys:
    """SplitMix64 of every value: one-to-one, and looks random."""
    x = values + _U64(0x9E3779B97F4A7C15)
    x ^= x >> _U64(30)
    x *= _U64(0xBF58476D1CE4E5B9)
    x ^= x >> _U64(27)
    x *= _U64(0x94D049BB133111EB)
    x ^= x >> _U64(31)
    return x


@dataclass(frozen=True)
class Packed:
    """Texts as UTF-8 in one piece, a line end between two; ``lengths`` (texts,) are in bytes."""

    data: bytes
    lengths: NDArray[np.int64]

    @property
    def starts(self) -> NDArray[np.int64]:
        """Where each text begins in ``data``."""
        return np.cumsum(self.lengths + 1) - self.lengths - 1


def pack(texts: Sequence[str] | NDArray[Any]) -> Packed:
    """Lay texts out for :func:`hash_texts`. A TypeError if one is not a ``str``."""
    listed = texts.tolist() if isinstance(texts, np.ndarray) else texts  # joins twice as fast
    data = "\n".join(listed).encode("utf-8", "surrogatepass")
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))
    if len(ends) == len(listed) - 1:
        return Packed(data, np.diff(ends, prepend=-1, append=len(data)) - 1)
    encoded = (text.encode("utf-8", "surrogatepass") for text in listed)  # one holds a line end
    return Packed(data, np.fromiter(map(len, encoded), np.int64, len(listed)))


def hash_texts(texts: Packed, key: np.uint64) -> Keys:
    """The hash of each text under ``key`` (see the top of this file): (texts,)."""
    # One word beyond the end, because an unaligned word is cut out of two aligned ones.
    padding = bytes(16 - len(texts.data) % 8)
    words = np.frombuffer(texts.data + padding, dtype="<u8")
    starts = texts.starts
    hashes = np.empty(len(starts), np.uint64)
    for begin in range(0, len(starts), _BLOCK):
        block = slice(begin, begin + _BLOCK)
        hashes[block] = _hash_block(words, starts[block], texts.lengths[block], key)
    return hashes


def _hash_block(
    words: Keys, starts: NDArray[np.int64], lengths: NDArray[np.int64], key: np.uint64
) -> Keys:
    hashes = mix(key + lengths.astype(np.uint64))
    longest, shortest = int(lengths.max()), int(lengths.min())
    for offset in range(0, longest, 8):
        if offset + 8 <= shortest:
            hashes = mix(hashes ^ _word_at(words, starts + offset))
            continue
        going = np.flatnonzero(lengths > offset)
        word = _word_at(words, starts[going] + offset)
        missing = np.maximum(offset + 8 - lengths[going], 0).astype(np.uint64) * _U64(8)
        word = (word << missing) >> missing  # the next text's bytes are not ours
        hashes[going] = mix(hashes[going] ^ word)
    return hashes


def _word_at(words: Keys, positions: NDArray[np.int64]) -> Keys:
    """The little-endian word that starts at any byte position."""
    index = positions >> 3
    shift = (positions & 7).astype(np.uint64) * _U64(8)
    low = words[index] >> shift
    high = (words[index + 1] << _U64(1)) << (_U64(63) - shift)  # never a shift by 64
    return low | high
