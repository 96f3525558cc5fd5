"""Linear probes."""

import numpy as np
import pytest

from harness.train.probe import apply_head, fit_head


def problem(rows: int, classes: int, seed: int = 0):  # type: ignore[no-untyped-def]
    random = np.random.default_rng(seed)
    target = np.arange(rows) % classes
    features = random.normal(size=(rows, 12)) * 5 + 100
    features[np.arange(rows), target] += 12
    return features.astype(np.float32), target, random.random(rows) < 0.25


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_it_separates_what_can_be_separated(classes: int) -> None:
    features, target, inner = problem(300, classes)
    head = fit_head(features, target, classes, inner, [1e-3, 1e-1])
    fresh, truth, _ = problem(300, classes, seed=1)
    probabilities = apply_head(head, fresh)
    assert probabilities.shape == (300, classes)
    assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert (probabilities.argmax(axis=1) == truth).mean() > 0.8


def test_the_layer_equals_scikit_learn_on_standardised_features() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    for classes in (2, 4):
        features, target, inner = problem(200, classes)
        head = fit_head(features, target, classes, inner, [0.01])
        scaled = StandardScaler().fit_transform(features.astype(float))
        reference = LogisticRegression(C=0.01, max_iter=500).fit(scaled, target)
        assert apply_head(head, features) == pytest.approx(
            reference.predict_proba(scaled), abs=2e-3
        )


def test_the_strength_is_chosen_on_the_inner_rows() -> None:
    features, target, inner = problem(300, 3)
    random = np.random.default_rng(2)
    noise = random.normal(size=features.shape).astype(np.float32)
    assert fit_head(noise, target, 3, inner, [1e-4, 10.0]).strength == 1e-4
    assert fit_head(features, target, 3, inner, [1e-6, 0.1]).strength == 0.1


def test_a_class_without_rows_is_improbable() -> None:
    features, target, inner = problem(100, 2)
    probabilities = apply_head(fit_head(features, target, 4, inner, [0.1]), features)
    assert probabilities.shape == (100, 4)
    assert probabilities[:, 2:].max() < 0.01


@pytest.mark.parametrize("task", ["regression", "multiclass", "multilabel"])
def test_a_feature_that_hardly_varied_in_training_does_not_decide(task: str) -> None:
    random = np.random.default_rng(0)
    features = np.abs(random.normal(size=(200, 30))).astype(np.float32)
    value = features[:, 0] + features[:, 1]
    # 0 in all rows but one, as many features of a sparse network are
    features[:, 2] = 0
    features[value.argmax(), 2] = 0.002
    target = {
        "regression": value,
        "multiclass": (value > 1.5).astype(int),
        "multilabel": np.column_stack([value > 1.5, value > 1]).astype(int),
    }[task]
    head = fit_head(features, target, 1 + (task != "regression"), value > 9, [0.01], task)
    new = features[:20].copy()
    new[:, 2] = 0.5  # of an ordinary size for the others
    moved = np.abs(apply_head(head, new, task) - apply_head(head, features[:20], task))
    assert moved.max() < 0.3
