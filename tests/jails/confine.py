#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs a program in a user namespace that may hold no other, as on computers where plain users may make none. It has
no rights in there, either. usage: confine.py PROGRAM [ARGUMENT...], as a plain user"""
import ctypes
import os
import sys

PR_SET_DUMPABLE, CLONE_NEWUSER = 4, 0x10000000


def main(argv):
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.geteuid(), os.getegid()
    libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # what follows is ours to write
    if libc.unshare(CLONE_NEWUSER):
        raise OSError(ctypes.get_errno(), "unshare")
    for path, text in (("self/setgroups", "deny"), ("self/uid_map", f"{uid} {uid} 1"), ("self/gid_map", f"{gid} {gid} 1"),
                       ("sys/user/max_user_namespaces", "0")):
        with open(f"/proc/{path}", "w", encoding="utf-8") as f:
            f.write(text)
    os.execv(argv[0], argv)


if __name__ == "__main__":
    main(sys.argv[1:])
