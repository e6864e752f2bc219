"""Print the events of a stream as they come; it comes again by itself, and misses none.

    python examples/sse_client.py http://127.0.0.1:8000/load  # of examples/flask_events.py

With --post it sends JSON, once, and prints the answer as it is written, as the streaming APIs of
language models want it:

    python examples/sse_client.py https://api.example.com/v1/chat/completions \\
        --header "Authorization: Bearer $KEY" \\
        --post '{"model": "m", "stream": true, "messages": [{"role": "user", "content": "Hi"}]}'
"""

import argparse
import json
import sys

from faye_sync import EventSourceClient, EventSourceError


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("url")
    parser.add_argument("--post", type=json.loads, metavar="JSON", help="the body of a POST")
    parser.add_argument("--header", action="append", default=[], metavar="NAME: VALUE")
    parser.add_argument("--after", default="", metavar="ID", help="the last event you have")
    asked = parser.parse_args()
    events = EventSourceClient(
        asked.url,
        method="GET" if asked.post is None else "POST",
        json=asked.post,
        headers=dict(header.split(": ", 1) for header in asked.header),
        last_event_id=asked.after,
    )
    events.on("open", lambda _: note(f"open: {events.url}"))
    events.on("reconnect", lambda again: note(f"{again.error}; again in {again.delay:.1f} s"))
    show = show_token if asked.post else show_event
    try:
        with events:
            for event in events:
                show(event)
    except KeyboardInterrupt:
        note(f"stopped; go on with --after {events.last_event_id!r}")
    except (EventSourceError, OSError) as error:
        sys.exit(f"{error}\n{getattr(error, 'body', b'').decode(errors='replace')}")


def show_event(event):
    print(f"{event.last_event_id:>10}  {event.type:10}  {event.data}", flush=True)


def show_token(event):
    """Print what an answer goes on with; anything else as it is."""
    try:
        print(event.json()["choices"][0]["delta"].get("content") or "", end="", flush=True)
    except (ValueError, LookupError, TypeError, AttributeError):
        print(event.data, flush=True)


def note(text):
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
