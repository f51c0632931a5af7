#!/usr/bin/env bash
# toolkit.sh PYTHON OUT: makes OUT a folder for CUDA_PATH of what `nvidia-cuda-*` wheels have put into a Python environment.
set -euo pipefail
packages="$("$1" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')/nvidia"
rm -rf "$2"
mkdir -p "$2/include" "$2/lib64" "$2/bin"
cp -rs "$packages"/cuda_runtime/include/* "$2/include/"
ln -s "$packages/cuda_nvcc/include/crt" "$2/include/crt"
ln -s "$packages/cuda_cccl/include" "$2/include/cccl"
ln -s "$packages"/cuda_nvrtc/lib/*.so* "$2/lib64/"
chmod +x "$packages/cuda_nvcc/bin/ptxas"
ln -s "$packages/cuda_nvcc/bin/ptxas" "$2/bin/ptxas"
