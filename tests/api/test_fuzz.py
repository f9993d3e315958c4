"""schemathesis against the running service, from a process of its own: whatever it sends, promises hold."""

import asyncio
import shutil
import sys
from pathlib import Path

import pytest

from api.conftest import a_caller
from builders import a_conversation
from inbox.domain.access import Permission
from inbox.emulators.serving import serve

CHECKS = "not_a_server_error,content_type_conformance,response_schema_conformance,status_code_conformance"


async def run(url: str, headers: dict[str, str], *more: str) -> tuple[int, str]:
    st = shutil.which("st", path=str(Path(sys.executable).parent))
    assert st is not None
    process = await asyncio.create_subprocess_exec(
        st,
        "run",
        f"{url}/openapi.json",
        "--phases=examples,coverage,fuzzing",
        f"--checks={CHECKS}",
        "--max-examples=15",
        "--seed=7",
        "--continue-on-failure",
        "--warnings=off",
        *(part for name, value in headers.items() for part in ("-H", f"{name}: {value}")),
        *more,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


@pytest.mark.timeout(300)
async def test_no_request_that_the_description_allows_or_forbids_breaks_a_promise(app, engine, account):
    caller = await a_caller(engine, account, *Permission)
    await a_conversation(engine, account)
    async with serve(app) as served:
        code, output = await run(served.url, caller)
    assert code == 0, output[-6_000:]
