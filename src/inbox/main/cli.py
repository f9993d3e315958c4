"""The command `inbox`. Each command is a file in `commands`; what it needs is imported when it runs."""

import rich_click as click

from inbox.main.commands.bot import bot
from inbox.main.commands.check_settings import check_settings
from inbox.main.commands.create_admin import create_admin
from inbox.main.commands.demo import demo
from inbox.main.commands.emulator import emulator
from inbox.main.commands.events import events
from inbox.main.commands.invite import invite
from inbox.main.commands.migrate import migrate
from inbox.main.commands.openapi import openapi
from inbox.main.commands.reset_password import reset_password
from inbox.main.commands.rotate_keys import rotate_keys
from inbox.main.commands.serve import serve
from inbox.main.commands.worker import worker


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="whatsapp-inbox")
def main() -> None:
    """WhatsApp Inbox: a team inbox for the WhatsApp Business Cloud API.

    Try it without anything installed or configured: `inbox demo`.
    For real: `inbox check-settings`, `inbox migrate`, `inbox create-admin you@example.org`, `inbox serve`.
    Settings are environment variables, or a file `.env` in the current folder; `.env.example` explains them all.

    Exit codes: 0 done, 1 failed, 2 wrong usage or a bad setting.
    """


for command in (
    bot,
    check_settings,
    create_admin,
    demo,
    emulator,
    events,
    invite,
    migrate,
    openapi,
    reset_password,
    rotate_keys,
    serve,
    worker,
):
    main.add_command(command)
