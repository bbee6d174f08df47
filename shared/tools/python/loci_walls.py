"""The walls around one call of a tool, inside the wall around all of them: namespaces, limits, and no way to gain rights.

Linux only; elsewhere `enter` says so, and a process then serves one call.
"""

import ctypes
import os
import struct
import sys

NEWNS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x20000, 0x08000000, 0x10000000, 0x20000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 8, 0x1000, 0x4000, 0x40000
PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 4, 24, 36, 38

# As in sandbox/walled-command.ts: an empty file takes memory of the kernel, too.
FILES_PER_MB = 512

libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def must(what, result):
    """Raises for a call of the system that failed."""
    if result != 0:
        raise OSError(ctypes.get_errno(), "%s: %s" % (what, os.strerror(ctypes.get_errno())))


def mount(source, target, kind, flags, data=None):
    must("mount %s" % target, libc.mount(source, target.encode(), kind, flags, data))


def enter():
    """Makes this process one that can wall in its children. Returns None, or why that is not possible here."""
    if libc is None:
        return "there are no namespaces on %s" % sys.platform
    uid, gid = os.getuid(), os.getgid()
    try:
        must("unshare", libc.unshare(NEWUSER | NEWNS))
        write("/proc/self/setgroups", "deny")
        write("/proc/self/uid_map", "%d %d 1" % (uid, uid))
        write("/proc/self/gid_map", "%d %d 1" % (gid, gid))
        mount(b"none", "/", None, MS_REC | MS_PRIVATE)
        # What a child is not stopped from otherwise; there is no need for another one.
        write("/proc/sys/user/max_user_namespaces", "0")
        must("prctl", libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
    except OSError as error:
        return str(error)
    return None


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def apart(network):
    """Puts the children of this process into namespaces of their own."""
    must("unshare", libc.unshare(NEWNS | NEWPID | NEWIPC | (0 if network else NEWNET)))


def empty_folders(scratch, scratch_mb, shown):
    """
    Gives the first process of a call folders that nobody has used, and hides all other processes. What the wall shows stays
    where it is.
    """
    size = b"mode=700,size=%dm,nr_inodes=%d" % (scratch_mb, scratch_mb * FILES_PER_MB)
    flags = MS_NOSUID | MS_NODEV
    if not any(is_below(scratch, path) for path in shown):
        below = [path for path in shown if is_below(path, scratch)]
        held = [(path, os.path.isdir(path), os.open(path, os.O_PATH)) for path in below]
        mount(b"tmpfs", scratch, b"tmpfs", flags, size)
        for path, folder, descriptor in sorted(held):
            if not os.path.lexists(path):
                os.makedirs(path if folder else os.path.dirname(path), exist_ok=True)
                if not folder:
                    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
            mount(b"/proc/self/fd/%d" % descriptor, path, None, MS_BIND | MS_REC)
            os.close(descriptor)
    if os.path.isdir("/dev/shm") and not os.path.islink("/dev/shm"):
        mount(b"tmpfs", "/dev/shm", b"tmpfs", flags, size)
    # Where parts of /proc are covered (as bubblewrap does for root) a new one is refused.
    if libc.mount(b"proc", b"/proc", b"proc", flags | MS_NOEXEC, None) != 0:
        mount(b"tmpfs", "/proc", b"tmpfs", flags | MS_NOEXEC, b"mode=555,size=4k")


def is_below(path, folder):
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def drop_rights():
    """Gives up every capability, for good."""
    if libc is None:
        return
    for capability in range(64):
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            break
    header = struct.pack("=Ii", 0x20080522, 0)
    # The last but one reason that it could fail is a kernel that is older than this interface, of 2008.
    must("capset", libc.capset(header, bytes(24)))
    must("prctl", libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    # Nobody attaches to it, or reads its memory.
    must("prctl", libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))


def limit(limits):
    """Sets what one process may use."""
    try:
        import resource
    except ImportError:
        return
    mega = 1024 * 1024
    memory = limits["memory_mb"] * mega
    for name, value in (
        ("RLIMIT_DATA", memory),
        # Reservations count here, too: threads and numeric libraries make large ones.
        ("RLIMIT_AS", memory + 1024 * mega),
        ("RLIMIT_CPU", limits["cpu_s"]),
        ("RLIMIT_FSIZE", limits["file_mb"] * mega),
        ("RLIMIT_CORE", 0),
    ):
        kind = getattr(resource, name, None)
        if kind is None:
            continue
        hard = resource.getrlimit(kind)[1]
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        try:
            resource.setrlimit(kind, (value, value))
        except (OSError, ValueError):
            # macOS knows the name of this limit and refuses it.
            if sys.platform == "linux":
                raise
