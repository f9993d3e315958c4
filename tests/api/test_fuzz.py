"""schemathesis against the running service, from a process of its own: whatever it sends, promises hold."""

import asyncio
import os
import shutil
import sys
from pathlib import Path

import pytest

from api.fuzz_world import build_world, keep_in_office, roles_restored
from inbox.adapters.identity.fake import FakeIdentity
from inbox.adapters.identity.local import LocalSignIn
from inbox.emulators.serving import serve
from inbox.ports.identity import Client, SignIn
from member_builders import a_user, give_role

CONFIG = Path(__file__).parent / "schemathesis.toml"
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "3"))
"""Generated requests per operation, beside those of the examples and of the edges of each value."""
SEED = os.environ.get("FUZZ_SEED", "7")
IS_SHORT = EXAMPLES < 100
MINUTES = 12 if IS_SHORT else 120
SAME_BODIES = """
# The edges of these bodies are those of another operation: a message with a template, a template that is made.
[[operations]]
include-name = [
    "POST /messages/send-template/{conversation_id}",
    "POST /accounts/{account_id}/templates/{template_id}/preview",
    "PATCH /accounts/{account_id}/templates/{template_id}",
]
phases.coverage.enabled = false
"""
"""For the short form: a third of all requests would be these. What is generated for them by chance is sent."""


async def run(url: str, tokens: dict[str, str], directory: Path) -> tuple[int, str]:
    st = shutil.which("st", path=str(Path(sys.executable).parent))
    assert st is not None
    config = directory / CONFIG.name
    config.write_text(CONFIG.read_text() + (SAME_BODIES if IS_SHORT else ""))
    process = await asyncio.create_subprocess_exec(
        st,
        f"--config-file={config}",
        "run",
        f"{url}/openapi.json",
        "--phases=examples,coverage,fuzzing,stateful",
        "--checks=all",
        f"--max-examples={EXAMPLES}",
        f"--seed={SEED}",
        "--continue-on-failure",
        cwd=directory,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **tokens},
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def a_session(container) -> str:
    """The access token of somebody who signed in here."""
    sign_in = await container.get(SignIn)
    assert isinstance(sign_in, LocalSignIn)
    await sign_in.register("fuzz@atelier.example", "a-long-invented-one")
    client = Client(address="127.0.0.1", user_agent=None)
    return (await sign_in.password("fuzz@atelier.example", "a-long-invented-one", client)).access_token


@pytest.mark.timeout(MINUTES * 60)
async def test_no_request_that_the_description_allows_or_forbids_breaks_a_promise(app, engine, container, tmp_path):
    administrator = await a_user(engine)
    await give_role(engine, administrator, "admin")
    await keep_in_office(app, container, engine, administrator)
    tokens = {"FUZZ_TOKEN": FakeIdentity.token(administrator), "FUZZ_SESSION": await a_session(container)}
    async with roles_restored(engine), serve(app) as served:
        await build_world(engine)
        code, output = await run(served.url, tokens, tmp_path)
    assert code == 0, output.partition("= FAILURES =")[2] or output
