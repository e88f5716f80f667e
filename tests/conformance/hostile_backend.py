#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A vhost-user back-end that agrees to everything, does no work, and does one thing that no back-end should.

usage: hostile_backend.py SOCKET WHAT

silent: answers nothing after the features; other: answers another request; short: replies without a value; twice: each
acknowledgement twice; babble: no message but text; fds: descriptors with every reply; flood: makes eventfds blocking and
fills them; record: an in-flight record of a petabyte; channel: nonsense on the back-end channel; dies: the second process
ends at once"""
import fcntl
import os
import socket
import struct
import sys

PATH, WHAT = sys.argv[1:3]
GET_FEATURES, SET_FEATURES, SET_KICK, SET_CALL, GET_PROTOCOL, GET_QUEUES, SET_CHANNEL = 1, 2, 12, 13, 15, 17, 21
GET_BASE, GET_CONFIG, GET_RECORD, GET_STATUS = 11, 24, 31, 40
REPLY_ACK, BACKEND_REQ, CONFIG, RECORD, STATUS = 1 << 3, 1 << 5, 1 << 9, 1 << 12, 1 << 16
FEATURES = 1 << 32 | 1 << 30
PROTOCOL = REPLY_ACK | BACKEND_REQ | CONFIG | STATUS | (RECORD if WHAT == "record" else 0)


class Connection:
    def __init__(self, sock):
        self.sock, self.status, self.channel = sock, 0, None

    def reply(self, request, payload, fds=()):
        if WHAT == "other" and request not in (GET_FEATURES, GET_PROTOCOL):
            request += 1
        if WHAT == "short" and request == GET_STATUS:
            payload = b""
        if WHAT == "fds":
            fds = [*fds, 0, 1, 2]
        message = struct.pack("=III", request, 5, len(payload)) + payload
        if fds:
            socket.send_fds(self.sock, [message], list(fds))
        else:
            self.sock.sendall(message)

    def spoil(self, fd, value):
        fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_NONBLOCK)
        try:
            os.write(fd, struct.pack("=Q", value))
        except BlockingIOError:
            pass
        fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) & ~os.O_NONBLOCK)

    def answer(self, request, flags, body, fds):
        if WHAT == "dies" and request == SET_CALL:
            sys.exit(0)
        u64 = {GET_FEATURES: FEATURES, GET_PROTOCOL: PROTOCOL, GET_QUEUES: 1, GET_STATUS: self.status}
        if request == 39:  # SET_STATUS
            self.status = body[0]
        if request == SET_CHANNEL:
            self.channel = socket.socket(fileno=os.dup(fds[0]))
        if WHAT == "channel" and self.channel:
            try:
                self.channel.sendall(b"GET / HTTP/1.1")
            except OSError:  # the other side has enough of it
                self.channel = None
        if WHAT == "flood" and fds and request in (SET_CALL, SET_KICK):
            self.spoil(fds[0], 1 << 32 if request == SET_CALL else 0xfffffffffffffffe)
        if WHAT == "silent" and request == SET_FEATURES:
            return
        if request in u64:
            self.reply(request, struct.pack("=Q", u64[request]))
        elif request == GET_RECORD:
            self.reply(request, struct.pack("=QQHH4x", 1 << 50, 0, *struct.unpack("=16xHH", body[:20])), [os.memfd_create("x")])
        elif request == GET_BASE:
            self.reply(request, body)
        elif request == GET_CONFIG:
            self.reply(request, body)
        elif flags & 8:
            for _ in range(2 if WHAT == "twice" else 1):
                self.reply(request, bytes(8))

    def serve(self):
        while True:
            head, fds, _, _ = socket.recv_fds(self.sock, 12, 8)
            if len(head) < 12:
                return
            request, flags, size = struct.unpack("=III", head)
            body = self.sock.recv(size, socket.MSG_WAITALL) if size else b""
            if WHAT == "babble" and request == SET_FEATURES:
                self.sock.sendall(b"\x1b[31mHTTP/1.1 400 Bad Request\r\n\r\n" * 100)
            self.answer(request, flags, body, fds)
            for fd in fds:
                os.close(fd)


def main():
    if WHAT == "dies":
        if os.path.exists(PATH + ".once"):
            sys.exit(7)
        with open(PATH + ".once", "w", encoding="ascii"):
            pass
    try:
        os.unlink(PATH)
    except FileNotFoundError:
        pass
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(PATH)
    listener.listen()
    while True:
        connection = Connection(listener.accept()[0])
        try:
            connection.serve()
        except OSError:
            pass
        connection.sock.close()


if __name__ == "__main__":
    main()
