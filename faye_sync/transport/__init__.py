"""The only files that touch sockets."""
