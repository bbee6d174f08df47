"""Makes one call of a tool for a debugger, in the developer's own file.

Started by Loci as `python3 -I -B loci_debug.py`, with a two-way pipe at descriptor 3, and without the walls of other
calls: a debugger has to reach this process, and to start its adapter. debugpy listens on a free port of 127.0.0.1, which
is said on stderr in a line of its own; the call is taken when a debugger is there.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import loci_call  # noqa: E402
from loci_frames import Channel, TooLong  # noqa: E402
import loci_results  # noqa: E402

del sys.path[0]


def say(text):
    sys.stderr.write("loci-debug: %s\n" % text)
    sys.stderr.flush()


def main():
    import debugpy

    host, port = debugpy.listen(("127.0.0.1", 0))
    say("listening on %s:%d" % (host, port))
    debugpy.wait_for_client()
    say("attached")
    channel = Channel(3)
    channel.write({"type": "ready"})
    home = {name: os.environ[name] for name in ("HOME", "TMPDIR", "PATH", "LANG") if name in os.environ}
    call = channel.read()
    if call is None:
        return
    channel.token = call["token"]
    # What lies beside the file can be imported, as when its developer runs it.
    sys.path.insert(0, os.path.dirname(call["file"]))
    result, _ = loci_call.run(call, channel, None, home)
    for file in (sys.stdout, sys.stderr):
        file.flush()
    loci_call.end_output(call["token"])
    try:
        channel.write(result)
    except TooLong as error:
        channel.write(loci_call.failed(loci_results.Unreturnable("its return value is too large: %s" % error)))
    # Ends with this process, as the adapter does: Loci ends both.
    channel.read()


main()
