"""Write the frames of hixie-75 and hixie-76: commands in, octets for the peer out.

Text alone can be sent. A 76 client understands nothing before the proof that
answers its body, and closes by a handshake; a 75 client only leaves."""

from __future__ import annotations

from faye_sync.driver.frames import encode_text

_BEGIN = b"\x00"
_END = b"\xff"
_CLOSE = b"\xff\x00"


class HixieSending:
    """The sending half of a server. One thread at a time, except for frame()."""

    frame_kind = "hixie"
    has_ping = False
    has_binary = False

    def __init__(self, version: str, *, has_close: bool) -> None:
        """Make the half of one draft.

        Args:
            version: Its name, for errors.
            has_close: True for hixie-76, which has a closing handshake, and a
                proof to send before all else.
        """
        self._version = version
        self.has_close = has_close
        self.is_ready = not has_close
        self._queue: list[bytes] = []

    def text(self, data: str, compress: bool | None = None) -> None:
        """Queue a text message.

        Raises:
            TypeError: data is no str.
            ValueError: data holds a lone surrogate.
        """
        del compress
        self._queue.append(self.frame(data))

    def binary(self, data: bytes | bytearray | memoryview, compress: bool | None = None) -> None:
        """Refuse a binary message.

        Raises:
            TypeError: Always.
        """
        del compress
        raise self._no_text(data)

    def fragment(
        self,
        data: str | bytes | bytearray | memoryview,
        *,
        is_first: bool,
        is_final: bool,
        compress: bool | None = None,
    ) -> None:
        """Queue a part of a text message; nothing else may come between.

        Raises:
            TypeError: data is no str.
            ValueError: data holds a lone surrogate.
        """
        del compress
        if not isinstance(data, str):
            raise self._no_text(data)
        octets = encode_text(data)
        self._queue.append((_BEGIN if is_first else b"") + octets + (_END if is_final else b""))

    def ping(self, data: bytes) -> None:
        """Refuse a ping.

        Raises:
            ValueError: Always.
        """
        raise ValueError(f"{self._version} has no ping, got {len(data)} octets for one")

    def pong(self, data: bytes) -> None:
        """Refuse a pong.

        Raises:
            ValueError: Always.
        """
        raise ValueError(f"{self._version} has no pong, got {len(data)} octets for one")

    def close(self, code: int | None, reason: str) -> None:
        """Queue the close frame of hixie-76, which has no room for code or reason.

        Nothing for hixie-75, and nothing before the proof."""
        del code, reason
        if self.has_close and self.is_ready:
            self._queue.append(_CLOSE)

    def lost(self) -> bool:
        """Return True: a message that never left changes nothing for the next."""
        return True

    def reply(self, octets: bytes) -> None:
        """Queue the proof, and let messages follow."""
        self._queue.append(octets)
        self.is_ready = True

    def framed(self, octets: bytes) -> None:
        """Queue octets that frame() made."""
        self._queue.append(octets)

    def frame(self, data: str | bytes | bytearray | memoryview) -> bytes:
        """Frame a text message for many connections. Safe from any thread.

        Raises:
            TypeError: data is no str.
            ValueError: data holds a lone surrogate.
        """
        if not isinstance(data, str):
            raise self._no_text(data)
        return _BEGIN + encode_text(data) + _END

    def whole(self, data: object) -> None:
        """Have every message queued."""

    def data_to_send(self) -> bytes:
        """Hand out, once, the octets of all commands so far, in order."""
        octets = b"".join(self._queue)
        self._queue.clear()
        return octets

    def _no_text(self, data: object) -> TypeError:
        return TypeError(
            f"{self._version} carries text only, got {type(data).__name__}: send str, such as "
            "base64, to a client of this version"
        )
