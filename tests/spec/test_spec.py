#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The catalogue as it is compiled in, with the claims of all cases and the names of all tests; its reader and checker on
wrong inputs; and the command avp spec.

usage: test_spec.py AVP AVP_CONFORM BUILD"""
import json
import os
import subprocess
import sys
import tempfile
import traceback

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
SPEC = os.path.join(ROOT, "spec")
sys.dont_write_bytecode = True
sys.path.insert(0, SPEC)
import catalogue  # noqa: E402

AVP, CONFORM, BUILD = sys.argv[1:4]

CLAUSE = """
[[clause]]
id = "2.1.2"
binds = "device"
title = "Device Status Field"
say = [["must", "Does one thing."], ["may", "Does another.", "Why not."]]
"""
REQUIREMENT = """
[[requirement]]
id = "BLK-2"
strength = "M"
source = "draft"
text = "Has flushes."
"""


def run(*argv):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def spec_json(*words):
    status, out, err = run(CONFORM, "spec", *words, "--json")
    assert status == 0, err
    return json.loads(out)


def meson_tests():
    with open(os.path.join(BUILD, "meson-info", "intro-tests.json"), encoding="utf-8") as f:
        return {test["name"] for test in json.load(f)}


def claims():
    return [(claim["case"], claim["id"]) for claim in spec_json()["claims"]]


# The catalogue of this tree.


def test_names_exist():
    problems = catalogue.unknown_names(catalogue.load(SPEC), claims(), meson_tests())
    assert not problems, "\n".join(problems)


def test_all_that_is_mandatory_is_spoken_for():
    problems = catalogue.unproved(catalogue.load(SPEC), claims())
    assert not problems, "\n".join(problems)


def test_compiled_in_as_it_stands():
    entries = catalogue.load(SPEC)
    compiled = spec_json("list")
    assert [e.id for e in entries] == [c["id"] for c in compiled], "other entries, or another order"
    for e, c in zip(entries, compiled):
        assert (e.area, e.strength, e.binds, e.source, e.text, e.why, list(e.tests)) == (
            c["area"], c["strength"], c["binds"], c["source"], c["text"], c["why"], c["tests"]), f"{e.id} differs"


# The reader on wrong files.


def refused(text, *expected):
    try:
        catalogue.parse("x.toml", text)
    except catalogue.Bad as bad:
        for word in expected:
            assert word in str(bad), f"'{word}' is not in: {bad}"
        assert str(bad).startswith("x.toml: "), bad
        return
    raise AssertionError(f"accepted: {text}")


def test_good_files_are_read():
    one, other = catalogue.parse("virtio-basic.toml", "why = \"All of it.\"\n" + CLAUSE)
    assert (one.id, one.area, one.strength, one.binds) == ("V2.1.2-1", "basic", "M", "device"), vars(one)
    assert (one.source, one.text, one.why) == ("VIRTIO 1.4, 2.1.2 Device Status Field", "Does one thing.",
                                               "All of it."), vars(one)
    assert (other.id, other.strength, other.why) == ("V2.1.2-2", "O", "Why not."), vars(other)
    permission = catalogue.parse("virtio-basic.toml", CLAUSE.replace(', "Why not."', ""))[1]
    assert permission.why == catalogue.PERMISSION, vars(permission)
    (r,) = catalogue.parse("avps.toml", REQUIREMENT + 'tests = ["blk"]\n')
    assert (r.id, r.area, r.strength, r.tests, r.why) == ("BLK-2", "avps", "M", ("blk",), ""), vars(r)


def test_wrong_files_are_refused():
    refused(CLAUSE.replace('"must"', '"shall"'), "V2.1.2-1", "unknown level 'shall'")
    refused(CLAUSE.replace('"Does one thing."', '""'), "V2.1.2-1")
    refused(CLAUSE.replace('["must", "Does one thing."]', '"must"'), "V2.1.2-1")
    refused(CLAUSE.replace('"device"', '"platform"'), "clause 2.1.2", "binds")
    refused(CLAUSE.replace("2.1.2", "2.1.x"), "2.1.x", "number")
    refused(CLAUSE.replace("title", "titel"), "unknown keys titel")
    refused(CLAUSE.split("say")[0], "no statement")
    refused(REQUIREMENT.replace('"M"', '"X"'), "BLK-2", "strength")
    refused(REQUIREMENT.replace("BLK-2", "blk 2"), "blk 2")
    refused(REQUIREMENT + 'tests = "blk"\n', "BLK-2", "tests")
    refused(REQUIREMENT + 'test = ["blk"]\n', "unknown keys test")
    refused(REQUIREMENT.replace("text", "why"), "BLK-2", "text")
    refused("[[claus]]\n", "only why")
    refused("[[clause]\n", "line 1")


def test_an_id_may_occur_once():
    for files in ({"a.toml": REQUIREMENT, "b.toml": REQUIREMENT}, {"a.toml": CLAUSE + CLAUSE}):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
                    f.write(text)
            try:
                catalogue.load(folder)
            except catalogue.Bad as bad:
                assert "already" in str(bad), bad
            else:
                raise AssertionError(f"accepted: {files}")


def test_the_build_stops_at_a_wrong_file():
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "a.toml"), "w", encoding="utf-8") as f:
            f.write(CLAUSE.replace('"must"', '"shall"'))
        status, _, err = run(os.path.join(SPEC, "generate"), folder, os.path.join(folder, "t.c"),
                             os.path.join(folder, "t.d"))
        assert status == 1 and "a.toml: V2.1.2-1: unknown level" in err, (status, err)
        assert not os.path.exists(os.path.join(folder, "t.c"))


# The checker on wrong catalogues.


def entry(**fields):
    values = {"file": "x.toml", "id": "BLK-2", "area": "x", "strength": "M", "binds": "device", "source": "ours",
              "text": "Has flushes."}
    return catalogue.Entry(**{**values, **fields})


def test_something_must_speak_for_what_is_mandatory():
    def found(e, case_claims=()):
        return [line.split()[1] for line in catalogue.unproved([e], case_claims)]

    assert found(entry()) == ["BLK-2"]
    assert found(entry(), [("blk.x", "BLK-3")]) == ["BLK-2"]
    assert found(entry(), [("blk.x", "BLK-2")]) == []
    for good in (entry(why="Not visible."), entry(tests=["blk"]), entry(strength="S")):
        assert found(good) == []


def test_names_must_exist():
    def found(e, case_claims):
        return catalogue.unknown_names([e], case_claims, {"blk"})

    assert found(entry(tests=["blk"]), [("blk.x", "BLK-2")]) == []
    (line,) = found(entry(), [("blk.x", "BLK-2"), ("blk.flush", "BLK-22")])
    assert "blk.flush" in line and "BLK-22" in line, line
    (line,) = found(entry(tests=["blk", "blc"]), [])
    assert "BLK-2" in line and "'blc'" in line, line


# The command.


def test_summary_adds_up():
    summary = spec_json()["areas"]
    entries = spec_json("list")
    for area in summary:
        states = [e["state"] for e in entries if e["area"] == area["area"]]
        assert area["entries"] == len(states), area
        assert all(area[state] == states.count(state) for state in ("case", "test", "why", "open")), area
    assert sum(area["entries"] for area in summary) == len(entries)
    status, out, err = run(AVP, "spec")
    assert status == 0 and out.splitlines()[-1].split()[:2] == ["all", str(len(entries))], (out, err)


def test_state_is_what_speaks_for_an_entry():
    claimed = {entry_id for _, entry_id in claims()}
    for e in spec_json("list"):
        state = "case" if e["id"] in claimed else "test" if e["tests"] else "why" if e["why"] else "open"
        assert e["state"] == state and bool(e["cases"]) == (state == "case"), e


def test_filters():
    every = spec_json("list")
    for option, key, value in (("--area", "area", "blk"), ("--strength", "strength", "S"), ("--state", "state", "why"),
                               ("--binds", "binds", "platform")):
        some = spec_json("list", option, value)
        assert some == [e for e in every if e[key] == value] and 0 < len(some) < len(every), option
    some = spec_json("list", "2.1.2", "reset")
    assert "V2.1.2-2" in [e["id"] for e in some], some
    assert all("reset" in e["text"].lower() and "2.1.2" in e["source"] for e in some), some
    status, out, _ = run(CONFORM, "spec", "list", "--area", "own", "--binds", "platform")
    assert status == 0 and all(line.startswith("PLAT-") for line in out.splitlines()), out


def test_show():
    status, out, _ = run(CONFORM, "spec", "show", "ROB-7", "V2.1.2-1")
    assert status == 0 and "virtio-inflight" in out and "VIRTIO 1.4, 2.1.2 Device Status Field" in out, out
    (shown,) = spec_json("show", "BLK-2")
    assert shown["id"] == "BLK-2" and shown["strength"] == "M", shown


def test_wrong_usage_is_explained():
    for words, expected in ((["show", "BLK-222"], "did you mean 'BLK-2"), (["show"], "usage"), (["lost"], "usage"),
                            (["--area", "nowhere"], "no area 'nowhere'"), (["--state", "x"], "one of any, case"),
                            (["--arae", "blk"], "did you mean '--area'")):
        status, _, err = run(AVP, "spec", *words)
        assert status == 2 and expected in err, (words, status, err)


def main():
    tests = [value for name, value in globals().items() if name.startswith("test_")]
    failed = 0
    print(f"1..{len(tests)}")
    for n, test in enumerate(tests, 1):
        name = test.__name__.removeprefix("test_").replace("_", " ")
        try:
            test()
            print(f"ok {n} - {name}")
        except Exception:
            failed += 1
            print("# " + traceback.format_exc().replace("\n", "\n# "))
            print(f"not ok {n} - {name}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
