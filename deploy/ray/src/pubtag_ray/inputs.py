"""The list of inputs."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Input:
    """A file."""

    uri: str
    size: int = 0
    """In bytes; 0 if unknown."""


def listed(program: str, inputs: Sequence[str], options: Sequence[str]) -> list[Input]:
    """The files that arguments of `pubtag run` name: pubtag decides what in a directory or bucket is an input.

    Raises `subprocess.CalledProcessError`; the message is on standard error.
    """
    command = [program, "plan", "--list", "--format", "json", *options, "--", *inputs]
    found = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return [Input(input["input"], input["bytes"] or 0) for input in json.loads(found.stdout)["inputs"]]


def absolute(place: str) -> str:
    """A path or URL that does not depend on the working directory, which is another one on the nodes."""
    return place if "://" in place else os.path.abspath(place)


def in_manifest(path: Path) -> list[Input]:
    """The paths or URLs in a file, one per line. Empty lines are skipped."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [Input(absolute(line.strip())) for line in lines if line.strip()]
