"""docker-compose.yml as Compose reads it, and its services as processes of this machine."""

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from local.process import Part
from tests.deployment.image import ROOT, Image

_VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)(?::([-?])([^}]*))?\})")


def read_compose(variables: Mapping[str, str]) -> dict[str, Any]:
    """The file, with its variables filled in.

    Raises:
        KeyError: A variable is missing that must be there.
    """
    content: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    filled: dict[str, Any] = _filled(content, variables)
    for service in filled["services"].values():
        environment = service.get("environment", {})
        for name in [name for name, value in environment.items() if value is None]:
            del environment[name]
            if name in variables:
                environment[name] = variables[name]
    return filled


def _filled(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(each, variables) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, variables) for each in value]
    if not isinstance(value, str):
        return value

    def fill(found: re.Match[str]) -> str:
        dollar, name, operator, word = found.groups()
        if dollar:
            return "$"
        if variables.get(name):
            return variables[name]
        return word if operator == "-" else variables[name]

    return _VARIABLE.sub(fill, value)


def read_env_file(path: Path) -> dict[str, str]:
    """The variables of an env file."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return {name: value.strip('"') for name, _, value in (line.partition("=") for line in lines)}


@dataclass(frozen=True)
class OnThisMachine:
    """Runs services of the file as plain processes.

    Args:
        services: As in the file.
        image: What they run in.
        ports: Where on this machine what listens in a container does.
        folders: Where on this machine a folder of a container is.
    """

    services: Mapping[str, Any]
    image: Image
    ports: Mapping[int, int]
    folders: Mapping[str, Path]

    def text(self, text: str) -> str:
        """Says of this machine what a text says of containers."""
        hosts = "|".join(map(re.escape, self.services))
        text = re.sub(rf"(?<![\w-])(?:{hosts})(?=:\d)", "127.0.0.1", text)
        ports = "|".join(map(str, self.ports))
        text = re.sub(rf"\b(?:{ports})\b", lambda found: str(self.ports[int(found[0])]), text)
        folders = "|".join(map(re.escape, self.folders))
        return re.sub(
            rf"(?<![\w.])(?:{folders})(?=[/)\s]|$)", lambda found: str(self.folders[found[0]]), text
        )

    def environment(self, name: str) -> dict[str, str]:
        """What the file gives to a service, in the image's own environment."""
        given = self.services[name].get("environment", {})
        return self.image.environment | {key: self.text(value) for key, value in given.items()}

    def argv(self, name: str, command: list[str]) -> list[str]:
        """A command in a service's environment, and in no other."""
        variables = [f"{key}={value}" for key, value in self.environment(name).items()]
        return ["env", "-i", *variables, *map(self.text, command)]

    def run(self, name: str) -> None:
        """Runs a task to its end."""
        subprocess.run(
            self.argv(name, self.services[name]["command"]), cwd=self.image.app, check=True
        )

    def is_healthy(self, name: str) -> bool:
        """What a service's health check says."""
        kind, *command = self.services[name]["healthcheck"]["test"]
        assert kind == "CMD"
        done = subprocess.run(
            self.argv(name, command), cwd=self.image.app, check=False, capture_output=True
        )
        return done.returncode == 0

    def part(self, name: str) -> Part:
        """A service as a process, which answers when its health check says so."""
        grace = self.services[name].get("stop_grace_period", "10s")
        return Part(
            name=name,
            argv=self.argv(name, self.services[name]["command"]),
            cwd=self.image.app,
            ready=lambda _: self.is_healthy(name),
            stop_timeout_s=float(grace.removesuffix("s")),
        )
