#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Plants the bugs of mutants.toml in avp, one at a time, and has the conformance suite judge each: the case that claims
the rule must fail. Nothing of it reaches the build's own avp.

  mutants.py                the test: TAP
  mutants.py --find [NAME]  which cases catch each bug, to choose `case` from

BUILD is the build directory, AVP_CONFORM the suite's program."""
import concurrent.futures
import json
import os
import shlex
import subprocess
import sys
import tomllib

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.abspath(os.environ.get("BUILD", os.path.join(ROOT, "build")))
CONFORM = os.path.abspath(os.environ.get("AVP_CONFORM", os.path.join(BUILD, "avp-conform")))
LIMIT = 120  # seconds for one command
WORKERS = 2


class Failure(Exception):
    pass


def run(command, ok=(0,)):
    done = subprocess.run(command, cwd=BUILD, capture_output=True, text=True, timeout=LIMIT, check=False)
    if done.returncode not in ok:
        raise Failure(f"{shlex.join(command)[:200]}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class Compiler:
    """The commands of the build, from ninja."""

    def __init__(self):
        with open(os.path.join(BUILD, "compile_commands.json"), encoding="utf-8") as f:
            entries = json.load(f)
        # A file may be compiled for several targets; libavp's is the one that avp is made of.
        self.commands = {os.path.realpath(os.path.join(e["directory"], e["file"])): shlex.split(e["command"])
                         for e in entries if "libavp.a.p/" in e["output"]}
        self.link = shlex.split(run(["ninja", "-t", "commands", "avp"]).splitlines()[-1])

    def compile(self, source, copy, include, output):
        command = list(self.commands[os.path.realpath(os.path.join(ROOT, source))])
        command[command.index("-c") + 1] = copy
        for option in ("-o", "-MF", "-MQ"):
            command[command.index(option) + 1] = output + (".d" if option == "-MF" else "")
        # The copy's folder first, so that a header in it goes before the original. The compiler may be two words: ccache cc.
        at = next(i for i, word in enumerate(command) if word.startswith("-"))
        run(command[:at] + ["-I" + include] + command[at:] + ["-w"])

    def link_avp(self, objects, output):
        command = list(self.link)
        command[command.index("-o") + 1] = output
        at = next(i for i, word in enumerate(command) if word.endswith("libavp.a"))
        run(command[:at] + objects + command[at:])


def plant(edit, folder):
    """Writes the file of one edit below `folder`; returns its path."""
    with open(os.path.join(ROOT, edit["file"]), encoding="utf-8") as f:
        text = f.read()
    if text.count(edit["old"]) != 1:
        raise Failure(f"{edit['file']} has the text to replace {text.count(edit['old'])} times, not once")
    path = os.path.join(folder, edit["file"])
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace(edit["old"], edit["new"]))
    return path


def build(mutant, compiler):
    """Returns the path of an avp with the bug."""
    folder = os.path.join(BUILD, "mutants", mutant["name"])
    objects = []
    for edit in [mutant] + mutant.get("also", []):
        planted = plant(edit, folder)
        for source in edit.get("compile", [edit["file"]]):
            copy = planted if source == edit["file"] else os.path.join(ROOT, source)
            objects.append(os.path.join(folder, os.path.basename(source) + ".o"))
            compiler.compile(source, copy, os.path.join(folder, "src"), objects[-1])
    compiler.link_avp(objects, os.path.join(folder, "avp"))
    return os.path.join(folder, "avp")


def judge(avp, kind, only, more=()):
    """The cases that fail on this avp, and how many were run."""
    report = os.path.join(os.path.dirname(avp), "report.json") if avp else os.path.join(BUILD, "mutants", "clean.json")
    os.makedirs(os.path.dirname(report), exist_ok=True)
    command = [CONFORM, "conform", "self", "--json", report, *more]
    command += ["--avp", avp] if avp else []
    command += ["--type", kind] if kind else []
    for glob in only:
        command += ["--only", glob]
    run(command, ok=(0, 1))
    with open(report, encoding="utf-8") as f:
        cases = [json.loads(line) for line in f if line.strip()]
    cases = [c for c in cases if "case" in c]
    failed = sorted({c["case"] for c in cases if c["verdict"] == "fail"})
    return failed, sum(c["verdict"] != "skip" for c in cases)


def check(mutant, compiler):
    """None, or why the bug got away."""
    try:
        avp = build(mutant, compiler)
        failed, judged = judge(avp, mutant["type"], [mutant["case"]])
    except (Failure, subprocess.TimeoutExpired) as e:
        return str(e)
    if mutant["case"] not in failed:
        return f"{mutant['case']} did not fail ({judged} runs of it): {mutant['rule']}"
    os.remove(avp)
    return None


def check_clean(mutants):
    """None, or what fails without any bug."""
    failed, judged = judge(None, None, sorted({m["case"] for m in mutants}))
    if failed:
        return "without a bug these fail, too: " + ", ".join(failed)
    return None if judged else "none of the cases was run"


def tap(number, name, why):
    for line in (why or "").splitlines():
        print("#", line)
    print(f"{'not ok' if why else 'ok'} {number} - {name}", flush=True)
    return bool(why)


def test(mutants, compiler):
    print(f"1..{len(mutants) + 1}")
    failed = tap(1, "the cases pass without a planted bug", check_clean(mutants))
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        results = pool.map(lambda m: check(m, compiler), mutants)
        for number, (mutant, why) in enumerate(zip(mutants, results), 2):
            failed |= tap(number, f"{mutant['name']} is caught by {mutant['case']}", why)
    return 1 if failed else 0


def find(mutants, compiler, names):
    for mutant in mutants:
        if names and mutant["name"] not in names:
            continue
        try:
            failed, judged = judge(build(mutant, compiler), mutant["type"], [], ("--limit", "300"))
            print(f"{mutant['name']}: {len(failed)} of {judged}: {' '.join(failed)}", flush=True)
        except (Failure, subprocess.TimeoutExpired) as e:
            print(f"{mutant['name']}: {e}", flush=True)


def main(args):
    with open(os.path.join(HERE, "mutants.toml"), "rb") as f:
        mutants = tomllib.load(f)["mutant"]
    compiler = Compiler()
    if args[:1] == ["--find"]:
        find(mutants, compiler, args[1:])
        return 0
    return test(mutants, compiler)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
