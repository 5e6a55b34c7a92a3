"""confine.py ROOT USER GROUP COMMAND...: runs COMMAND with ROOT as its root, as USER and GROUP (numbers), without capabilities
and with no way to get any. setpriv(1) cannot do that: it is outside of ROOT."""

import ctypes
import os
import sys

PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38


def main(root, user, group, *words):
    libc = ctypes.CDLL(None, use_errno=True)
    os.chroot(root)
    os.chdir("/")
    capability = 0
    while libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0:
        capability += 1
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(*[int(group)] * 3)
    os.setresuid(*[int(user)] * 3)
    os.execv(words[0], words)


if __name__ == "__main__":
    main(*sys.argv[1:])
