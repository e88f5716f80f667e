#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Reports of the conformance suite, made from verdicts whose strings are hostile (nasty.c): each form is well-formed and
complete. And `avp conform diff`.

usage: test_report.py AVP NASTY"""
import html.parser
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import tapmain  # noqa: E402

AVP, NASTY = sys.argv[1:3]
VERDICTS = 6


def run(*argv):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def report(form, folder):
    path = os.path.join(folder, form)
    status, out, err = run(NASTY, f"{form}={path}")
    assert status == 0, err
    assert "2 passed, 3 failed, 1 skipped" in out, out  # the text goes to standard output
    with open(path, encoding="utf-8", newline="") as f:
        return f.read()


def tap_has_one_line_per_verdict(folder):
    lines = report("tap", folder).splitlines()
    results = [line for line in lines if re.match(r"(not )?ok ", line)]
    assert len(results) == VERDICTS, lines
    for number, line in enumerate(results, 1):
        assert re.match(rf"(not )?ok {number} - ", line), line
    assert sum(line.startswith("not ok") for line in results) == 3, results
    assert [line for line in results if " # SKIP " in line] == [results[3]], results
    assert results[0].endswith("blk: vq.good [split]"), results[0]
    assert lines[-1] == f"1..{VERDICTS}", lines[-1]


def junit_is_well_formed_and_says_all(folder):
    root = xml.etree.ElementTree.fromstring(report("junit", folder))
    assert root.tag == "testsuites" and root.get("tests") == "6" and root.get("failures") == "3", root.attrib
    suites = {suite.get("name"): suite for suite in root}
    assert set(suites) == {"blk", "net<>", "rng"}, suites
    blk = list(suites["blk"])
    assert [case.get("name") for case in blk] == ["vq.good [split]", "vq.good [packed]", "vq.bytes"]
    assert suites["blk"].get("failures") == "2" and suites["blk"].get("tests") == "3"
    evidence = blk[1].find("failure").get("message")
    assert evidence == "<script>alert(1)</script> ]]> & \"quotes\" 'and' # hash \\ backslash", evidence
    assert "café" in blk[2].find("failure").get("message")
    assert suites["net<>"][0].find("skipped") is not None


class Page(html.parser.HTMLParser):
    """Tags that are open, the text by requirement, and whatever would be loaded."""

    VOID = {"meta", "input"}

    def __init__(self):
        super().__init__()
        self.open, self.rows, self.loads, self.scripts = [], [], [], 0

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.loads += [v for k, v in attrs.items() if k in ("src", "href", "action", "srcset")]
        self.loads += [tag] if tag in ("link", "img", "iframe", "object") else []
        self.scripts += tag == "script"
        if tag == "details":
            self.rows.append([attrs["class"], ""])
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open}"
        self.open.pop()

    def handle_data(self, data):
        if "details" in self.open:
            self.rows[-1][1] += data


def html_has_every_requirement(folder):
    text = report("html", folder)
    page = Page()
    page.feed(text)
    page.close()
    assert not page.open, page.open
    status, out, err = run(AVP, "spec", "list", "--json")
    assert status == 0, err
    spec = json.loads(out)
    entries = spec if isinstance(spec, list) else spec["entries"]
    assert len(page.rows) == len(entries) > 1000, (len(page.rows), len(entries))
    for (_, shown), entry in zip(page.rows, entries):
        assert entry["id"] in shown and " ".join(entry["text"].split())[:40] in shown, (shown, entry)
    # Both requirements that were claimed: one has a failure, the other passed.
    verdicts = {entry["id"]: row[0] for row, entry in zip(page.rows, entries)}
    assert verdicts["V2.2.2-1"] == "fail" and verdicts["BLK-2"] == "pass", verdicts
    assert sum(v != "none" for v in verdicts.values()) == 2
    assert "alert(1)</script> ]]>" in "".join(row[1] for row in page.rows)


def html_loads_nothing_and_runs_nothing_foreign(folder):
    text = report("html", folder)
    page = Page()
    page.feed(text)
    assert not page.loads, page.loads
    assert page.scripts == 1 and "<script>alert" not in text
    assert "http:" not in text.split("<section>")[0] and "url(" not in text and "@import" not in text


def json_lines_are_complete(folder):
    lines = [json.loads(line) for line in report("json", folder).splitlines()]
    assert len(lines) == VERDICTS + 1
    end = lines.pop()["end"]
    assert (end["pass"], end["fail"], end["skip"]) == (2, 3, 1), end
    first = lines[0]
    assert first == {"target": "blk", "transport": "vhost-user", "case": "vq.good", "rings": "split", "verdict": "pass",
                     "ns": 1500000, "evidence": "", "proves": "V2.2.2-1 BLK-2"}, first
    assert [line["verdict"] for line in lines] == ["pass", "fail", "fail", "skip", "pass", "fail"]
    assert [line["rings"] for line in lines] == ["split", "packed", "-", "-", "-", "-"]


def text_shows_each_failure_with_its_clause(folder):
    status, out, err = run(NASTY)
    assert status == 0, err
    assert "2 passed, 3 failed, 1 skipped" in out.splitlines()[-1], out
    assert "FAIL blk: vq.good [packed]" in out and "  V2.2.2-1: " in out and "VIRTIO 1.4, 2.2.2" in out, out
    assert "NOT-AN-ID: not in the catalogue" in out, out
    assert all(c == "\n" or c.isprintable() for c in out), repr(out)


def reports_go_to_standard_output(folder):
    for form, sign in (("tap", "ok 1 - "), ("junit", "<?xml"), ("html", "<!DOCTYPE html>"), ("json", '{"target"')):
        status, out, _ = run(NASTY, f"{form}=-")
        assert status == 0 and out.startswith(sign), (form, out[:100])
    status, _, err = run(NASTY, "tap=-", "json=-")
    assert status == 2 and "only one report" in err, err
    status, _, err = run(NASTY, f"tap={folder}/missing/tap")
    assert status == 2 and "No such file" in err, err


def write(folder, name, *rows, end='{"end": {}}\n'):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as f:
        for case, rings, verdict in rows:
            row = {"target": "blk", "transport": "vhost-user", "case": case, "rings": rings, "verdict": verdict, "ns": 1,
                   "evidence": f"why {verdict}", "proves": ""}
            f.write(json.dumps(row) + "\n")
        f.write(end)
    return path


def diff_tells_what_changed(folder):
    old = write(folder, "old", ("a.same", "-", "fail"), ("a.worse", "split", "pass"), ("a.worse", "packed", "pass"),
                ("a.fixed", "-", "fail"), ("a.skipped", "-", "pass"), ("a.gone", "-", "pass"))
    new = write(folder, "new", ("a.new", "-", "pass"), ("a.worse", "packed", "fail"), ("a.same", "-", "fail"),
                ("a.worse", "split", "pass"), ("a.skipped", "-", "skip"), ("a.fixed", "-", "pass"))
    status, out, err = run(AVP, "conform", "diff", old, new)
    assert status == 1, (out, err)
    lines = out.splitlines()
    assert "newly fails  blk: a.worse [packed] (pass -> fail): why fail" in lines, out
    assert any(line.startswith("fixed ") and "a.fixed" in line for line in lines), out
    assert any(line.startswith("changed ") and "a.skipped (pass -> skip)" in line for line in lines), out
    assert any(line.startswith("new ") and "a.new" in line for line in lines), out
    assert any(line.startswith("gone ") and "a.gone" in line for line in lines), out
    assert lines[-1] == "2 the same, 1 newly failing, 1 fixed, 1 changed, 1 new, 1 gone", out
    status, out, _ = run(AVP, "conform", "diff", old, new, "--quiet")
    assert status == 1 and len(out.splitlines()) == 2, out


def diff_of_no_change_for_the_worse_is_success(folder):
    old = write(folder, "old", ("a.same", "-", "fail"), ("a.fixed", "-", "fail"))
    new = write(folder, "new", ("a.same", "-", "fail"), ("a.fixed", "-", "pass"))
    assert run(AVP, "conform", "diff", old, new)[0] == 0
    assert run(AVP, "conform", "diff", old, old)[0] == 0
    # A case that is new and fails is a failure that was not there before.
    worse = write(folder, "worse", ("a.same", "-", "fail"), ("a.fixed", "-", "fail"), ("a.new", "-", "fail"))
    assert run(AVP, "conform", "diff", old, worse)[0] == 1


def diff_refuses_what_is_no_run(folder):
    good = write(folder, "good", ("a.same", "-", "fail"))
    for content in ("nonsense\n", "{}\n", '{"target": 1}\n', "[" * 5000 + "\n", '{"case": "x"\n'):
        bad = os.path.join(folder, "bad")
        with open(bad, "w", encoding="utf-8") as f:
            f.write(content)
        status, _, err = run(AVP, "conform", "diff", good, bad)
        assert status == 2 and f"{bad}:1:" in err, (content[:20], status, err)
    status, _, err = run(AVP, "conform", "diff", good, os.path.join(folder, "missing"))
    assert status == 2 and "missing" in err, err
    assert run(AVP, "conform", "diff", good)[0] == 2


def diff_of_a_run_that_broke_off_is_no_success(folder):
    whole = write(folder, "whole", ("a.first", "-", "pass"), ("a.second", "-", "pass"))
    part = write(folder, "part", ("a.first", "-", "pass"), end="")
    nothing = write(folder, "nothing", end="")
    for new in (part, nothing):
        status, out, err = run(AVP, "conform", "diff", whole, new)
        assert status == 1 and f"'{new}' is a run that broke off" in err, (status, out, err)
    # That the old one did is worth a word.
    status, _, err = run(AVP, "conform", "diff", part, whole)
    assert status == 0 and f"'{part}' is a run that broke off" in err, (status, err)


def diff_shows_no_commands(folder):
    old = write(folder, "old")
    new = os.path.join(folder, "new")
    evil = "\x1b[2J\x9b31m\u202e\u2028x\nfixed        forged\r"
    row = {"target": evil, "transport": evil, "case": evil, "rings": "-", "verdict": "fail", "ns": -1e300, "evidence": evil,
           "proves": evil}
    with open(new, "w", encoding="utf-8") as f:
        f.write(json.dumps(row) + '\n{"end": {}}\n')
    status, out, err = run(AVP, "conform", "diff", old, new)
    assert status == 1 and len(out.splitlines()) == 2 and not err, (out, err)
    assert all(c == "\n" or c.isprintable() for c in out), repr(out)


def diff_reads_any_types(folder):
    good = write(folder, "good", ("a.same", "-", "fail"))
    row = {"target": "t", "transport": "t", "case": "c", "rings": "-", "verdict": "fail", "ns": 1, "evidence": "", "proves": ""}
    for key in row:
        for value in (None, 1, [], {}, "neither", True, [["x"]]):
            bad = os.path.join(folder, "bad")
            with open(bad, "w", encoding="utf-8") as f:
                f.write(json.dumps({**row, key: value}) + '\n{"end": {}}\n')
            text = isinstance(value, str) and key not in ("rings", "verdict")
            status, _, err = run(AVP, "conform", "diff", good, bad)
            assert status == (1 if text or key == "ns" else 2), (key, value, status, err)


def a_run_without_verdicts_has_failed(folder):
    for form, sign in (("tap", "not ok 1 - run: run.complete"), ("json", "no case was run"), ("junit", 'failures="1"')):
        status, out, err = run(NASTY, "nothing=", f"{form}=-")
        assert status == 1 and sign in out, (form, status, out, err)


TESTS = [a_run_without_verdicts_has_failed, diff_of_a_run_that_broke_off_is_no_success, diff_shows_no_commands,
         diff_reads_any_types, tap_has_one_line_per_verdict, junit_is_well_formed_and_says_all, html_has_every_requirement,
         html_loads_nothing_and_runs_nothing_foreign, json_lines_are_complete, text_shows_each_failure_with_its_clause,
         reports_go_to_standard_output, diff_tells_what_changed, diff_of_no_change_for_the_worse_is_success,
         diff_refuses_what_is_no_run]


if __name__ == "__main__":
    sys.exit(tapmain.main(TESTS))
