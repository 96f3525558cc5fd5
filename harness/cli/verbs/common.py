"""The application that the verbs belong to, and the options that all of them have."""

from pathlib import Path
from typing import Annotated

import typer

import harness

app = typer.Typer(
    name="harness",
    help="From a folder of pictures to the best submission that the clock allows.",
    epilog="The verbs stand in the order of use. Example: `harness init cassava --from "
    "~/Downloads/cassava`, then `harness run -C cassava`, which does all that is needed.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

Root = Annotated[
    Path, typer.Option("-C", metavar="DIR", help="The workspace: a folder with competition.toml.")
]
Verbose = Annotated[bool, typer.Option("--verbose", help="Show the traceback of an error.")]
HERE = Path()
BETTER_DATA = "Better data, once `stack` has combined members"
"""The heading of the verbs that stand apart from the order of use."""


@app.callback(invoke_without_command=True)
def _version(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(f"harness {harness.__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        context.get_help()  # typer prints it itself
