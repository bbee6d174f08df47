"""Refuses what the wall would stop anyway, in words that a model can read. Not a wall: it runs inside the tool."""

import sys

PROCESSES = "a tool starts no other programs or processes"
REFUSED = {
    "subprocess.Popen": PROCESSES,
    "os.system": PROCESSES,
    "os.exec": PROCESSES,
    "os.fork": PROCESSES,
    "os.forkpty": PROCESSES,
    "os.posix_spawn": PROCESSES,
    "os.spawn": PROCESSES,
    "os.startfile": PROCESSES,
    "pty.spawn": PROCESSES,
    "sys.addaudithook": "a tool adds no audit hooks",
    "webbrowser.open": PROCESSES,
}
NETWORK = frozenset(
    "socket." + each for each in ("__new__", "connect", "getaddrinfo", "gethostbyname", "sendto", "bind")
)
# Unix, and that of a descriptor that is there already.
LOCAL_FAMILIES = (1, -1)
LIBRARIES = frozenset(("ctypes.dlopen", "ctypes.dlsym"))


class Guard:
    """One audit hook, for the life of a process; what it allows is that of the call."""

    def __init__(self):
        self.network = True
        self.hooked = False

    def watch(self, call):
        self.network = call["network"]
        if not self.hooked:
            self.hooked = True
            sys.addaudithook(self.hook())

    def hook(self):
        # Everything that it needs is its own: a tool can change modules, not this.
        refused, network, libraries, packages = REFUSED, NETWORK, LIBRARIES, site_packages()

        def refuse(event, args):
            if event in refused:
                raise PermissionError("%s is refused: %s" % (event, refused[event]))
            if event in network and not self.network and not is_local(args):
                raise PermissionError(
                    "%s is refused: this tool has no network; a line '# loci: network' in its source declares it" % event
                )
            if event in libraries:
                library = args[0] if event == "ctypes.dlopen" else getattr(args[0], "_name", None)
                # Packages bring libraries of their own; those of the system are another matter.
                if not (isinstance(library, str) and library.startswith(packages)):
                    raise PermissionError("%s is refused: a tool calls no libraries of the system" % event)

        return refuse


def is_local(args):
    """Whether a socket is one between the threads of this process, as asyncio makes it, or of a family that says so."""
    return len(args) > 1 and (isinstance(args[1], (str, bytes)) or args[1] in LOCAL_FAMILIES)


def site_packages():
    return tuple(path for path in sys.path if path.endswith(("site-packages", "dist-packages"))) or ("\0",)
