"""Compiles each CUDA C file of this directory to PTX with NVRTC, as CubeCL calls it.

    compile.py TOOLKIT      TOOLKIT: what tests/cuda-stub/toolkit.sh has made

The PTX is committed, so tests need no NVRTC; run this after a change of a kernel.
"""

import ctypes
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).parent


def main(toolkit: pathlib.Path) -> None:
    library = next((toolkit / "lib64").glob("libnvrtc.so*"))
    nvrtc = ctypes.CDLL(str(library))
    for source in sorted(HERE.glob("*.cu")):
        text = source.read_text()
        arch = re.search(r"compile for (sm_\w+)", text).group(1)
        (HERE / f"{source.stem}.ptx").write_text(compile_one(nvrtc, toolkit, source.name, text, arch))
        print(source.name, arch)


def compile_one(nvrtc, toolkit, name, text, arch):
    program = ctypes.c_void_p()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), text.encode(), name.encode(), 0, None, None)
    options = [f"--gpu-architecture={arch}", f"--include-path={toolkit}/include", f"--include-path={toolkit}/include/cccl"]
    array = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    if nvrtc.nvrtcCompileProgram(program, len(options), array) != 0:
        size = ctypes.c_size_t()
        nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        nvrtc.nvrtcGetProgramLog(program, log)
        sys.exit(f"{name}: {log.value.decode()}")
    size = ctypes.c_size_t()
    nvrtc.nvrtcGetPTXSize(program, ctypes.byref(size))
    ptx = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetPTX(program, ptx)
    return without_unused_variables(ptx.value.decode())


def without_unused_variables(text):
    """The C++ library declares a thousand constants, of which no kernel uses one."""
    used = set(re.findall(r"[\w$]+", "\n".join(line for line in text.splitlines() if not line.startswith(".global"))))
    kept = [line for line in text.splitlines() if not line.startswith(".global") or re.search(r"([\w$]+)(\[\d*\])?( = .*)?;$", line).group(1) in used]
    return "\n".join(kept) + "\n"


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
