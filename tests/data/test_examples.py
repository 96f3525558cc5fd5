"""The ELPV example: who plays the hidden test set."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data.examples import hidden_rows


def test_the_hidden_quarter_is_stratified_and_of_exact_size() -> None:
    labels = ["0"] * 1508 + ["33"] * 295 + ["67"] * 106 + ["100"] * 715
    ids = [f"cell{i:04d}" for i in range(2624)]
    hidden = hidden_rows(ids, labels)
    assert hidden.sum() == 656
    counts = Counter(label for label, is_hidden in zip(labels, hidden, strict=True) if is_hidden)
    assert counts == {"0": 377, "33": 74, "67": 26, "100": 179}


@settings(max_examples=30)
@given(st.lists(st.sampled_from("abc"), min_size=4, max_size=60), st.randoms())
def test_the_order_of_rows_does_not_matter(labels: list[str], random) -> None:  # type: ignore[no-untyped-def]
    ids = [f"i{n}" for n in range(len(labels))]
    hidden = dict(zip(ids, hidden_rows(ids, labels), strict=True))
    order = list(range(len(labels)))
    random.shuffle(order)
    shuffled = hidden_rows([ids[i] for i in order], [labels[i] for i in order])
    assert [hidden[ids[i]] for i in order] == shuffled.tolist()
