"""Frames between Loci and the process of a call: a length (4 bytes, big end first), then JSON in UTF-8."""

import base64
import json
import os
import struct
import threading

HEAD = struct.Struct(">I")
# Loci hears none that is longer (12 MiB), with some room for the head of the frame.
MAX_FRAME = 12 * 1024 * 1024 - 64


class TooLong(Exception):
    """A frame that Loci would not hear."""


class Channel:
    """A two-way pipe of frames. One request at a time waits for its answer; threads take turns."""

    def __init__(self, descriptor):
        self.descriptor = descriptor
        self.turn = threading.Lock()
        self.token = None
        self.requests = 0

    def take(self, length):
        pieces = []
        while length > 0:
            piece = os.read(self.descriptor, min(length, 1 << 20))
            if not piece:
                return None
            pieces.append(piece)
            length -= len(piece)
        return b"".join(pieces)

    def read(self):
        """The next frame; None when Loci has gone."""
        head = self.take(HEAD.size)
        body = head and self.take(HEAD.unpack(head)[0])
        return json.loads(body) if body else None

    def write(self, message):
        """Says something in the name of the current call. Raises TooLong."""
        # Half of a surrogate pair has no form in UTF-8.
        body = json.dumps({"token": self.token, **message}, ensure_ascii=False).encode("utf-8", "replace")
        if len(body) > MAX_FRAME:
            raise TooLong("%d MB are more than %d" % (len(body) >> 20, MAX_FRAME >> 20))
        view = memoryview(HEAD.pack(len(body)) + body)
        while len(view) > 0:
            view = view[os.write(self.descriptor, view) :]

    def request(self, method, path, headers, body):
        """Asks Loci's REST API as the agent of this call. Returns status, headers and bytes of the answer."""
        with self.turn:
            self.requests += 1
            text = base64.b64encode(body).decode() if body else None
            headers = [[str(name), str(value)] for name, value in headers]
            self.write(
                {"type": "request", "id": self.requests, "method": method, "path": path, "headers": headers, "body": text}
            )
            answer = self.read()
        if answer is None or answer["type"] != "answer":
            raise ConnectionError("Loci has ended this call")
        return answer["status"], answer["headers"], base64.b64decode(answer["body"])
