"""Two extensions, written as a user would write them.

Reverse has a parameter and wants whole messages. Seal has a memory, takes every
message, and can do so bit by bit."""

from __future__ import annotations

from collections.abc import Iterator
from string import ascii_lowercase, ascii_uppercase
from zlib import crc32

from faye_sync import Extension, ProtocolError

TEXT = 1
LETTERS = range(1, 26)
SEAL = 4  # octets


class Reverse(Extension):
    """Turns binary messages around, and replaces each letter of a text by a later one."""

    name = "x-reverse"
    rsv2 = True

    def __init__(self, letters=13):
        self.letters = letters
        self.sessions = []

    def create_client_session(self, options):
        return self._add(ReverseSession(self.letters))

    def create_server_session(self, offers, options):
        for offer in offers:
            if offer.get("letters") in LETTERS and len(offer) == 1:
                return self._add(ReverseSession(offer["letters"]))
        return None

    def _add(self, session):
        self.sessions.append(session)
        return session


class ReverseSession(Extension.Session):
    only_marked = True

    def __init__(self, letters):
        self.letters = letters
        self.closed = 0

    def generate_offer(self):
        return {"letters": self.letters}

    def activate(self, params):
        return params == {"letters": self.letters}

    def generate_response(self):
        return {"letters": self.letters}

    def process_outgoing_message(self, message):
        if message.compress is not False:
            message.data = self._changed(message, self.letters)
            message.rsv2 = True
        return message

    def process_incoming_message(self, message):
        if message.rsv2:
            message.data = self._changed(message, 26 - self.letters)
        return message

    def close(self):
        self.closed += 1

    def _changed(self, message, letters):
        if message.opcode != TEXT:
            return message.data[::-1]
        # Only ASCII, so what was UTF-8 still is.
        return message.data.translate(cypher(letters))


def cypher(letters):
    plain = ascii_lowercase + ascii_uppercase
    later = "".join(row[letters:] + row[:letters] for row in (ascii_lowercase, ascii_uppercase))
    return bytes.maketrans(plain.encode(), later.encode())


class Seal(Extension):
    """Adds to every message a check of it and of all before it."""

    name = "x-seal"
    rsv3 = True

    def __init__(self):
        self.sessions = []

    def create_client_session(self, options):
        self.sessions.append(SealSession())
        return self.sessions[-1]

    def create_server_session(self, offers, options):
        return self.create_client_session(options) if {} in offers else None


class SealSession(Extension.Session):
    def __init__(self):
        self.sent = 0
        self.received = 0
        self.closed = 0

    def process_outgoing_message(self, message):
        self.sent = crc32(message.data, self.sent)
        message.data += self.sent.to_bytes(SEAL, "big")
        message.rsv3 = True
        return message

    def process_incoming_message(self, message):
        message.data = b"".join(self.incoming_stream(message).feed(message.data, is_final=True))
        return message

    def outgoing_stream(self, message):
        message.rsv3 = True
        return Sealing(self)

    def incoming_stream(self, message):
        if not message.rsv3:
            raise ProtocolError("a message has no seal", 1008)
        return Unsealing(self)

    def outgoing_lost(self):
        # The peer would miss it in every later seal.
        return False

    def close(self):
        self.closed += 1


class Sealing:
    """Adds the seal to a message that is sent in parts."""

    def __init__(self, session):
        self.session = session

    def feed(self, piece):
        self.session.sent = crc32(piece, self.session.sent)
        return piece

    def finish(self):
        return self.session.sent.to_bytes(SEAL, "big")


class Unsealing:
    """Checks the seal of a message that comes in pieces."""

    def __init__(self, session):
        self.session = session
        self.held = b""  # what may be the seal

    def feed(self, piece, *, is_final) -> Iterator[bytes]:
        octets = self.held + piece
        plain, self.held = octets[:-SEAL], octets[-SEAL:]
        self.session.received = crc32(plain, self.session.received)
        yield plain
        if is_final and self.held != self.session.received.to_bytes(SEAL, "big"):
            raise ProtocolError("the seal of a message is broken", 1008)
