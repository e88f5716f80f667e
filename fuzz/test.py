#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The short run of a fuzz target. Usage: test.py FUZZ_TARGET replay|fuzz RUNS

Seeds and what was found in the past go through the target; with `fuzz`, a program of libFuzzer, so do RUNS inputs that it
makes of them, the same in every run but for what depends on time."""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "tests", "lib"))
import seeds  # noqa: E402
import tapmain  # noqa: E402

EXE, MODE, RUNS = sys.argv[1:4]
TARGET = os.path.basename(EXE).removeprefix("fuzz-")
ENV = os.environ | {"UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}
SAID = 60  # lines


def run(*words):
    p = subprocess.run([EXE, *words], capture_output=True, text=True, errors="replace", check=False, env=ENV)
    said = "\n".join((p.stdout + p.stderr).splitlines()[-SAID:])
    assert p.returncode == 0, f"exit status {p.returncode} of {EXE} {' '.join(words)}\n{said}"


def files(kind):
    folder = os.path.join(HERE, kind, TARGET)
    return sorted(os.path.join(folder, name) for name in os.listdir(folder)) if os.path.isdir(folder) else []


def all_seeds(folder):
    seeds.write(TARGET, folder)
    made = sorted(os.path.join(folder, name) for name in os.listdir(folder))
    return made + files("seeds")


def seeds_pass(folder):
    names = all_seeds(folder)
    assert names, f"no seeds for {TARGET}"
    run(*names)


def findings_stay_mended(folder):
    names = files("findings")
    if names:
        run(*names)


def made_inputs_pass(folder):
    corpus = os.path.join(folder, "corpus")
    artifacts = os.path.join(folder, "found-")
    os.mkdir(corpus)
    all_seeds(corpus)
    run(f"-runs={RUNS}", "-seed=1", "-max_len=4096", "-timeout=120", f"-artifact_prefix={artifacts}", corpus,
        *filter(os.path.isdir, [os.path.join(HERE, "seeds", TARGET)]))


TESTS = [seeds_pass, findings_stay_mended]
if MODE == "fuzz":
    TESTS.append(made_inputs_pass)
sys.exit(tapmain.main(TESTS))
