"""The rings hold, and each contract that says so can break."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]

VIOLATIONS = {
    "rings": ("domain/breach.py", "import inbox.services.intake"),
    "adapters-know-no-services": ("adapters/llm/breach.py", "import inbox.services.intake"),
    "services-know-no-kit": ("services/breach.py", "import inbox.kit.signing"),
    "adapters-are-independent": ("adapters/llm/breach.py", "import inbox.adapters.messaging.fake"),
    "inner-rings-know-no-technology": ("ports/breach.py", "import litestar"),
    "dishka-at-the-edge": ("kit/breach.py", "import dishka"),
    "one-retry": ("adapters/llm/breach.py", "import stamina"),
    "one-breaker": ("adapters/llm/breach.py", "import purgatory"),
    "one-http-client": ("adapters/llm/breach.py", "import httpx"),
    "sql-in-one-place": ("entrypoints/breach.py", "import sqlalchemy"),
    "driver-in-two-places": ("kit/breach.py", "import asyncpg"),
    "redis-in-two-places": ("adapters/llm/breach.py", "import redis"),
    "traces-in-one-place": ("adapters/llm/breach.py", "import opentelemetry"),
    "emulators-stand-alone": ("emulators/breach.py", "import inbox.domain.ids"),
    "emulators-only-from-main": ("entrypoints/breach.py", "import inbox.emulators.ledger"),
    "no-cycles": ("domain/breach.py", "import inbox.ports.cache"),
}


def lint(source: Path, contract: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"]
    command += ["--config", str(ROOT / "pyproject.toml")]
    if contract is not None:
        command += ["--contract", contract]
    environment = {**os.environ, "PYTHONPATH": str(source)}
    return subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    source = tmp_path_factory.mktemp("checkout") / "src"
    shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
    return source


def test_every_contract_has_a_violation_that_proves_it():
    assert set(VIOLATIONS) == {contract["id"] for contract in CONTRACTS}


def test_the_code_keeps_all_contracts(copy):
    done = lint(copy)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("contract", sorted(VIOLATIONS))
def test_a_violation_breaks_the_contract(copy, contract):
    place, statement = VIOLATIONS[contract]
    breach = copy / "inbox" / place
    breach.write_text(f"{statement}\n")
    try:
        done = lint(copy, contract)
    finally:
        breach.unlink()
    assert done.returncode == 1, done.stdout
    assert "BROKEN" in done.stdout


def test_a_new_package_must_be_placed_in_a_ring(copy):
    package = copy / "inbox" / "elsewhere"
    package.mkdir()
    (package / "__init__.py").touch()
    try:
        done = lint(copy, "rings")
    finally:
        shutil.rmtree(package)
    assert done.returncode == 1, done.stdout
