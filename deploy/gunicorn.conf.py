"""Settings of gunicorn for WebSockets and event streams.

    gunicorn --config deploy/gunicorn.conf.py chat:app

Connections leave their call, so that a few threads hold thousands of them."""

bind = "127.0.0.1:8000"
worker_class = "gthread"

# More than one only where it does not matter which of them a client reaches.
workers = 1
# Calls at once: pages, and handshakes.
threads = 8

# Seconds that a worker has to end at a reload or a stop. Its connections hear 1001 at once.
graceful_timeout = 10
# Seconds without a sign of life after which a worker is killed.
timeout = 30
