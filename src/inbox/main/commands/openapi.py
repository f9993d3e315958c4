"""`inbox openapi`."""

from pathlib import Path

import rich_click as click


@click.command()
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write instead of the terminal."
)
def openapi(output: Path | None) -> None:
    """Print the OpenAPI description of the REST API as JSON. Needs no database and no settings."""
    from inbox.main.describing import description  # noqa: PLC0415 - `--help` must not wait for it

    text = description()
    if output is None:
        click.echo(text)
    else:
        output.write_text(text + "\n", encoding="utf-8")
