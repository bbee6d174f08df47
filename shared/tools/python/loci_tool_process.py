"""Serves calls in this process itself: where a process cannot wall in those that it forks.

Started by Loci behind a wall of its own, as `python3 -I -B loci_tool_process.py LIMITS PACKAGE…` (limits, and whether it has the
network, as JSON; packages that are imported beforehand), with a two-way pipe at descriptor 3.
"""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import loci_call  # noqa: E402
import loci_walls  # noqa: E402

del sys.path[0]

loci_call.prepare()
loci_call.preload(sys.argv[2:])
limits = json.loads(sys.argv[1])
loci_walls.limit(limits)
loci_call.serve(3, limits["network"])
