"""`inbox rotate-keys`."""

import rich_click as click


@click.command("rotate-keys")
def rotate_keys() -> None:
    """Seal every stored secret anew with the first key of INBOX_ENCRYPTION_KEYS. The service goes on meanwhile.

    Give every process both keys before, the new one in front. When this command has ended with 0 the old key is not
    needed any more. It can be interrupted and repeated. Ends with 1 and names the rows if a secret does not open.
    """
    from inbox.main.failures import explained  # noqa: PLC0415 - `--help` must not wait for it
    from inbox.main.starting import prepared_here, run_loop  # noqa: PLC0415

    with explained(), prepared_here() as runtime:
        from inbox.main import rotating, serve  # noqa: PLC0415 - after the first line of output

        serve.bring_schema_up(runtime)
        done = run_loop(rotating.rotate(runtime))
        for name, count in done.resealed.items():
            click.echo(f"  {name}: {count} sealed anew")
        rotating.check(done)
    click.echo(f"Everything is sealed with the key {runtime.sealer.newest}.")
