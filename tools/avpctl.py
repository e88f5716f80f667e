# SPDX-License-Identifier: BSD-3-Clause
"""A running avp system as a Python object, over its control socket (docs/control-socket.md)."""
import json
import os
import re
import select
import signal
import socket
import subprocess
import time


class Failure(Exception):
    """What was expected did not happen."""


def runtime_folder(env):
    """The folder of the run-time folders of all systems."""
    if env.get("XDG_RUNTIME_DIR", "").startswith("/"):
        return os.path.join(env["XDG_RUNTIME_DIR"], "avp")
    return f"/tmp/avp-{os.geteuid()}" if os.geteuid() else "/run/avp"


class Stream:
    """A connection that has become raw bytes: a console, or a vsock stream."""

    def __init__(self, sock, rest=b""):
        self.sock = sock
        self.text = rest  # everything received so far
        self.seen = 0     # where expect() goes on

    def send(self, data):
        self.sock.sendall(data)

    def receive(self, deadline):
        """Waits for more; False at the end of the stream or of the time."""
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([self.sock], [], [], left)[0]:
            return False
        try:
            data = self.sock.recv(65536)
        except ConnectionError:
            return False
        self.text += data
        return bool(data)

    def expect(self, pattern, seconds):
        """Waits until the regular expression appears; returns the match."""
        deadline = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self.text[self.seen:])
            if found:
                self.seen += found.end()
                return found
            if not self.receive(deadline):
                tail = self.text[-4000:].decode(errors="replace")
                raise Failure(f"no {pattern!r} within {seconds} s; the stream ends with:\n{tail}")

    def close(self):
        self.sock.close()


class System:
    """`avp run FILE` as a process, and its control socket."""

    def __init__(self, avp, file, runtime=None, args=(), output=None):
        self.name = os.path.basename(file).split(".")[0]
        env = dict(os.environ)
        if runtime:
            env["XDG_RUNTIME_DIR"] = runtime
        self.folder = os.path.join(runtime_folder(env), self.name)
        self.process = subprocess.Popen([avp, "run", file, *args], env=env, stdin=subprocess.DEVNULL,
                                        stdout=output, stderr=output)

    def connect(self, seconds):
        """A connection to the control socket, as soon as there is one that answers."""
        deadline = time.monotonic() + seconds
        path = os.path.join(self.folder, "control.sock")
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise Failure(f"avp run ended with status {self.process.returncode}")
            sock = socket.socket(socket.AF_UNIX)
            try:
                sock.connect(path)
                return sock
            except OSError:
                sock.close()
                time.sleep(0.1)
        raise Failure(f"no control socket at {path} within {seconds} s")

    def request(self, seconds=180, **members):
        """Sends a request; returns the connection with the answer's line taken, and what came after it."""
        sock = self.connect(seconds)
        sock.settimeout(seconds)
        data = b""
        try:
            sock.sendall(json.dumps(members).encode() + b"\n")
            while b"\n" not in data:
                more = sock.recv(65536)
                if not more:
                    raise Failure(f"no answer to {members}")
                data += more
        except OSError as e:
            raise Failure(f"{members}: {e}") from e
        line, rest = data.split(b"\n", 1)
        answer = json.loads(line)
        if not answer.get("ok"):
            raise Failure(f"{members}: {answer.get('error')}")
        return sock, answer.get("result"), rest

    def ask(self, **members):
        sock, result, _ = self.request(**members)
        sock.close()
        return result

    def stream(self, **members):
        sock, _, rest = self.request(**members)
        sock.settimeout(None)
        return Stream(sock, rest)

    def wait_running(self, seconds):
        """Returns when every VM runs, and with it all its devices."""
        deadline = time.monotonic() + seconds
        while True:
            states = {vm["name"]: vm["state"] for vm in self.ask(cmd="ps")["vms"]}
            if all(state == "running" for state in states.values()):
                return
            if time.monotonic() > deadline:
                raise Failure(f"not all VMs run after {seconds} s: {states}")
            time.sleep(0.1)

    def wait(self, seconds):
        """The exit status of avp run."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"avp run still runs after {seconds} s") from None

    def end(self):
        """Whatever happened: leaves no process behind."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
