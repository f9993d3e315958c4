"""The two halves of the lock agree, and everything is pinned with a hash."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def hashed_pins() -> dict[str, str]:
    text = (ROOT / "requirements.lock").read_text()
    entries = re.split(r"(?m)^(?=[a-z0-9])", text)[1:]
    assert all("--hash=sha256:" in entry for entry in entries)
    found = (re.match(r"([a-z0-9._-]+)==([^\s;]+)", entry) for entry in entries)
    return {canonical(match[1]): match[2] for match in found if match}


def uv_pins() -> dict[str, str]:
    pins = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["constraint-dependencies"]
    found = (re.match(r"([A-Za-z0-9._-]+)==([^\s;]+)", pin) for pin in pins)
    return {canonical(match[1]): match[2] for match in found if match}


def test_images_and_developers_get_the_same_versions():
    uv = uv_pins()
    assert hashed_pins().items() <= uv.items()


def test_every_dependency_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {canonical(name) for spec in project["dependencies"] for name in re.findall(r"^[A-Za-z0-9._-]+", spec)}
    assert wanted <= hashed_pins().keys()
