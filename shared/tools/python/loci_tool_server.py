"""Serves calls of Python tools, each in a process of its own that is forked from this one.

Started by Loci behind the wall, as `python3 -I -B loci_tool_server.py SHOWN…` (the folders and files that the wall shows
besides the system's), with a two-way pipe at descriptor 3. What runs here is ours only: the code of tools, their arguments
and their secrets pass through as bytes that are wiped.

A packet on the pipe is a length (4 bytes, big end first, of what follows), the number of a call (4 bytes), a channel (1
byte) and bytes. CONTROL packets are JSON and belong to this process; the others go between Loci and the call's process.
"""

import errno
import fcntl
import gc
import json
import os
import selectors
import signal
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import loci_call  # noqa: E402
import loci_walls as walls  # noqa: E402

del sys.path[0]

CONTROL, PIPE, STDOUT, STDERR = 0, 1, 2, 3
HEAD = struct.Struct(">IIB")
CHUNK = 1 << 16
WATCH_EVERY_S = 0.05
# What waits for a call that does not read; more ends it.
MAX_WAITING = 64 << 20
PAGE = os.sysconf("SC_PAGE_SIZE")


class Call:
    """The process of one call, as this process sees it."""

    def __init__(self, number, pid, pipe, outputs, limits):
        self.number = number
        self.pid = pid
        self.pipe = pipe
        # Channel to descriptor.
        self.outputs = outputs
        self.limits = limits
        self.waiting = []
        self.reason = None


class Server:
    def __init__(self, loci, scratch, shown):
        self.loci = loci
        self.scratch = scratch
        self.shown = shown
        self.calls = {}
        self.selector = selectors.DefaultSelector()
        self.selector.register(loci, selectors.EVENT_READ, self.from_loci)
        self.head = bytearray(HEAD.size)
        self.buffer = bytearray(CHUNK)

    def serve(self):
        watched = time.monotonic()
        while True:
            for key, mask in self.selector.select(WATCH_EVERY_S if self.calls else None):
                key.data(mask)
            now = time.monotonic()
            if self.calls and now - watched >= WATCH_EVERY_S:
                watched = now
                for call in list(self.calls.values()):
                    self.watch(call)

    # --- with Loci

    def receive(self, view):
        """Fills a piece of memory from the pipe. Ends this process when Loci has gone."""
        while len(view) > 0:
            count = self.loci.recv_into(view)
            if count == 0:
                os._exit(0)
            view = view[count:]

    def from_loci(self, _mask):
        self.receive(memoryview(self.head))
        length, number, channel = HEAD.unpack(self.head)
        left = length - 5
        if channel == CONTROL:
            body = bytearray(left)
            self.receive(memoryview(body))
            self.order(number, json.loads(body))
            return
        call = self.calls.get(number)
        while left > 0:
            piece = memoryview(self.buffer)[: min(left, CHUNK)]
            self.receive(piece)
            left -= len(piece)
            if call:
                self.to_call(call, piece)
            piece[:] = bytes(len(piece))

    def send(self, number, channel, body):
        self.loci.sendall(HEAD.pack(len(body) + 5, number, channel))
        self.loci.sendall(body)

    def tell(self, number, **message):
        self.send(number, CONTROL, json.dumps(message).encode())

    def order(self, number, message):
        if message["kind"] == "start":
            try:
                loci_call.preload(message["preload"])
                self.start(number, message["limits"], message["network"])
            except OSError as error:
                self.tell(number, kind="end", reason="start", detail=str(error))
        elif message["kind"] == "kill" and number in self.calls:
            self.end(self.calls[number], "killed")

    # --- with the process of a call

    def start(self, number, limits, network):
        """Makes the process of a call. Raises OSError."""
        # What this process has already is no part of what the call may take.
        limits["memory_mb"] += own_megabytes()
        ours, theirs = socket.socketpair()
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        told, tell = os.pipe()
        ends = (theirs.fileno(), out_end, err_end)
        # A process goes into new namespaces with its children only, and can do so once.
        helper = os.fork()
        if helper == 0:
            self.begin(ends, tell, limits, network)
        for descriptor in (out_end, err_end, tell):
            os.close(descriptor)
        theirs.close()
        said = read_all(told)
        os.waitpid(helper, 0)
        if not said.isdigit():
            ours.close()
            os.close(out)
            os.close(err)
            raise OSError(errno.EPERM, said.decode("utf-8", "replace") or "no process could be made")
        ours.setblocking(False)
        os.set_blocking(out, False)
        os.set_blocking(err, False)
        call = Call(number, int(said), ours, {STDOUT: out, STDERR: err}, limits)
        self.calls[number] = call
        self.selector.register(ours, selectors.EVENT_READ, lambda mask: self.from_call(call, mask))
        for channel, descriptor in call.outputs.items():
            self.selector.register(descriptor, selectors.EVENT_READ, lambda _, c=channel: self.output(call, c))

    def begin(self, ends, tell, limits, network):
        """In a helper: makes the namespaces and the process of the call in them, and goes."""
        try:
            walls.apart(network)
            child = os.fork()
            if child == 0:
                os.close(tell)
                self.become(ends, limits, network)
            os.write(tell, b"%d" % child)
        except BaseException as error:
            os.write(tell, str(error).encode()[:200])
        os._exit(0)

    def become(self, ends, limits, network):
        """In the process of the call: takes its descriptors, forgets all others, and never comes back."""
        try:
            os.setsid()
            null = os.open(os.devnull, os.O_RDONLY)
            # Above all that is in use, then down to their places: none of these closes another one.
            high = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (null, ends[1], ends[2], ends[0])]
            for place, descriptor in enumerate(high):
                os.dup2(descriptor, place)
            os.closerange(4, 1 << 20)
            walls.empty_folders(self.scratch, limits["scratch_mb"], self.shown)
            os.chdir(self.scratch)
            walls.limit(limits)
            loci_call.serve(3, network)
        except BaseException as error:
            os.write(2, ("the process of the call could not be made: %s\n" % error).encode())
        finally:
            os._exit(70)

    def to_call(self, call, piece):
        if not call.waiting:
            try:
                sent = call.pipe.send(piece)
            except BlockingIOError:
                sent = 0
            except OSError:
                # It has ended; its end says so.
                return
            piece = piece[sent:]
            if len(piece) == 0:
                return
            self.selector.modify(
                call.pipe, selectors.EVENT_READ | selectors.EVENT_WRITE, lambda mask: self.from_call(call, mask)
            )
        call.waiting.append(bytearray(piece))
        if sum(map(len, call.waiting)) > MAX_WAITING:
            self.end(call, "unread")

    def from_call(self, call, mask):
        if mask & selectors.EVENT_WRITE and not self.flush(call):
            return
        if not mask & selectors.EVENT_READ:
            return
        # What it printed before it said this.
        for channel in list(call.outputs):
            self.output(call, channel)
        piece = memoryview(self.buffer)
        try:
            count = call.pipe.recv_into(piece)
        except BlockingIOError:
            return
        except OSError:
            count = 0
        if count == 0:
            self.end(call, None)
            return
        self.send(call.number, PIPE, piece[:count])
        piece[:count] = bytes(count)

    def flush(self, call):
        """Sends what waits; false when the call has ended."""
        try:
            while call.waiting:
                sent = call.pipe.send(call.waiting[0])
                rest = call.waiting[0][sent:]
                call.waiting[0][:] = bytes(len(call.waiting[0]))
                if rest:
                    call.waiting[0] = rest
                else:
                    del call.waiting[0]
        except BlockingIOError:
            return True
        except OSError:
            self.end(call, None)
            return False
        self.selector.modify(call.pipe, selectors.EVENT_READ, lambda mask: self.from_call(call, mask))
        return True

    def output(self, call, channel):
        """Takes what the call has printed: at most what its pipe holds, so that no other call waits for it."""
        descriptor = call.outputs.get(channel)
        if descriptor is None:
            return
        piece = memoryview(self.buffer)
        try:
            count = os.readv(descriptor, [piece])
        except BlockingIOError:
            return
        if count == 0:
            self.selector.unregister(descriptor)
            os.close(descriptor)
            del call.outputs[channel]
            return
        self.send(call.number, channel, piece[:count])
        piece[:count] = bytes(count)

    def watch(self, call):
        """Ends a call that takes more memory or threads than it may; limits of the kernel do not count all of them."""
        try:
            with open("/proc/%d/statm" % call.pid) as file:
                resident = int(file.read().split()[1]) * PAGE
            with open("/proc/%d/stat" % call.pid) as file:
                threads = int(file.read().rpartition(")")[2].split()[17])
        except (OSError, IndexError, ValueError):
            return
        if resident > call.limits["memory_mb"] << 20:
            self.end(call, "memory")
        elif threads > call.limits["processes"]:
            self.end(call, "threads")

    def end(self, call, reason):
        """Ends the process of a call, with all that it started, and says how it ended."""
        if self.calls.pop(call.number, None) is None:
            return
        try:
            os.kill(call.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        try:
            status = os.waitpid(call.pid, 0)[1]
        except ChildProcessError:
            status = 0
        for channel in list(call.outputs):
            self.output(call, channel)
        self.selector.unregister(call.pipe)
        call.pipe.close()
        for piece in call.waiting:
            piece[:] = bytes(len(piece))
        for descriptor in call.outputs.values():
            self.selector.unregister(descriptor)
            os.close(descriptor)
        self.tell(
            call.number,
            kind="end",
            reason=reason,
            signal=os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
            code=os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
        )


def own_megabytes():
    """Memory of this process, which each call begins with."""
    try:
        with open("/proc/self/statm") as file:
            sizes = [int(each) for each in file.read().split()]
    except OSError:
        return 0
    resident, data = sizes[1], sizes[5]
    return max(resident, data) * PAGE >> 20


def read_all(descriptor):
    """Everything up to the end of a pipe, which is closed."""
    said = b""
    while True:
        piece = os.read(descriptor, 4096)
        if not piece:
            os.close(descriptor)
            return said
        said += piece


def main():
    # Where the wall has put this process: an empty folder of its own.
    scratch = os.getcwd()
    loci = socket.socket(fileno=3)
    loci.setblocking(True)
    server = Server(loci, scratch, sys.argv[1:])
    refused = walls.enter()
    if refused is None:
        loci_call.prepare()
        # What is here now is shared with every call, not copied when a collection looks at it.
        gc.collect()
        gc.freeze()
    server.tell(0, kind="hello", isolated=refused is None)
    if refused is None:
        server.serve()


main()
