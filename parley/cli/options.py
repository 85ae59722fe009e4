"""The options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

As = Annotated[
    str,
    typer.Option(
        "--as",
        metavar="USER@SERVER",
        help="Who you are; else client.user of parley.yml.",
        envvar="PARLEY_CLIENT__USER",
    ),
]
ServerOption = Annotated[
    list[str] | None,
    typer.Option(
        "--server", metavar="HOST[:PORT]", help="A discovery address to ask where broadcast does not reach."
    ),
]
ConfigFile = Annotated[str | None, typer.Option("--config", metavar="FILE", help="Instead of ./parley.yml.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object per line.")]
