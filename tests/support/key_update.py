"""Have OpenSSL change its keys (RFC 8446 4.6.3), which Python's ssl has no name for."""

from __future__ import annotations

import _ssl
import ctypes
import ssl

from tests.support.parts import require

REQUESTED = 1  # of SSL_KEY_UPDATE_*: the other end is to answer with one of its own


class _SslObject(ctypes.Structure):
    """How CPython's _ssl lays out what an SSLObject holds."""

    _fields_ = [
        ("head", ctypes.c_byte * object.__basicsize__),
        ("socket", ctypes.c_void_p),
        ("ssl", ctypes.c_void_p),
    ]


def update_keys(tls: ssl.SSLObject) -> None:
    """Put a KeyUpdate that asks for one into what tls has to send."""
    try:
        update = ctypes.CDLL(_ssl.__file__).SSL_key_update
    except (AttributeError, OSError) as error:
        require("SSL_key_update", str(error))
    update.argtypes = (ctypes.c_void_p, ctypes.c_int)
    assert update(_SslObject.from_address(id(tls._sslobj)).ssl, REQUESTED) == 1
    tls.do_handshake()
