#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The system file, through `avp check`: what is correct, and what is said about what is not."""
import json
import os
import subprocess
import sys
import tempfile

AVP = os.path.abspath(sys.argv[1])

VM = "vms: {a: {boot: {kernel: k}, devices: [%s]}}\n"

# Name, file, the messages it must get: beginnings of "LINE:COLUMN: text".
BAD = [
    ("unknown key, near", "vms:\n  a:\n    memroy: 1M\n    boot: {kernel: k}\n",
     ["3:5: unknown key 'memroy' (did you mean 'memory'?); allowed: boot, cpus, start, restart, restart-limit"]),
    ("unknown key, far", "vms: {a: {boot: {kernel: k}}}\nquux: 1\n", ["2:1: unknown key 'quux'; allowed: name, jail, grace, event-log, isolation"]),
    ("unknown key of a section", "vms: {a: {boot: {kernel: k, initird: i}}}\n",
     ["1:29: unknown key 'initird' (did you mean 'initrd'?); allowed: kernel, initrd, cmdline"]),
    ("unknown key of a device", VM % "{type: blk, imge: x}",
     ["1:40: key 'image' is missing", "1:52: unknown key 'imge' (did you mean 'image'?)"]),
    ("unknown device type", VM % "{type: blck}",
     ["1:47: unknown device type 'blck' (did you mean 'blk'?); there are:"]),
    ("device without type", VM % "{image: x}", ["1:40: a device needs 'type'"]),
    ("device that is a word", VM % "blk", ["1:40: a device must be a map, not text"]),
    ("number out of range", "vms: {a: {cpus: 0, boot: {kernel: k}}}\n",
     ["1:17: '0' is no value for 'cpus': it takes a whole number from 1 to"]),
    ("not a number", "vms: {a: {cpus: {count: two}, boot: {kernel: k}}}\n", ["1:25: 'two' is no value for 'cpus'"]),
    ("not a size", "vms: {a: {memory: lots, boot: {kernel: k}}}\n", ["1:19: 'lots' is no value for 'memory': it takes bytes"]),
    ("not one of the words", "vms: {a: {restart: sometimes, boot: {kernel: k}}}\n",
     ["1:20: 'sometimes' is no value for 'restart': it takes one of no, on-failure, always"]),
    ("map for a word", "vms: {a: {memory: {a: b}, boot: {kernel: k}}}\n", ["1:19: 'memory' must be one word, not a map"]),
    ("list for a map", "vms: [a]\n", ["1:6: 'vms' must be a map, not a list"]),
    ("list for switches", "vms: {a: {boot: {kernel: k}}}\nswitches: [car]\n", ["2:11: 'switches' must be a map, not a list"]),
    ("list for a switch", "vms: {a: {boot: {kernel: k}}}\nswitches: {car: [x]}\n",
     ["2:17: an entry of 'switches' must be a map, not a list"]),
    ("map for a plug", VM % "{type: net, switch: {a: b}}", ["1:60: 'switch' must be text, not a map"]),
    ("list for a section", "vms: {a: {boot: [k]}}\n", ["1:17: 'boot' must be a map, not a list"]),
    ("key twice", "vms: {a: {memory: 4M, memory: 8M, boot: {kernel: k}}}\n", ["1:23: 'memory' is already in line 1"]),
    ("VM twice", "vms:\n  a: {boot: {kernel: k}}\n  a: {boot: {kernel: k}}\n", ["3:3: 'a' is already in line 2"]),
    ("no kernel", "vms: {a: {memory: 4M}}\n", ["1:7: key 'kernel' is missing, or 'firmware'"]),
    ("no VMs", "switches: {car: }\n", ["1:1: the file needs 'vms'"]),
    ("empty VMs", "vms: {}\n", ["1:6: 'vms' is empty"]),
    ("kernel and firmware", "vms: {a: {boot: {kernel: k, firmware: edk2}}}\n", ["1:39: kernel and firmware"]),
    ("command line for a firmware", "vms: {a: {boot: {firmware: edk2, cmdline: x}}}\n", ["1:28: firmware: it finds"]),
    ("firmware of another architecture", "vms: {a: {arch: x86-64, boot: {firmware: edk2}}}\n", ["1:42: firmware: only arm64 guests"]),
    ("device tree for x86-64", "vms: {a: {arch: x86-64, boot: {kernel: k, dtb: d}}}\n", ["1:48: dtb: only an arm64 guest"]),
    ("variables of nothing", "vms: {a: {boot: {kernel: k, vars: v}}}\n", ["1:35: vars: only a firmware"]),
    ("entry of nothing", "vms: {a: {boot: {kernel: k, entry: 0x1000}}}\n", ["1:36: entry: only a raw image"]),
    ("name with a slash", "vms: {a/b: {boot: {kernel: k}}}\n", ["1:7: 'a/b' cannot be a name"]),
    ("name that is too long", "vms: {%s: {boot: {kernel: k}}}\n" % ("a" * 25), ["1:7: 'aaaaaaaaaaaaaaaaaaaaaaaaa' cannot be"]),
    ("device name twice", VM % "{type: rng, name: r}, {type: rng, name: r}",
     ["1:62: the name 'r' is taken by the device in line 1"]),
    ("unknown switch", "vms: {a: {boot: {kernel: k}, devices: [{type: net, switch: carr}]}}\nswitches: {car: }\n",
     ["1:40: there is no switch 'carr' (did you mean 'car'?)"]),
    ("required key that is wrong, named once", "vms:\n  a: {boot: {kernel: k}, devices: [{type: vsock, cid: abc}]}\n",
     ["2:55: 'abc' is no value for 'cid'"]),
    ("sensors that are described wrongly", "vms:\n  a: {boot: {kernel: k}, devices: [{type: scmi, sensors: [\"b value=x\"]}]}\n"
     "scmi-platforms:\n  p:\n    sensors:\n      - s value=1\n      - c unit=celsiu value=1\n",
     ["2:59: 'b': value=x: not a number", "7:9: 'c': unit=celsiu is not known; try celsius"]),
    ("lines and nets that are described wrongly",
     "vms:\n  a:\n    boot: {kernel: k}\n    devices:\n      - {type: gpio, lines: [a sim in out]}\n"
     "      - {type: gpio, wires: w, lines: [d wire:door, gap 2, l wire:lamp]}\nwires:\n  w: {nets: [door, b pull=left]}\n",
     ["5:30: line \"a sim in out\": in and out exclude", "6:60: w has no net 'lamp' (its key `nets`)",
      "8:20: net 'b': unknown word 'pull=left'"]),
    ("context ID twice", "vms:\n  a: {boot: {kernel: k}, devices: [{type: vsock, cid: 3}]}\n"
     "  b: {boot: {kernel: k}, devices: [{type: vsock, cid: 0x3}]}\n", ["3:55: cid '0x3' is taken by a/vsock0 (line 2)"]),
    ("MAC twice", VM % "{type: net, mac: '52:54:00:00:00:0a'}, {type: net, mac: '52:54:00:00:00:0A'}",
     ["1:96: mac '52:54:00:00:00:0A' is taken by a/net0 (line 1)"]),
    ("image written twice", VM % "{type: blk, image: k}, {type: blk, image: ./k, readonly: true}",
     ["1:82: image "]),
    ("socket and isolate", VM % "{type: rng, socket: s, isolate: false}", ["1:40: 'isolate: false' and 'socket' exclude"]),
    ("socket and poll", VM % "{type: rng, socket: s, poll: 50}", ["1:40: 'poll' and 'socket' exclude"]),
    ("poll of a port", (VM % "{type: net, switch: car, poll: 50}") + "switches: {car: }\n",
     ["1:40: 'poll' belongs to the switch 'car'"]),
    ("poll that is no time", VM % "{type: rng, poll: often}",
     ["1:58: 'often' is no value for 'poll': it takes a whole number from 0 to 1000000, or always"]),
    ("foreign without socket", VM % "{type: foreign, id: 36}", ["1:40: a foreign device needs 'socket'"]),
    ("foreign without id", VM % "{type: foreign, socket: s}", ["1:40: key 'id' is missing"]),
    ("foreign with an id beyond PCI's", VM % "{type: foreign, id: 64, socket: s}",
     ["1:60: '64' is no value for 'id': it takes a whole number from 1 to 63"]),
    ("foreign with too many queues", VM % "{type: foreign, id: 36, queues: 65, socket: s}",
     ["1:72: '65' is no value for 'queues': it takes a whole number from 1 to 64"]),
    ("foreign with a key of another", VM % "{type: foreign, id: 36, socket: s, image: k}",
     ["1:75: unknown key 'image'; allowed: type, name, socket, isolate, poll, id, queues, config"]),
    ("foreign and isolate", VM % "{type: foreign, id: 36, socket: s, isolate: false}",
     ["1:40: 'isolate: false' and 'socket' exclude"]),
    ("memory in no whole pages", "vms: {a: {memory: 3000000, boot: {kernel: k}}}\n",
     ["1:19: memory: 3000000 bytes is not a multiple of 4K"]),
    ("memory in no whole huge pages", "vms: {a: {hugepages: yes, memory: 5M, boot: {kernel: k}}}\n",
     ["1:35: memory: 5242880 bytes is not a multiple of 2M"]),
    ("not a CPU", "vms: {a: {cpus: {host: [0, first]}, boot: {kernel: k}}}\n",
     ["1:25: cpu-host: 'first' is no number of a host CPU"]),
    ("more devices than PCI has functions", VM % ", ".join(["{type: rng}"] * 241),
     ["1:7: 241 devices; with transport: pci at most 240"]),
    ("real-time policy without priority", "vms: {a: {sched: {policy: fifo}, boot: {kernel: k}}}\n",
     ["1:27: sched-policy: fifo needs a priority, 1 to 98"]),
    ("priority without policy", "vms: {a: {sched: {priority: 5}, boot: {kernel: k}}}\n",
     ["1:29: sched-priority: only with the policy fifo or rr"]),
    ("priority that is the regulator's", "vms: {a: {sched: {policy: rr, priority: 99}, boot: {kernel: k}}}\n",
     ["1:41: '99' is no value for 'sched-priority': it takes a whole number from 1 to 98"]),
    ("budget without misses", "vms: {a: {llc-budget: {period: 2ms}, boot: {kernel: k}}}\n",
     ["1:32: llc-period: a budget needs its number of misses"]),
    ("weight out of range", "vms: {a: {cgroup: {cpu-weight: 10001}, boot: {kernel: k}}}\n",
     ["1:32: '10001' is no value for 'cpu-weight': it takes a whole number from 1 to 10000"]),
    ("not a list of CPUs", "vms: {a: {cgroup: {cpuset: 0-}, boot: {kernel: k}}}\n",
     ["1:28: cpuset: '0-' is no list of host CPUs"]),
    ("memory limits that contradict", "vms: {a: {cgroup: {memory-max: 1G, memory-high: 2G}, boot: {kernel: k}}}\n",
     ["1:49: memory-high is more than memory-max"]),
    ("not a share of a cache", "vms: {a: {resctrl: {l3: 101%}, boot: {kernel: k}}}\n",
     ["1:25: l3: '101%' is no share or mask of the cache"]),
    ("not a bandwidth", "vms: {a: {resctrl: {l3: 50%, mb: lots}, boot: {kernel: k}}}\n", ["1:34: mb: 'lots' is no bandwidth"]),
    ("isolation", "isolation: perhaps\nvms: {a: {boot: {kernel: k}}}\n",
     ["1:12: 'perhaps' is no value for 'isolation': it takes one of best-effort, required"]),
    ("more devices than slots", VM.replace("{a: {", "{a: {transport: mmio, ") % ", ".join(["{type: rng}"] * 129),
     ["1:7: 129 devices; with transport: mmio at most 128"]),
    ("more devices than a VM can have", VM % ", ".join(["{type: rng}"] * 257),
     ["1:39: 257 devices; a VM has at most 256"]),
    ("grace", "grace: soon\nvms: {a: {boot: {kernel: k}}}\n", ["1:8: 'soon' is no value for 'grace': it takes a time"]),
    ("after, unknown", "vms:\n  car: {boot: {kernel: k}}\n  a: {boot: {kernel: k}, after: [car, cra]}\n",
     ["3:39: there is no VM 'cra' (did you mean 'car'?) in this file"]),
    ("after itself", "vms:\n  a: {boot: {kernel: k}, after: a}\n",
     ["2:33: these VMs wait for each other ('after'): a, a"]),
    ("after each other", "vms:\n  a: {boot: {kernel: k}, after: c}\n  b: {boot: {kernel: k}, after: {vm: a, state: off}}\n"
     "  c: {boot: {kernel: k}, after: [b]}\n  d: {boot: {kernel: k}, after: a}\n",
     ["2:33: these VMs wait for each other ('after'): a, c, b, a"]),
    ("after, wrong state", "vms: {a: {boot: {kernel: k}}, b: {boot: {kernel: k}, after: {vm: a, state: up}}}\n",
     ["1:76: 'up' is no value for 'state': it takes one of ready, running, off"]),
    ("after without a VM", "vms: {a: {boot: {kernel: k}, after: {state: off}}}\n", ["1:37: key 'vm' is missing"]),
    ("after a list", "vms: {a: {boot: {kernel: k}, after: [[b]]}}\n", ["1:38: an entry of 'after' must be a map, not a list"]),
    ("ready of nothing", "vms: {a: {boot: {kernel: k}, ready: {timeout: 1s}}}\n", ["1:37: 'ready' takes one of:"]),
    ("ready twice", "vms: {a: {boot: {kernel: k}, ready: {vsock: 1, vsock-guest: 1}}}\n", ["1:37: 'ready' takes one of:"]),
    ("ready without a line", "vms: {a: {boot: {kernel: k}, ready: {console: console0}}}\n",
     ["1:37: 'ready' needs both 'console' and 'line'"]),
    ("ready with two lines", VM.replace("devices", "ready: {console: console0, line: \"a\\nb\"}, devices") % "{type: console}",
     ["1:37: 'line' takes text within one line"]),
    ("ready on no console", VM.replace("devices", "ready: {console: rng0, line: up}, devices") % "{type: rng}",
     ["1:37: 'ready': a has no console 'rng0'"]),
    ("ready on a file", VM.replace("devices", "ready: {console: c, line: up}, devices") %
     "{type: console, name: c, host: file, path: f}", ["1:37: 'ready': console 'c' is 'host: file'"]),
    ("ready without vsock", "vms: {a: {boot: {kernel: k}, ready: {vsock: 1}}}\n", ["1:37: 'ready': a has no vsock device"]),
    ("ready, unknown key", "vms: {a: {boot: {kernel: k}, ready: {vsok: 1}}}\n",
     ["1:37: 'ready' takes one of:", "1:38: unknown key 'vsok' (did you mean 'vsock'?); allowed: console, line, vsock"]),
    ("fallback, unknown", "vms: {a: {boot: {kernel: k}, fallback: limp}}\n", ["1:40: there is no VM 'limp' in this file"]),
    ("fallback of each other", "vms: {a: {boot: {kernel: k}, fallback: b}, b: {boot: {kernel: k}, fallback: a}}\n",
     ["1:40: each of these VMs is the other's fallback: a, b, a"]),
    ("fallback and system-stop", "vms: {a: {boot: {kernel: k}, fallback: b, on-failure: system-stop}, b: {boot: {kernel: k}}}\n",
     ["1:40: 'fallback' and 'on-failure: system-stop' exclude each other"]),
    ("nothing starts", "vms: {a: {boot: {kernel: k}, start: manual}}\n", ["1:7: every VM has 'start: manual'"]),
    ("delay", "vms: {a: {boot: {kernel: k}, restart-delay: 2h}}\n",
     ["1:45: '2h' is no value for 'restart-delay': it takes a time from 0 to 3600000 ms, as in 10s, 500ms or 2m"]),
    ("watchdog, unknown action", "vms: {a: {boot: {kernel: k}, watchdog: {action: bite}}}\n",
     ["1:49: 'bite' is no value for 'watchdog-action': it takes one of reset, restart, stop, fallback, dump, log, none"]),
    ("watchdog, unknown key", "vms: {a: {boot: {kernel: k}, watchdog: {timeout: 5s}}}\n",
     ["1:41: unknown key 'timeout' (did you mean 'pretimeout'?); allowed: action, pretimeout"]),
    ("watchdog without a fallback", "vms: {a: {boot: {kernel: k}, watchdog: {action: fallback}}}\n",
     ["1:49: 'action: fallback' needs the key 'fallback' of the VM"]),
    ("watchdog on arm64 without NMI", "vms: {a: {arch: arm64, boot: {kernel: k}, watchdog: {pretimeout: nmi}}}\n",
     ["1:66: watchdog-pretimeout: nmi is for x86-64"]),
    ("alias", "vms: &x {a: {boot: {kernel: k}}}\nname: *x\n", ["1:6: anchors (&name) are not supported"]),
    ("second document", "vms: {a: {boot: {kernel: k}}}\n---\nvms: {}\n", ["2:1: a second document"]),
    ("not YAML", "vms: {a: [}\n", ["1:11: not YAML"]),
    ("tab", "vms:\n\ta: 1\n", ["2:1: not YAML"]),
    ("list of lists", "[" * 40 + "]" * 40 + "\n", ["1:18: nested too deeply"]),
    ("control bytes in a key", 'vms: {a: {"x\\e[2J": 1, boot: {kernel: k}}}\n', ["1:11: unknown key 'x?[2J'"]),
]


class Tap:
    def __init__(self):
        self.n = self.failed = 0

    def check(self, name, good, *details):
        self.n += 1
        for line in details if not good else ():
            for part in str(line).splitlines():
                print(f"# {part}")
        print(f"{'ok' if good else 'not ok'} {self.n} - {name}", flush=True)
        self.failed += not good


def check(folder, text, *args):
    path = os.path.join(folder, "sys.yaml")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    done = subprocess.run([AVP, "check", path, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
                          check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode(), path


def test_bad(tap, folder):
    for name, text, messages in BAD:
        status, _, err, path = check(folder, text)
        lines = err.splitlines()
        good = status == 2 and len(lines) == len(messages) and all(
            line.startswith(f"{path}:{message}") for line, message in zip(lines, messages))
        tap.check(f"error: {name}", good, f"status {status}", err)


def test_many(tap, folder):
    status, _, err, _ = check(folder, "vms: {a: {boot: {kernel: k}, " + ", ".join(f"z{i}zzzz: 1" for i in range(50)) + "}}\n")
    lines = err.splitlines()
    tap.check("errors are bounded", status == 2 and len(lines) == 21 and lines[-1] == "(and 30 more)", err)


def test_files(tap, folder):
    done = subprocess.run([AVP, "check", "/nonexistent/x.yaml"], stderr=subprocess.PIPE, timeout=60, check=False)
    tap.check("a file that is not there", done.returncode == 2 and b"/nonexistent/x.yaml" in done.stderr, done.stderr)
    done = subprocess.run([AVP, "check", "/dev/zero"], stderr=subprocess.PIPE, timeout=60, check=False)
    tap.check("an endless file", done.returncode == 2 and b"not a regular file" in done.stderr, done.stderr)
    status, _, err, _ = check(folder, "#" * (1 << 20) + "\n")
    tap.check("a file that is too big", status == 2 and "at most 1048576" in err, err)
    status, _, err, _ = check(folder, "x:\n" + "- a\n" * 25000)
    tap.check("a file with too many entries", status == 2 and "too many entries" in err, err)
    status, _, err, _ = check(folder, "vms:\n" + "".join(f"  v{i}: {{boot: {{kernel: k}}}}\n" for i in range(64)))
    tap.check("64 VMs", status == 0, err)
    status, _, err, _ = check(folder, "vms:\n" + "".join(f"  v{i}: {{boot: {{kernel: k}}}}\n" for i in range(65)))
    tap.check("65 VMs are too many", status == 2 and "64" in err, err)
    status, _, err, _ = check(folder, "")
    tap.check("an empty file", status == 2 and "is empty" in err, err)


def test_supervision(tap, folder):
    status, out, err, _ = check(folder, "vms:\n  a: {boot: {kernel: k}, after: [b, {vm: c, state: 'off'}], restart-delay: 1s, "
                                "ready: {console: console0, line: 'login:'}, devices: [{type: console}]}\n"
                                "  b: {boot: {kernel: k}, fallback: c, cpus: 2}\n  c: {boot: {kernel: k}}\n", "--json")
    vms = json.loads(out)["vms"] if not status else [{}]
    tap.check("supervision: values and defaults", not status and vms[0]["restart-delay"] == "1s"
              and vms[0]["restart-limit"] == "5" and vms[0]["ready"]["line"] == "login:"
              and vms[0]["ready"]["timeout"] == "30s" and vms[1]["fallback"] == "c", err, out)


def test_vsock_paths(tap, folder):
    """Two devices that listened on one path would take it from each other."""
    status, out, err, _ = check(folder, VM % "{type: vsock, cid: 3}, {type: vsock, cid: 4, name: second}, "
                                "{type: vsock, cid: 5, isolate: false}", "--json")
    words = [word for argv in json.loads(out)["processes"] for word in argv] if not status else []
    paths = [after for word, after in zip(words, words[1:]) if word == "--uds"]
    paths += [part[4:] for word in words for part in word.split(",") if part.startswith("uds=")]
    tap.check("every vsock device has a host side of its own", len(paths) == 3 and len(set(paths)) == 3
              and any(path.endswith("/a/vsock") for path in paths), paths, err)


def test_poll(tap, folder):
    """Whoever serves the device is told to poll."""
    status, out, err, _ = check(folder, VM % "{type: rng, poll: always}, {type: rng, poll: 50, isolate: false}, "
                                "{type: rng}, {type: net, switch: car}" + "switches: {car: {poll: 100}}\n", "--json")
    commands = {argv[argv.index("--name") + 1]: argv for argv in json.loads(out)["processes"]} if not status else {}
    polls = {name: argv[argv.index("--poll") + 1] for name, argv in commands.items() if "--poll" in argv}
    tap.check("processes that poll", polls == {"a/rng0": "always", "car": "100"}, polls, err)
    tap.check("a thread of the monitor polls", any(word == "type=rng,name=rng1,isolate=false,poll=50"
                                                   for word in commands.get("a", [])), commands.get("a"))


def test_good(tap, folder):
    text = ("name: cockpit\njail: required\ngrace: 500ms\nvms:\n  ivi:\n    memory: 64M\n    cpus: {count: 2, host: [0, 1]}\n"
            "    boot: {kernel: k, cmdline: 'a, b=\"c\"'}\n    restart: always\n    devices:\n"
            "      - {type: blk, image: k, readonly: yes}\n      - {type: net, switch: car, vlan: 10, trunk: [20, 30-39]}\n"
            "      - {type: vsock, cid: 3}\n      - {type: rng, isolate: false}\n      - {type: rng, socket: other.sock}\n"
            "      - {type: foreign, id: 36, queues: 2, config: 64, socket: 'a,b.sock'}\n"
            "  radio: {boot: {kernel: k}, devices: [{type: blk, image: k, readonly: true}]}\n"
            "switches: {car: }\n")
    status, out, err, _ = check(folder, text, "--json")
    if status:
        tap.check("a correct file", False, err)
        return
    plan = json.loads(out)
    ivi = plan["vms"][0]
    devices = {d["name"]: d for d in ivi["devices"]}
    tap.check("values and defaults",
              plan["name"] == "cockpit" and plan["jail"] == "required" and plan["grace_ms"] == 500
              and ivi["keys"]["cpus"] == "2" and ivi["keys"]["cpu-host"] == ["0", "1"]
              and devices["blk0"]["keys"]["cache"] == "writeback" and plan["vms"][1]["keys"]["cpus"] == "1", out)
    tap.check("paths start at the file's folder", devices["blk0"]["keys"]["image"] == os.path.realpath(folder) + "/k"
              and devices["rng1"]["socket"].endswith("/other.sock"), out)
    commands = {}
    for argv in plan["processes"]:
        commands[argv[argv.index("--name") + 1]] = argv
    tap.check("processes", sorted(commands) == ["car", "ivi", "ivi/blk0", "ivi/vsock0", "radio", "radio/blk0"], out)
    tap.check("keys of a port, commas doubled", any("name=ivi/net0,fd=4,vlan=10,trunk=20,trunk=30-39" == word
                                                   for word in commands["car"]), commands["car"])
    tap.check("ways to attach a device", all(any(part in word for word in commands["ivi"]) for part in (
        "type=rng,name=rng0,isolate=false", "type=rng,name=rng1,socket=", "type=blk,name=blk0,socket=")), commands["ivi"])
    tap.check("the jail's mode is handed on", all("required" in argv for argv in commands.values()), out)
    tap.check("a device of another vendor", devices["foreign0"]["keys"] == {"id": "36", "queues": "2", "config": "64"}
              and f"type=foreign,name=foreign0,socket={os.path.realpath(folder)}/a,,b.sock,id=36,queues=2,config=64"
              in commands["ivi"], commands["ivi"])
    own = f"/tmp/avp-{os.geteuid()}" if os.geteuid() else "/run/avp"
    for runtime, wanted in ((None, own), ("/x", "/x/avp"), ("relative", own)):
        env = {k: v for k, v in os.environ.items() if k != "XDG_RUNTIME_DIR"} | ({"XDG_RUNTIME_DIR": runtime} if runtime else {})
        done = subprocess.run([AVP, "check", os.path.join(folder, "sys.yaml"), "--json"], env=env, stdout=subprocess.PIPE,
                              timeout=60, check=False)
        tap.check(f"run-time folder, XDG_RUNTIME_DIR={runtime}", json.loads(done.stdout)["run_dir"] == f"{wanted}/cockpit")
    test_supervision(tap, folder)
    test_vsock_paths(tap, folder)
    test_poll(tap, folder)
    status, out, _, _ = check(folder, text)
    tap.check("a correct file, for people", status == 0 and "VM ivi" in out and "(writeback)" in out, out)


def main():
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="avp-config-") as folder:
        with open(os.path.join(folder, "k"), "wb") as f:
            f.write(bytes(4096))
        test_bad(tap, folder)
        test_many(tap, folder)
        test_files(tap, folder)
        test_good(tap, folder)
    print(f"1..{tap.n}")
    return 1 if tap.failed else 0


if __name__ == "__main__":
    sys.exit(main())
