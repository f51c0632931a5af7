"""Every command of `deploy/cluster.md`, in its order."""

import os
import re
import shutil
import subprocess

from conftest import PROGRAM, PUBTAG_RAY, ROOT, assert_same_rows, run_alone, write_corpus


def commands():
    page = (ROOT / "deploy/cluster.md").read_text()
    return [line for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) for line in block.splitlines()]


def test_every_command_of_the_page_works(cluster, tmp_path):
    write_corpus(tmp_path / "corpus", 3, 20)
    run_alone([tmp_path / "corpus"], tmp_path / "alone")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, call in {
        "pubtag": f'exec "{PROGRAM}" "$@"',
        "pubtag-ray": f'exec "{PUBTAG_RAY}" "$@"',
        # No Kubernetes cluster here; test_kubernetes.py runs the command of the manifest.
        "kubectl": f'test -f "{ROOT}/$3"',
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{call}\n")
        (programs / name).chmod(0o755)
    environment = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}", "RAY_ADDRESS": cluster.address}
    page = commands()
    assert len(page) == 9, "the page has changed: see whether each command still begins with what it needs"
    for command in page:
        writes = "--output annotations" in command
        # Each way of tagging begins without an output; two shards are one way.
        if writes and "--shard 1/2" not in command:
            shutil.rmtree(tmp_path / "annotations", ignore_errors=True)
        done = subprocess.run(command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        if writes and "--shard 0/2" not in command:
            assert_same_rows(tmp_path / "annotations", tmp_path / "alone")
