"""competition.toml: what is accepted, and that each error names its line."""

from pathlib import Path

import pytest
from tiny import TOML

from harness.competition import Competition, load_competition
from harness.errors import ConfigError
from harness.toml_errors import line_of


def load(tmp_path: Path, text: str) -> Competition:
    path = tmp_path / "competition.toml"
    path.write_text(text, encoding="utf-8")
    return load_competition(path)


def test_defaults_and_values(tmp_path: Path) -> None:
    competition = load(tmp_path, TOML)
    assert competition.folds.k == 3
    assert competition.folds.holdout == 0.0
    assert [model.name for model in competition.model] == ["tuned", "probe"]
    assert competition.model[0].augment == ("vflip", "colour")
    assert not competition.metric.greater_is_better


def test_a_loaded_competition_does_not_change(tmp_path: Path) -> None:
    competition = load(tmp_path, TOML)
    with pytest.raises(ValueError, match="frozen"):
        competition.folds.k = 4  # type: ignore[misc]


@pytest.mark.parametrize(
    ("invariances", "views"),
    [
        ("[]", ("identity",)),
        ('["hflip"]', ("identity", "hflip")),
        ('["hflip", "vflip"]', ("identity", "hflip", "vflip", "rot180")),
        ('["rot90"]', ("identity", "rot180", "rot90", "rot270")),
        ('["hflip", "rot90"]', ("identity", "hflip", "rot90", "transpose")),
    ],
)
def test_views_follow_the_invariances(
    tmp_path: Path, invariances: str, views: tuple[str, ...]
) -> None:
    text = TOML.replace("[folds]", f"invariances = {invariances}\n\n[folds]")
    assert load(tmp_path, text).views == views


@pytest.mark.parametrize(
    ("asked", "views"),
    [
        ("1", ("identity",)),
        ("8", ("identity", "hflip")),
        ('["zoom", "rot90"]', ("zoom", "rot90")),  # the user's word
    ],
)
def test_views_are_a_number_or_names(tmp_path: Path, asked: str, views: tuple[str, ...]) -> None:
    assert load(tmp_path, f"{TOML}\n[predict]\nviews = {asked}\n").views == views


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "probe"', 'name = "TUNED"', "two models are called 'TUNED'"),
        (
            'name = "probe"',
            'name = "../x"',
            "toml:28: model\\[2\\].name: '../x' cannot be a file's",
        ),
        ('name = "probe"', 'name = "CON"', "'CON' cannot be a file's name on every system"),
        ('name = "probe"', 'name = "Ensemble"', "'ensemble' is taken"),
        ('"log_loss"', '"rmse"', "toml:4: competition.metric: 'rmse' does not fit task 'multi"),
        ('"log_loss"', '"f1"', "does not fit task 'multiclass'; what does: log_loss, brier, roc"),
        ('"log_loss"', '"quadratic_weighted_kappa"', "does not fit task 'multiclass'"),
        ('"log_loss"', '"map"', "'map' does not say how many guesses count; write map@5"),
        ('"log_loss"', '"logloss"', "toml:4: .*'logloss' is not a known metric; did you mean"),
        ("k = 3", "k = 1", "competition.toml:14: 'folds.k' is 1"),
        ("k = 3", "k = 3.0", "competition.toml:14: 'folds.k' is 3.0"),
        ("k = 3", 'k = "3"', "competition.toml:14: 'folds.k' is '3'"),
        ("k = 3", "k = 3\nholdout = 1.0", "'folds.holdout' is 1.0"),
        ("{id}.png", "id.png", "needs the placeholder"),
        ("data/images", "../images", "must not climb out"),
        ('label = "label"', 'label = "label"\nlabels = ["a"]', "not both"),
        ("[stack]", "[predict]\nviews = 0\n[stack]", "'predict.views' is 0"),
        ("[stack]", "[predict]\nviews = 9\n[stack]", "'predict.views' is 9"),
        ("[stack]", "[predict]\nviews = []\n[stack]", "'predict.views' is \\[\\]"),
        ("[stack]", '[predict]\nviews = ["flip"]\n[stack]', r"'predict.views\[1\]' is 'flip'"),
        ("[stack]", '[predict]\nviews = ["zoom", "zoom"]\n[stack]', "names a view twice"),
        ("[stack]", "[predict]\nview = 2\n[stack]", "did you mean 'views'"),
        ('"vflip"', '"flip"', r"'model\[1\].augment\[1\]' is 'flip'"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in TOML
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, TOML.replace(old, new))


def test_line_of_knows_tables_and_arrays_of_tables() -> None:
    lines = TOML.splitlines()
    second = [i for i, line in enumerate(lines, 1) if line == "[[model]]"][1]
    assert line_of(TOML, ("folds", "k")) == lines.index("k = 3") + 1
    assert line_of(TOML, ("model", 1, "image_size")) == second + 5
    assert line_of(TOML, ("model", 1, "epochs")) == second  # not there: its table's header
    assert line_of(TOML, ("budget", "seconds")) is None
    assert line_of('[a]\n"quoted" = 1\n', ("a", "quoted")) == 2
    assert line_of("[a.b]\nc = 1\n", ("a", "b", "c")) == 2
    assert line_of("a.b = 1\n", ("a", "b")) == 1


def test_repository_and_template_competitions_are_valid(tmp_path: Path) -> None:
    from harness.workspace.template import write_template

    assert load_competition(write_template(tmp_path / "new")).model
    root = Path(__file__).parent.parent
    demo = load_competition(root / "competition.toml")
    assert len(demo.model) >= 4
    assert len({model.backbone for model in demo.model}) >= 3
    assert any(model.mode == "finetune" for model in demo.model)


def test_ridge_combines_values_unless_methods_are_named(tmp_path: Path) -> None:
    values = TOML.replace('"multiclass"\nmetric = "log_loss"', '"regression"\nmetric = "rmse"')
    own, _, _ = values.partition("[stack]")
    assert "ridge" in load(tmp_path, own).stack.methods
    assert "ridge" in load(tmp_path, own + "[stack]\nseed = 1").stack.methods
    assert "ridge" not in load(tmp_path, values).stack.methods
    assert "ridge" not in load(tmp_path, TOML.partition("[stack]")[0]).stack.methods
