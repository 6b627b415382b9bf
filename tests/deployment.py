"""What the files in `deploy/` say, and whether breachwatch understands it."""

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import dockerfile_parse
import pytest
import typer
from pydantic import ValidationError

from streams.cli import COMMANDS, build
from streams.settings import PREFIX, Settings

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
TOOLS = Path(__file__).parent / "unit" / "deploy_tools"
"""Go modules and npm packages with what others validate such files with, pinned and hashed."""


class Containerfile:
    """The image as its Containerfile makes it."""

    def __init__(self, file: Path = DEPLOY / "container" / "Containerfile") -> None:
        self._parser = dockerfile_parse.DockerfileParser(fileobj=file.open("rb"))
        self.steps = [(step["instruction"], step["value"]) for step in self._parser.structure]

    def last(self, instruction: str) -> str:
        """The value of the last instruction of this kind, which is the final stage's."""
        return [value for name, value in self.steps if name == instruction][-1]

    @property
    def environment(self) -> dict[str, str]:
        return dict(self._parser.envs)

    @property
    def uid(self) -> int:
        return int(self.last("USER").split(":")[0])

    @property
    def copied(self) -> list[tuple[list[str], str]]:
        """What is copied from the checkout, and where to."""
        words = [value.split() for name, value in self.steps if name == "COPY" and not value.startswith("--from=")]
        return [(sources, to) for *sources, to in words]


def accepted(words: Iterable[str]) -> None:
    """Fails where `breachwatch WORDS` would not start for its words."""
    rest = list(words)
    assert rest[0] in COMMANDS, rest
    command: Any = typer.main.get_command(build(rest[0]))
    name = "breachwatch"
    while hasattr(command, "commands"):
        name, *rest = rest
        assert name in command.commands, name
        command = command.commands[name]
    command.make_context(name, rest)


def settings(variables: Mapping[str, str]) -> Settings:
    """The settings that a process would have; fails for a variable that is none, and for a value that does not do."""
    named = {name for name in variables if name.startswith(PREFIX)}
    assert named <= {PREFIX + field.upper() for field in Settings.model_fields}
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(PREFIX)]:
            patch.delenv(name)
        for name in named:
            patch.setenv(name, variables[name])
        try:
            return Settings()
        except ValidationError as error:
            pytest.fail(str(error))


def files_named(stated: Settings) -> set[Path]:
    """The files that must be there for these settings."""
    return {value for name, value in stated if name.endswith("_file") and value is not None}


def run(*command: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=280, check=False, **options)


def needs(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}")
