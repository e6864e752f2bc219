"""Chat from a terminal: a line you type goes out, what comes is printed, Ctrl-D leaves.

python examples/client.py "ws://127.0.0.1:8000/chat?name=Ada"  # of examples/flask_echo.py
"""

import sys

from faye_sync import Client

SENTENCES = {
    "join": "{name} joined, {present} present",
    "leave": "{name} left, {present} present",
    "say": "{name}: {text}",
}


def show(event):
    try:
        news = event.json()
        print(SENTENCES[news["kind"]].format(**news))
    except (ValueError, TypeError, LookupError):
        print(event.data)  # some other server's


with Client(sys.argv[1]) as ws:
    ws.on("message", show)
    ws.on("close", lambda event: print("closed:", event.code, event.reason or event.cause))
    ws.start()
    for line in sys.stdin:
        if not ws.send(line.rstrip("\n")):
            break
