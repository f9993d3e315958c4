"""`inbox bot`. What the commands need is imported when they run: `--help` must not wait for it."""

import sys
from pathlib import Path

import rich_click as click

_WIDEST = 44
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group("bot")
def bot() -> None:
    """Try out what the assistant would say."""


@bot.command("eval")
@click.argument("file", type=_FILE, required=False)
@click.option(
    "--model",
    metavar="MODEL",
    help="Another model of the configured vendor, or `scripted`: the answers that the file scripts.",
)
@click.option("--at-least", type=click.FloatRange(0, 1), help="End with 1 if the mean score is lower.")
@click.option("--answers", is_flag=True, help="Print what customers would be told as well.")
def evaluate(*, file: Path | None, model: str | None, at_least: float | None, answers: bool) -> None:
    """Replay the transcripts of FILE (YAML or JSON, see docs/evaluations.md) and score what the assistant says.

    Without FILE those that come with the service. Every turn asks the configured model, which may cost money; no
    database is touched and nothing is sent.
    """
    from inbox.main import evaluating  # noqa: PLC0415
    from inbox.main.failures import env_file, explained  # noqa: PLC0415
    from inbox.main.settings import from_environment  # noqa: PLC0415
    from inbox.main.starting import configure_process, run_loop  # noqa: PLC0415

    with explained():
        settings = from_environment(env_file())
        configure_process(settings)
        cases = evaluating.read(file or evaluating.golden())
        click.echo(f"{'transcript':{_WIDEST}} score  turns    cost  slowest  model")
        board = evaluating.Board(click.echo, currency=settings.llm.currency, shows_answers=answers)
        run_loop(evaluating.play(settings, cases, model=model, told=board.add))
        click.echo(board.total())
    if at_least is not None and board.mean < at_least:
        click.echo(f"inbox: the mean score {board.mean:.3f} is below {at_least:g}.", err=True)
        sys.exit(1)
