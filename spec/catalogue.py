# SPDX-License-Identifier: BSD-3-Clause
"""Reads the catalogue, spec/*.toml, and checks it. README.md explains the format."""
import os
import re
import tomllib

LEVELS = {"must": "M", "must not": "M", "should": "S", "should not": "S", "may": "O"}
PERMISSION = "A permission: nobody is judged by it."
STRENGTHS = ("M", "C", "S", "O", "W", "-")
BINDS = ("device", "driver", "platform")
CLAUSE_KEYS = {"id", "binds", "title", "say", "why"}
REQUIREMENT_KEYS = {"id", "strength", "source", "binds", "text", "tests", "why"}
CLAUSE_ID = re.compile(r"\d+(\.\d+)*")
REQUIREMENT_ID = re.compile(r"[A-Z]+-\d+")


class Bad(Exception):
    """What is wrong with a file, in one line that begins with its name."""


class Entry:
    """One requirement, or one statement of a clause. Fields as in conformance/host/spec.h."""

    def __init__(self, file, id, area, strength, binds, source, text, why="", tests=()):
        self.file = file
        self.id = id
        self.area = area
        self.strength = strength
        self.binds = binds
        self.source = source
        self.text = text
        self.why = why
        self.tests = tuple(tests)


def need(condition, file, what, message):
    if not condition:
        raise Bad(f"{file}: {what}: {message}")


def is_text(value):
    return isinstance(value, str) and value.strip() != "" and "\n" not in value


def statement(file, area, clause, number, said, why):
    entry_id = f"V{clause['id']}-{number}"
    need(isinstance(said, list) and len(said) in (2, 3) and all(is_text(word) for word in said), file, entry_id,
         "a statement is [level, text] or [level, text, why], all of them one line")
    need(said[0] in LEVELS, file, entry_id, f"unknown level '{said[0]}'; {', '.join(LEVELS)} are known")
    if said[0] == "may" and not why:
        why = PERMISSION
    source = f"VIRTIO 1.4, {clause['id']} {clause['title']}"
    return Entry(file, entry_id, area, LEVELS[said[0]], clause["binds"], source, said[1],
                 said[2] if len(said) == 3 else why)


def statements(file, area, clause, why):
    what = f"clause {clause.get('id', '?')}"
    need(not clause.keys() - CLAUSE_KEYS, file, what, f"unknown keys {', '.join(sorted(clause.keys() - CLAUSE_KEYS))}")
    need(CLAUSE_ID.fullmatch(str(clause.get("id", ""))), file, what, "id is not the number of a clause")
    need(clause.get("binds") in BINDS[:2], file, what, "binds is neither \"device\" nor \"driver\"")
    need(is_text(clause.get("title")), file, what, "title is missing")
    need(isinstance(clause.get("say"), list) and clause["say"], file, what, "say has no statement")
    why = clause.get("why", why)
    need(why == "" or is_text(why), file, what, "why is not one line of text")
    return [statement(file, area, clause, n, said, why) for n, said in enumerate(clause["say"], 1)]


def requirement(file, area, r, why):
    what = f"requirement {r.get('id', '?')}"
    need(not r.keys() - REQUIREMENT_KEYS, file, what, f"unknown keys {', '.join(sorted(r.keys() - REQUIREMENT_KEYS))}")
    need(REQUIREMENT_ID.fullmatch(str(r.get("id", ""))), file, what, "id is not like \"BLK-2\"")
    need(r.get("strength") in STRENGTHS, file, what, f"strength is none of {' '.join(STRENGTHS)}")
    need(r.get("binds", "device") in BINDS, file, what, f"binds is none of {', '.join(BINDS)}")
    need(is_text(r.get("source")) and is_text(r.get("text")), file, what, "source or text is missing")
    tests = r.get("tests", [])
    need(isinstance(tests, list) and all(is_text(t) and " " not in t for t in tests), file, what,
         "tests is a list of names")
    why = r.get("why", why)
    need(why == "" or is_text(why), file, what, "why is not one line of text")
    return Entry(file, r["id"], area, r["strength"], r.get("binds", "device"), r["source"], r["text"], why, tests)


def parse(file, text):
    """The entries of one file's text."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise Bad(f"{file}: {e}") from None
    need(not data.keys() - {"why", "clause", "requirement"}, file, "top",
         "only why, [[clause]] and [[requirement]] are known")
    area = file.removesuffix(".toml").removeprefix("virtio-")
    why = data.get("why", "")
    need(why == "" or is_text(why), file, "top", "why is not one line of text")
    entries = [e for clause in data.get("clause", []) for e in statements(file, area, clause, why)]
    return entries + [requirement(file, area, r, why) for r in data.get("requirement", [])]


def order(entries):
    """VIRTIO by chapters, then AVPS, then our own."""
    first = entries[0].id
    if not first.startswith("V"):
        return (1, entries[0].file)
    number = first[1:].split("-", 1)[0]
    return (0, [int(part) for part in number.split(".")])


def files(folder):
    return sorted(name for name in os.listdir(folder) if name.endswith(".toml"))


def load(folder):
    """All entries, in the order of the catalogue. Raises Bad."""
    groups = []
    for name in files(folder):
        with open(os.path.join(folder, name), encoding="utf-8") as f:
            entries = parse(name, f.read())
        need(entries, name, "top", "has no entry")
        groups.append(entries)
    entries = [e for group in sorted(groups, key=order) for e in group]
    seen = {}
    for e in entries:
        need(e.id not in seen, e.file, e.id, f"is in {seen.get(e.id)} already")
        seen[e.id] = e.file
    return entries


def unknown_names(entries, claims, tests):
    """Names that do not exist, one line each.

    claims: pairs of a case's name and an ID that it says it proves; tests: the names of all meson tests."""
    known = {e.id for e in entries}
    problems = [f"case {case} claims {entry_id}, which is not in spec/" for case, entry_id in claims
                if entry_id not in known]
    problems += [f"{e.file}: {e.id} names a test '{test}', which does not exist" for e in entries for test in e.tests
                 if test not in tests]
    return problems


def unproved(entries, claims):
    """Mandatory entries that nothing speaks for, one line each."""
    proved = {entry_id for _, entry_id in claims}
    return [f"{e.file}: {e.id} is mandatory and has neither a case, a test nor a reason why not" for e in entries
            if e.strength == "M" and e.id not in proved and not e.tests and not e.why]
