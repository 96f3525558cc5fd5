"""A new workspace: a competition.toml to fill in."""

from pathlib import Path

from harness.competition import FILE_NAME
from harness.errors import WorkspaceError
from harness.files import write_text

TEMPLATE = """\
# A workspace of the competition harness. Lines with a # in front show defaults.

[competition]
name = "{name}"
task = "multiclass"          # binary | multiclass | multilabel | ordinal | regression
metric = "log_loss"          # log_loss, accuracy, roc_auc, f1_macro, …
# kaggle = "competition-slug"
# public_share = 0.3         # of the test rows, on the public leaderboard: its page says it

[data]
train = "data/train.csv"     # CSV, zipped CSV or Parquet
images = "data/images/{{id}}.png"   # without a table: "data/train/{{label}}/{{id}}.png"
# test_images = "data/test/{{id}}.png"   # if those to predict lie elsewhere
sample_submission = "data/sample_submission.csv"
# test = "data/test.csv"     # else the ids of the sample submission are predicted
id = "id"
label = "label"              # or labels = ["a", "b"] for one column a class
# classes = ["cat", "dog"]   # the order: of two, the second is asked for; of a scale, lowest first
# group = "patient"          # rows that must stay on one side of every split
# background = "white"       # behind transparent pictures: "white" | "black" | "#rrggbb"
# invariances = ["hflip"]    # what never changes a label: "hflip", "vflip", "rot90"
# extra = "audit/extra.csv"  # pictures to train on and never to validate on (`add` makes it)

[folds]
k = 5
# repeats = 1
# holdout = 0.0              # a share that no model ever sees
# group_duplicates = false   # copies of one picture stay in one fold (`audit` finds them)
seed = 2019

"""


MODELS = """\
# One [[model]] a member; the more they differ, the more their ensemble gains.
[[model]]
name = "probe"
backbone = "resnet18"        # any timm name
mode = "probe"               # frozen backbone, a logistic head: seconds instead of hours
image_size = 224

[[model]]
name = "tuned"
backbone = "resnet18"
mode = "finetune"
weights = "timm"             # "timm" | "none" | a file | "package:NAME"
image_size = 224
epochs = 10
augment = "light"            # "none" | "light" | "medium" | "heavy" | a list (docs/guide.md)
# lr = 1e-3
# batch_size = 32
# predict = "average"        # the fold models' answers averaged | "soup" | "refit" (docs/guide.md)
# fold_models = 5            # how many of them are averaged; all if not said

# [predict]
# views = 2                  # of each picture, averaged: as it is and mirrored, by the invariances;
#                            # or by name: ["identity", "hflip", "zoom"] (docs/guide.md)

[stack]
# methods = ["mean", "weighted", "lightgbm"]     # only these compete
# metadata = {metadata}         # columns of the train and test tables for the meta-learners

# [tune]                     # python -m harness tune: better settings for a model
# model = "tuned"
# method = "bayes"           # "grid" | "zoom" | "random" | "bayes" | "evolution"
# trials = 30
# [tune.space]
# lr = {{ low = 1e-4, high = 1e-1, log = true }}

# [budget]
# seconds = 60               # the whole submit process, from its start to the file
# test_rows = 15000          # if the hidden test set is larger than the visible one
# views = 2                  # a member may look at the mirrored picture, too (2, 4 or 8 views)
# efficiency = "score/(base-best) + seconds/32400"   # a prize for speed: made small
"""


def write_template(folder: Path) -> Path:
    """Write ``folder``/competition.toml; a WorkspaceError if one is there."""
    path = new_file(folder)
    models = MODELS.format(metadata='["age"]')
    write_text(path, TEMPLATE.format(name=competition_name(folder)) + models)
    return path


def new_file(folder: Path) -> Path:
    """The path of a competition.toml to write; a WorkspaceError if one is there."""
    path = folder / FILE_NAME
    if path.exists():
        raise WorkspaceError(path, "is there already", "choose another folder, or edit that file")
    return path


def competition_name(folder: Path) -> str:
    """A name that is safe as a file name, made of the folder's."""
    name = "".join(c if c.isascii() and c.isalnum() else "-" for c in folder.resolve().name)
    return name.strip("-")[:64].rstrip("-") or "competition"
