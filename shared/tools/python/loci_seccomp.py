"""A second layer on Linux: the kernel itself refuses what a tool has no use for. On other machines it does nothing."""

import ctypes
import os
import platform
import struct
import sys

# By name: the number on x86_64, and on aarch64 (None: there is no such call).
REFUSED = {
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "kcmp": (312, 272),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "tkill": (200, 130),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "unshare": (272, 97),
    "setns": (308, 268),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "quotactl": (179, 60),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "acct": (163, 89),
    "syslog": (103, 116),
    "personality": (135, 92),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "vhangup": (153, 58),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
}
CLONE, CLONE3 = (56, 220), (435, 435)
# Signals, each with the process as the first argument: to itself only.
SIGNALS = ((62, 129), (234, 131), (129, 138), (297, 240))  # kill, tgkill, rt_sigqueueinfo, rt_tgsigqueueinfo

CLONE_THREAD = 0x10000
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
LOAD, JUMP_EQUAL, JUMP_AT_LEAST, JUMP_BITS, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026
AT_NUMBER, AT_ARCHITECTURE, AT_FIRST_ARGUMENT = 0, 4, 16
PR_SET_SECCOMP, MODE_FILTER = 22, 2


def program(machine, pid):
    """The filter as the kernel takes it: a list of (code, jump if true, jump if false, value); None: not for this machine."""
    if machine not in ARCHITECTURES:
        return None
    column, architecture = ARCHITECTURES[machine]
    steps = [(LOAD, 0, 0, AT_ARCHITECTURE), (JUMP_EQUAL, 1, 0, architecture), (RETURN, 0, 0, KILL)]
    steps.append((LOAD, 0, 0, AT_NUMBER))
    if machine == "x86_64":
        # Calls of the x32 interface, which repeats all of them.
        steps += [(JUMP_AT_LEAST, 0, 1, 0x40000000), (RETURN, 0, 0, ENOSYS)]
    for numbers in REFUSED.values():
        if numbers[column] is not None:
            steps += [(JUMP_EQUAL, 0, 1, numbers[column]), (RETURN, 0, 0, EPERM)]
    # Its arguments are in memory, where a filter cannot look; without it the C library takes the other one.
    steps += [(JUMP_EQUAL, 0, 1, CLONE3[column]), (RETURN, 0, 0, ENOSYS)]
    steps += [
        (JUMP_EQUAL, 0, 4, CLONE[column]),
        (LOAD, 0, 0, AT_FIRST_ARGUMENT),
        (JUMP_BITS, 0, 1, CLONE_THREAD),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, EPERM),
    ]
    for numbers in SIGNALS:
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


# Made once: only the number of the process differs, which is 1 in a namespace of its own.
packed = {}


def install(libc):
    """Installs the filter for this process, for good. Returns whether there is one for this machine."""
    if sys.platform != "linux":
        return False
    pid = os.getpid()
    if pid not in packed:
        steps = program(platform.machine(), pid)
        packed[pid] = pack(steps) if steps else None
    code = packed[pid]
    if code is None:
        return False
    whole = Filter(len(code) // 8, code)
    if libc.prctl(PR_SET_SECCOMP, MODE_FILTER, ctypes.byref(whole), 0, 0) != 0:
        # A kernel without filters; the wall stands without them.
        return False
    return True
