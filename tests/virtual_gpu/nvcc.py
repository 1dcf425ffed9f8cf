#!/usr/bin/env python3
"""Stands in for nvcc: makes a shared object for this machine's processor of one .cu file, for the virtual GPU to load.

g++ preprocesses the file with the virtual GPU's headers first; CUDA's own words, which no macro can stand for, are
then turned into C++; g++ compiles the result. It runs with any Python, from the folder that build.py made.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# With races looked for, g++ tells the virtual GPU of every access to memory.
RACES = os.environ.get("VIRTUAL_GPU_RACES", "0") != "0"
RACE_FLAGS = ("-fsanitize=thread", "-g1") if RACES else ()
ARCHITECTURES = (75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121)

TARGETS = {"cubin": "cubin", "fatbin": "fatbin", "ptx": "ptx"}
# Options of nvcc's that change nothing here, without and with a value of their own.
IGNORED = {
    "-O0", "-O1", "-O2", "-O3", "-lineinfo", "--generate-line-info", "-w", "-m64", "-g", "-G", "--keep", "-c", "-v",
    "--resource-usage", "-res-usage", "--use_fast_math", "-use_fast_math", "--extended-lambda", "-extended-lambda",
    "--expt-relaxed-constexpr", "-expt-relaxed-constexpr", "-rdc=false", "--restrict", "-restrict",
}  # fmt: skip
IGNORED_WITH_VALUE = {
    "-Xptxas", "--ptxas-options", "-Xcompiler", "--compiler-options", "-code", "--gpu-code", "-gencode",
    "--generate-code", "-diag-suppress", "--diag-suppress", "-maxrregcount", "--maxrregcount", "-Werror", "-ccbin",
    "--threads", "-t", "-fmad", "--fmad", "-ftz", "--ftz", "-prec-div", "-prec-sqrt", "-std", "--std",
}  # fmt: skip


class UserError(Exception):
    """What nvcc would call fatal."""


@dataclass
class Request:
    """What the command line asks for."""

    source: Path | None = None
    output: Path | None = None
    target: str = ""
    architecture: int = 75
    preprocess_only: bool = False
    passed_on: list[str] = field(default_factory=list)  # to g++: -I, -D, -U


def main(arguments: list[str]) -> int:
    """Runs the compiler; returns the exit code."""
    if "--version" in arguments or "-V" in arguments:
        print(version())
        return 0
    if "--list-gpu-code" in arguments or "--list-gpu-arch" in arguments:
        prefix = "sm" if "--list-gpu-code" in arguments else "compute"
        print("\n".join(f"{prefix}_{number}" for number in ARCHITECTURES))
        return 0
    try:
        return run(parse(arguments))
    except UserError as error:
        print(f"nvcc fatal   : {error}", file=sys.stderr)
        return 1


def version() -> str:
    """What --version prints; the last line changes with the virtual GPU, as caches of compiled kernels want it."""
    digest = json.loads((ROOT / "toolchain.json").read_text())["digest"]
    return (
        "nvcc: the virtual GPU's look-alike of the NVIDIA (R) Cuda compiler driver\n"
        "Cuda compilation tools, release 13.0, V13.0.0\n"
        f"Build virtual-gpu-{digest}{'-races' * RACES}"
    )


def parse(arguments: list[str]) -> Request:
    """Reads the command line."""
    request = Request()
    rest = iter(arguments)
    for argument in rest:
        if argument.startswith("-"):
            take_option(request, argument, rest)
        elif request.source is None:
            request.source = Path(argument)
        else:
            raise UserError("A single input file is required for a non-link phase when an outputfile is specified")
    return request


def take_option(request: Request, option: str, rest: Iterator[str]) -> None:
    """Reads one option, and its value from what follows where it is not behind a "="."""
    name, _, value = option.partition("=")
    if option.lstrip("-") in TARGETS:
        request.target = option.lstrip("-")
    elif option in ("-E", "--preprocess"):
        request.preprocess_only = True
    elif option in ("-o", "--output-file"):
        request.output = Path(next(rest))
    elif name in ("-arch", "--gpu-architecture"):
        request.architecture = architecture(value or next(rest))
    elif option.startswith(("-I", "-D", "-U")):
        request.passed_on += [option] if len(option) > 2 else [option, next(rest)]
    else:
        skip_option(option, rest)


def skip_option(option: str, rest: Iterator[str]) -> None:
    """Passes over an option that changes nothing here."""
    name, _, value = option.partition("=")
    if option in IGNORED:
        return
    if name not in IGNORED_WITH_VALUE:
        raise UserError(f"Unknown option '{option}'")
    if not value:
        next(rest)


def architecture(name: str) -> int:
    """80 for sm_80 or compute_80."""
    found = re.fullmatch(r"(?:sm|compute)_(\d+)[af]?", name)
    if found is None or int(found[1]) not in ARCHITECTURES:
        raise UserError(f"Unsupported gpu architecture '{name}'")
    return int(found[1])


def run(request: Request) -> int:
    """Does what was asked for."""
    if request.source is None:
        raise UserError("No input files specified; use option --help for more information")
    if not request.source.exists():
        raise UserError(f"Could not open input file '{request.source}'")
    if request.preprocess_only:
        return subprocess.call([*preprocessor(request), "-P", str(request.source)])
    if not request.target:
        raise UserError("the virtual GPU makes -cubin, -fatbin or -ptx only")
    output = request.output or Path(request.source.with_suffix("." + TARGETS[request.target]).name)
    return compile_file(request, output)


def compile_file(request: Request, output: Path) -> int:
    """Preprocesses, translates and compiles; the exit code of what failed, if anything did."""
    done = run_compiler([*preprocessor(request), str(request.source)])
    if done.returncode:
        sys.stderr.write(as_nvcc_says(done.stderr))
        return 1
    tools = json.loads((ROOT / "toolchain.json").read_text())
    with tempfile.TemporaryDirectory() as folder:
        translated = Path(folder) / "kernels.ii"
        translated.write_text(translate(done.stdout))
        done = make_shared_object(tools, translated, output)
    sys.stderr.write(as_nvcc_says(done.stderr) if done.returncode else "")
    return int(done.returncode != 0)


def make_shared_object(tools: dict[str, Any], translated: Path, output: Path) -> subprocess.CompletedProcess[str]:
    """Compiles preprocessed C++ and links it; what the last of the compilers said."""
    compiler = [tools["compiler"], *tools["flags"], *RACE_FLAGS, "-fpreprocessed", "-x", "c++", str(translated)]
    link = ["-shared", *tools["link"], f"-L{ROOT / 'lib'}", "-l:libcuda.so.1", "-o", str(output)]
    if not RACES:
        return run_compiler([*compiler, *link])
    # In two steps: told of -fsanitize=thread, the linker would add g++'s own functions for it.
    kernels = translated.with_suffix(".o")
    done = run_compiler([*compiler, "-c", "-o", str(kernels)])
    return done if done.returncode else run_compiler([tools["compiler"], str(kernels), *link])


def run_compiler(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Runs g++, which speaks English whatever the user's language is."""
    environment = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def preprocessor(request: Request) -> list[str]:
    """The command that preprocesses, without the file."""
    tools = json.loads((ROOT / "toolchain.json").read_text())
    include = ROOT / "include"
    return [
        tools["compiler"], *tools["flags"], *RACE_FLAGS, "-E", "-fpch-preprocess", "-x", "c++",
        "-include", str(include / "virtual_gpu" / "device.h"),
        "-include", str(include / "virtual_gpu" / "architecture.h"), f"-DVIRTUAL_GPU_ARCH={request.architecture}0",
        f"-I{include}", *request.passed_on, *(f"-I{folder}" for folder in tools["cuda_include"]),
    ]  # fmt: skip


def as_nvcc_says(messages: str) -> str:
    """g++'s messages with places as nvcc writes them: file(line)."""
    return re.sub(r"^(\S[^:\n]*):(\d+):(?:\d+:)? ((?:fatal )?error|warning):", r"\1(\2): \3:", messages, flags=re.M)


def word(name: str) -> str:
    """The pattern of one of CUDA's own words, such as word("shared")."""
    return rf"\b__{name}__\b"


ATTRIBUTE = r"(?:__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)|alignas\s*\([^()]*\))"
DYNAMIC_SHARED = re.compile(
    rf"\bextern\s+{word('shared')}\s+(?P<type>(?:{ATTRIBUTE}|[\w:<>,\s])+?)\s+(?P<after>{ATTRIBUTE}\s*)?(?P<name>\w+)\s*"
    rf"(?:{ATTRIBUTE}\s*)?\[\s*\]\s*;"
)
KERNEL = re.compile(word("global"))
DEVICE_VARIABLE = re.compile(rf"{word('device')}(?=(?:{ATTRIBUTE}|[\w:<>,*&\s])*[;=\[{{])")
# Statics of kernels are in .bss, which is their shared memory; a global variable must not be.
GLOBAL_SECTION = '__attribute__((section(".data.virtual_gpu")))'


def translate(text: str) -> str:
    """CUDA's own words in preprocessed text turned into C++, line by line."""
    kernels = find_kernels(text)
    text = without_launch_bounds(text)
    text = DYNAMIC_SHARED.sub(dynamic_shared, text)
    # nvcc takes alignas behind its word, C++ does not behind static.
    text = re.sub(word("shared") + r"\s+alignas\s*(\([^()]*\))", r"static __attribute__((aligned\1))", text)
    text = re.sub(word("shared"), "static", text)
    text = re.sub(r"\bstatic\s+static\b", "static", text)
    text = re.sub(word("constant"), GLOBAL_SECTION, text)
    text = DEVICE_VARIABLE.sub(GLOBAL_SECTION, text)
    text = re.sub(f"{word('device')}|{word('global')}", " ", text)
    entry = Template((ROOT / "include" / "virtual_gpu" / "entry.cpp.in").read_text())
    return text + '\n# 1 "kernels"\n' + "".join(entry.substitute(name=name, threads=kernels[name]) for name in kernels)


def dynamic_shared(found: re.Match[str]) -> str:
    """A pointer in place of the array without a size."""
    kind = re.sub(ATTRIBUTE, " ", found["type"]).strip()
    lines = "\n" * found[0].count("\n")
    # The empty statement is an error outside a function, where the pointer would be read too early.
    return f"{kind}* {found['name']} = reinterpret_cast<{kind}*>(virtual_gpu::dynamic_shared); (void)0;{lines}"


def find_kernels(text: str) -> dict[str, str]:
    """The names of all kernels that are no templates, with the first argument of their launch bounds or 0."""
    kernels: dict[str, str] = {}
    for found in KERNEL.finditer(text):
        if re.search(r"\btemplate\s*<[^;{}]*>\s*(?:static\s+|inline\s+)*$", text[: found.start()][-500:]):
            continue
        header = text[found.end() : found.end() + 2000]
        bounds, header = split_launch_bounds(header)
        name = re.search(r"\bvoid\s+(\w+)\s*\(", re.sub(ATTRIBUTE, " ", header))
        if name is not None and kernels.get(name[1], "0") == "0":
            kernels[name[1]] = bounds
    return kernels


def split_launch_bounds(header: str) -> tuple[str, str]:
    """The first argument of __launch_bounds__ before a kernel's parameters, and the text without it."""
    found = re.match(r"[^;{]*?\b__launch_bounds__\s*\(", header)
    before_parameters = re.match(r"[^;{]*?\bvoid\s+(?!__launch_bounds__)\w+\s*\(", header)
    if found is None or (before_parameters is not None and before_parameters.end() < found.end()):
        return "0", header
    end = closing(header, found.end())
    arguments = header[found.end() : end - 1]
    start = header.index("__launch_bounds__")
    return f"({first_argument(arguments)})", header[:start] + header[end:]


def without_launch_bounds(text: str) -> str:
    """The text with every __launch_bounds__(...) blanked."""
    for found in reversed(list(re.finditer(r"\b__launch_bounds__\s*\(", text))):
        end = closing(text, found.end())
        text = text[: found.start()] + "\n" * text.count("\n", found.start(), end) + text[end:]
    return text


def closing(text: str, start: int) -> int:
    """The place behind the parenthesis that closes the one before `start`."""
    depth = 1
    for place in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if depth == 0:
            return place + 1
    return len(text)


def first_argument(arguments: str) -> str:
    """What stands before the first comma outside of parentheses."""
    depth = 0
    for place, letter in enumerate(arguments):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            return arguments[:place].strip()
    return arguments.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
