"""The recipes of `deploy/python/recipes`, the transcript in its README, and the type stubs."""

import doctest
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

PYTHON = Path(__file__).resolve().parents[2] / "deploy/python"


def run(recipe, documents, folder):
    """Runs a recipe on documents in several files; returns its output."""
    inputs, output = folder / "in", folder / "out"
    inputs.mkdir()
    for number in range(4):
        pyarrow.parquet.write_table(documents.slice(number * 20, 20), inputs / f"{number}.parquet", row_group_size=7)
    # Without an address, Ray would join whatever cluster this machine has, or wait for one that has died.
    environment = {**os.environ, "PYSPARK_PYTHON": sys.executable, "RAY_ADDRESS": "local"}
    subprocess.run([sys.executable, PYTHON / "recipes" / recipe, inputs, output], check=True, env=environment)
    return pa.dataset.dataset(output, format="parquet").to_table().sort_by("id")


def check(recipe, documents, tagger, folder):
    documents = documents.slice(8, 80)
    expected = pa.table(tagger.tag(documents)).sort_by("id")
    found = run(recipe, documents, folder)
    mentions = lambda table: [
        (row["id"], [(m["start_char"], m["end_char"], m["mention"], m["label"]) for m in row["annotations"]])
        for row in table.to_pylist()
    ]
    assert sum(len(found) for _, found in mentions(expected)) > 50
    assert mentions(found) == mentions(expected)


def needs(package):
    if importlib.util.find_spec(package) is None:
        sys.__stderr__.write(f"SKIPPED recipe: no {package} in this environment\n")
        pytest.skip(f"no {package}")


@pytest.mark.parametrize("recipe, package", [
    ("polars_frames.py", "polars"),
    ("pandas_frames.py", "pandas"),
    ("ray_data.py", "ray"),
    ("spark_frames.py", "pyspark"),
])
def test_a_recipe_finds_what_the_tagger_finds(recipe, package, documents, tagger, tmp_path):
    needs(package)
    check(recipe, documents, tagger, tmp_path)


def test_the_transcript_is_true():
    failed, attempted = doctest.testfile(str(PYTHON / "README.md"), module_relative=False)
    assert attempted > 5 and failed == 0


def test_the_stubs_are_those_of_the_module():
    subprocess.run([sys.executable, "-m", "mypy.stubtest", "pubtag"], check=True)
    subprocess.run([sys.executable, "-m", "mypy", "--strict", "-p", "pubtag", "-p", "pubtag_ray"], check=True)
