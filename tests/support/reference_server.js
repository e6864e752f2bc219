// npm's ws as a server on an inherited listening socket, for tests/support/reference_server.py.
//
//     node reference_server.js 3 [chain.pem key.pem]
"use strict";

const { createHash } = require("node:crypto");
const { readFileSync } = require("node:fs");
const http = require("node:http");
const https = require("node:https");
const { WebSocketServer } = require("ws");

const [descriptor, chain, key] = process.argv.slice(2);
const BIG = 8 * 2 ** 20;
const SPOKEN = new Set(["chat", "mqtt"]);
const closes = {};

function echo(ws) {
  ws.on("message", (data, isBinary) => ws.send(data, { binary: isBinary }));
}

const TALKS = {
  echo,

  head(ws, request) {
    const raw = request.rawHeaders;
    const headers = [];
    for (let at = 0; at < raw.length; at += 2) {
      headers.push([raw[at].toLowerCase(), raw[at + 1]]);
    }
    const peer = [request.socket.remoteAddress, request.socket.remotePort];
    const protocol = ws.protocol || null;
    ws.send(JSON.stringify({ path: request.url, headers, protocol, peer }));
    echo(ws);
  },

  fragments(ws) {
    for (const [piece, fin] of [["one ", false], ["", false], ["two ", false], ["three", true]]) {
      ws.send(piece, { fin });
    }
    ws.send(Buffer.from([0]), { fin: false });
    ws.send(Buffer.alloc(0), { fin: false });
    ws.send(Buffer.alloc(70000, 0xff), { fin: true });
    echo(ws);
  },

  ping(ws) {
    const sent = Buffer.alloc(124, Buffer.from([0x00, 0xff]));
    ws.once("pong", (data) => ws.send(data.equals(sent) ? "answered" : "wrongly"));
    ws.ping(sent);
    echo(ws);
  },

  both(ws) {
    ws.once("message", (data) => {
      ws.send(createHash("sha256").update(data).digest("hex"));
      echo(ws);
    });
    ws.send(Buffer.alloc(BIG));
  },

  part(ws) {
    ws.once("message", (data) => {
      const [, code, reason] = /^(\d+) ?(.*)$/.exec(data.toString());
      ws.close(Number(code), reason);
    });
  },

  closes(ws) {
    ws.send(JSON.stringify(closes));
    ws.close(1000);
  },
};

function handleProtocols(offered) {
  return [...offered].find((name) => SPOKEN.has(name)) ?? false;
}

const server = chain
  ? https.createServer({ cert: readFileSync(chain), key: readFileSync(key) })
  : http.createServer();
const options = { server, handleProtocols, maxPayload: 0, perMessageDeflate: true };

new WebSocketServer(options).on("connection", (ws, request) => {
  const { pathname, searchParams } = new URL(request.url, "http://127.0.0.1");
  const note = searchParams.get("note");
  ws.on("close", (code, reason) => {
    if (note) closes[note] = [code, reason.toString()];
  });
  TALKS[pathname.slice(1)](ws, request);
});

server.listen({ fd: Number(descriptor) });
