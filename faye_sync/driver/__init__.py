"""Sans-I/O state machines: octets in, events out. No socket, thread or clock."""
