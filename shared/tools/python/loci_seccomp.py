"""A second layer on Linux: the kernel itself refuses what a tool has no use for. On other machines it does nothing."""

import ctypes
import json
import os
import platform
import struct
import sys

# Numbers on x86_64 and on aarch64 (null: there is no such call). `start`: what makes processes and programs; `walls`: what
# walls in processes; `never`: what nothing behind the wall has a use for, memory that no limit counts among it; `signals`,
# each with the process as the first argument: to itself only.
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "loci_system_calls.json")) as file:
    CALLS = json.load(file)

# Families of sockets: local ones, and those of a network with what names need.
LOCAL, NETWORK = (1,), (1, 2, 10, 16)

CLONE_THREAD = 0x10000
LOAD, JUMP_EQUAL, JUMP_AT_LEAST, JUMP_BITS, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, KILL, EPERM, ENOSYS, ENETUNREACH = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026, 0x00050065
AT_NUMBER, AT_ARCHITECTURE, AT_FIRST_ARGUMENT = 0, 4, 16
PR_SET_SECCOMP, MODE_FILTER = 22, 2


def program(machine, pid, network=True):
    """The filter as the kernel takes it: a list of (code, jump if true, jump if false, value); None: not for this machine."""
    if machine not in CALLS["architectures"]:
        return None
    column, architecture = CALLS["architectures"][machine]
    steps = [(LOAD, 0, 0, AT_ARCHITECTURE), (JUMP_EQUAL, 1, 0, architecture), (RETURN, 0, 0, KILL)]
    steps.append((LOAD, 0, 0, AT_NUMBER))
    if machine == "x86_64":
        # Calls of the x32 interface, which repeats all of them.
        steps += [(JUMP_AT_LEAST, 0, 1, 0x40000000), (RETURN, 0, 0, ENOSYS)]
    for group in ("start", "walls", "never"):
        for numbers in CALLS[group].values():
            if numbers[column] is not None:
                steps += [(JUMP_EQUAL, 0, 1, numbers[column]), (RETURN, 0, 0, EPERM)]
    # Its arguments are in memory, where a filter cannot look; without it the C library takes the other one.
    steps += [(JUMP_EQUAL, 0, 1, CALLS["clone3"][column]), (RETURN, 0, 0, ENOSYS)]
    steps += [
        (JUMP_EQUAL, 0, 4, CALLS["clone"][column]),
        (LOAD, 0, 0, AT_FIRST_ARGUMENT),
        (JUMP_BITS, 0, 1, CLONE_THREAD),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, EPERM),
    ]
    families = NETWORK if network else LOCAL
    steps += [
        (JUMP_EQUAL, 0, len(families) + 3, CALLS["socket"][column]),
        (LOAD, 0, 0, AT_FIRST_ARGUMENT),
        *((JUMP_EQUAL, len(families) - index, 0, family) for index, family in enumerate(families)),
        (RETURN, 0, 0, ENETUNREACH),
        (RETURN, 0, 0, ALLOW),
    ]
    for numbers in CALLS["signals"]:
        steps += [
            (JUMP_EQUAL, 0, 4, numbers[column]),
            (LOAD, 0, 0, AT_FIRST_ARGUMENT),
            (JUMP_EQUAL, 0, 1, pid),
            (RETURN, 0, 0, ALLOW),
            (RETURN, 0, 0, EPERM),
        ]
    return steps + [(RETURN, 0, 0, ALLOW)]


def pack(steps):
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


class Filter(ctypes.Structure):
    """What the kernel takes: how many steps, and where they are."""

    _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_char_p)]


# Made once for each number of a process, which is 1 in a namespace of its own.
packed = {}


def prepare(pid, network):
    """Makes the filter of a process ahead of time; None: there is none for this machine."""
    kind = (pid, network)
    if kind not in packed:
        steps = program(platform.machine(), pid, network)
        packed[kind] = pack(steps) if steps else None
    return packed[kind]


def install(libc, network):
    """Installs the filter for this process, for good. Returns whether there is one for this machine."""
    if sys.platform != "linux":
        return False
    code = prepare(os.getpid(), network)
    if code is None:
        return False
    whole = Filter(len(code) // 8, code)
    if libc.prctl(PR_SET_SECCOMP, MODE_FILTER, ctypes.byref(whole), 0, 0) != 0:
        # A kernel without filters; the wall stands without them.
        return False
    return True
