// The servers on Node.js that suite.py compares: node benchmarks/servers.js ws|faye-websocket
//
// Prints its port, and serves until it is ended, as servers.py does.

"use strict";
const http = require("http");

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
};

const server = http.createServer();
SERVERS[process.argv[2]](server);
server.listen(0, "127.0.0.1", 4096, () => console.log(server.address().port));
