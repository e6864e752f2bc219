"""What users may send, and the commands that it becomes."""

from __future__ import annotations

from collections.abc import Callable

from faye_sync.backlog import Command
from faye_sync.concurrency import THREADS
from faye_sync.driver.frames import MAX_CONTROL, encode_text
from faye_sync.events import OPEN
from faye_sync.link import Link

Data = str | bytes | bytearray | memoryview


def command_for(link: Link, data: object, compress: bool | None = None) -> Command:
    """Choose the sending half's command by the type of data.

    Args:
        link: The connection.
        data: The message.
        compress: What the user said of it.

    Returns:
        The command with its arguments.

    Raises:
        TypeError: data is no message.
    """
    sending = link.driver.sending
    method: Callable[..., None] = sending.text
    if not isinstance(data, str):
        check_message(data)
        method = sending.binary
    return method, (data,) if compress is None else (data, compress)


def check_message(data: object) -> None:
    """Refuse what is no message.

    Args:
        data: What a user wants to send.

    Raises:
        TypeError: It is neither text nor octets; names the type, and a cure.
    """
    if isinstance(data, (str, bytes, bytearray, memoryview)):
        return
    hint = "; json.dumps() makes text of it" if isinstance(data, dict | list) else ""
    raise TypeError(
        f"a message is str, bytes, bytearray or memoryview, got {type(data).__name__}{hint}"
    )


def ping_payload(data: object) -> bytes:
    """Make the payload of a ping out of what a user gave.

    Raises:
        TypeError: It is neither text nor octets.
        ValueError: It has more than 125 octets, or a lone surrogate.
    """
    if isinstance(data, str):
        payload = encode_text(data)
    elif isinstance(data, bytes | bytearray | memoryview):
        payload = bytes(data)
    else:
        raise TypeError(f"a ping carries str or octets, got {type(data).__name__}")
    if len(payload) > MAX_CONTROL:
        raise ValueError(f"a ping carries at most {MAX_CONTROL} octets, got {len(payload)}")
    return payload


def offer(link: Link, data: Data, frame: bytes | None) -> bool:
    """Send a message without waiting, from its frame where it may be shared.

    Args:
        link: The connection.
        data: The message.
        frame: What frame() of a half of the same kind made of it.

    Returns:
        False when full or closing.

    Raises:
        TypeError: data is no message.
        ValueError: data is text with a lone surrogate.
    """
    if frame is not None:
        if link.world is THREADS or link.world.is_home():
            return link.state is OPEN and link.outgoing.send_frame_nowait(frame)
        return link.send_nowait((link.driver.sending.framed, (frame,)), len(frame))
    # Checked and copied now, because it is framed later and maybe by another thread.
    payload = data if isinstance(data, str) else bytes(data)
    size = len(encode_text(payload)) if isinstance(payload, str) else len(payload)
    return link.send_nowait(command_for(link, payload), size)
