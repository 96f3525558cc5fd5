"""The hash that all folds rest on, against a second implementation and pinned values."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.fold.keys import derive_key, hash_texts, pack

TWO_64 = 2**64
PINNED_KEY = 0x0BCEA68B03CCEDBA
PINNED_HASHES = [
    0x351634DE2D27A0C4,
    0xB9E803DFB7BF4DEE,
    0x4705868E03378A7D,
    0x662982F4AACDA62B,
]


def mix(x: int) -> int:
    x = (x + 0x9E3779B97F4A7C15) % TWO_64
    x = ((x ^ x >> 30) * 0xBF58476D1CE4E5B9) % TWO_64
    x = ((x ^ x >> 27) * 0x94D049BB133111EB) % TWO_64
    return x ^ x >> 31


def hash_text(text: str, key: int) -> int:
    """As the docstring of harness.fold.keys says, one text and one word at a time."""
    data = text.encode("utf-8", "surrogatepass")
    state = mix((key + len(data)) % TWO_64)
    data += bytes(-len(data) % 8)
    for start in range(0, len(data), 8):
        state = mix(state ^ int.from_bytes(data[start : start + 8], "little"))
    return state


@given(
    st.lists(st.text(st.characters(exclude_categories=()), max_size=40), min_size=1, max_size=50),
    st.integers(0, TWO_64 - 1),
)
@settings(max_examples=200)
def test_hash_is_the_specified_one(texts: list[str], key: int) -> None:
    hashes = hash_texts(pack(texts), np.uint64(key))
    assert hashes.tolist() == [hash_text(text, key) for text in texts]


def test_hash_does_not_depend_on_the_block_that_a_text_falls_in() -> None:
    texts = [f"{'x' * (row % 23)}{row}" for row in range(20_000)]
    hashes = hash_texts(pack(texts), np.uint64(5))
    assert hashes[-3:].tolist() == [hash_text(text, 5) for text in texts[-3:]]
    assert hashes[8190:8195].tolist() == [hash_text(text, 5) for text in texts[8190:8195]]


def test_pinned_values() -> None:
    """For whoever writes this again in another language."""
    key = derive_key(1, "id")
    assert int(key) == PINNED_KEY
    assert hash_texts(pack(["", "007", "img_00001.png", "漢字"]), key).tolist() == PINNED_HASHES
