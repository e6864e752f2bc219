// The servers on Node.js that suite.py compares: node benchmarks/servers.js NAME [CERTIFICATE]
//
// Prints its port, and serves until it is ended, as servers.py does.

"use strict";
const { readFileSync } = require("fs");
const http = require("http");
const https = require("https");

const MOST = 2 ** 26; // octets of a message
const listeners = new Set();

const talk = (request, ws, send) => {
  if (request.url === "/broadcast") listeners.add(ws);
  return (message) => {
    if (listeners.size === 0) return send(ws, message);
    for (const each of listeners) send(each, message);
  };
};

const SERVERS = {
  ws(server) {
    const { WebSocketServer } = require("ws");
    new WebSocketServer({ server, maxPayload: MOST }).on("connection", (ws, request) => {
      const take = talk(request, ws, (to, [data, binary]) => to.send(data, { binary }));
      ws.on("message", (data, isBinary) => take([data, isBinary]));
    });
  },

  "faye-websocket"(server) {
    const WebSocket = require("faye-websocket");
    server.on("upgrade", (request, socket, head) => {
      const ws = new WebSocket(request, socket, head, [], { maxLength: MOST });
      const take = talk(request, ws, (to, data) => to.send(data));
      ws.on("message", (event) => take(event.data));
    });
  },
  // An event to all who listen for each line on the standard input: event_fanout.py.
  feed(server) {
    const { EventSource } = require("faye-websocket");
    const text =
      '{"symbol": "ACME", "price": 101.25, "volume": 1200, "at": "2026-01-01T12:00:00Z"}';
    server.on("request", (request, response) => listeners.add(new EventSource(request, response)));
    process.stdin.on("data", (lines) => {
      for (const _ of lines.toString().matchAll("\n"))
        for (const each of listeners) each.send(text, { id: "7" });
    });
  },
};

const [name, certificate] = process.argv.slice(2);
const pem = certificate && readFileSync(certificate);
const server = pem ? https.createServer({ key: pem, cert: pem }) : http.createServer();
SERVERS[name](server);
server.listen(0, "127.0.0.1", 4096, () => console.log(server.address().port));
