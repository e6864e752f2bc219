"""Follow a feed for as long as it takes: whenever a connection opens, it subscribes again.

The server is any that takes {"subscribe": [...]} as the first message:

    python examples/ticker.py wss://example.com/feed EURUSD GBPUSD
"""

import json
import sys

from faye_sync import Client, Reconnect

# A feed that is silent for a minute counts as dead, though the server answers pings.
POLICY = Reconnect(initial=1, maximum=30, idle=60)


def main(url, *symbols):
    ws = Client(url, reconnect=POLICY)

    @ws.on("open")
    def subscribe(event):
        ws.send(json.dumps({"subscribe": symbols}))

    @ws.on("reconnect")
    def tell(event):
        print(f"again in {event.delay:.1f} s: {event.error}", file=sys.stderr)

    with ws:
        for message in ws:
            print(message)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        # Ctrl-C is how one leaves; the server was told 1001.
        sys.exit(130)
