// npm's ws and faye-websocket as servers that compress, on an inherited listening socket.
//
//     node deflate_server.js ws 3
//     node deflate_server.js faye 3
//
// The path says on which terms, and how messages are sent back: /forgetting/echo, /bits-9/fragments.
// faye-websocket sends nothing in fragments.
"use strict";

const http = require("node:http");
const FayeWebSocket = require("faye-websocket");
const deflate = require("permessage-deflate");
const { WebSocketServer } = require("ws");

const [package_, descriptor] = process.argv.slice(2);

const WS_TERMS = {
  default: {},
  forgetting: { serverNoContextTakeover: true, clientNoContextTakeover: true },
  "bits-9": { serverMaxWindowBits: 9, clientMaxWindowBits: 9 },
};

const FAYE_TERMS = {
  default: {},
  forgetting: { noContextTakeover: true, requestNoContextTakeover: true },
  "bits-9": { maxWindowBits: 9, requestMaxWindowBits: 9 },
};

function inFragments(ws, data, binary) {
  const size = 1000;
  for (let at = 0; at < data.length - size; at += size) {
    ws.send(data.subarray(at, at + size), { binary, fin: false });
  }
  ws.send(data.subarray(Math.max(0, Math.ceil(data.length / size) - 1) * size), { binary });
}

function wsUpgrades() {
  const servers = {};
  for (const [terms, options] of Object.entries(WS_TERMS)) {
    const perMessageDeflate = { threshold: 0, ...options };
    servers[terms] = new WebSocketServer({ noServer: true, maxPayload: 0, perMessageDeflate });
  }
  return (request, socket, head) => {
    const [, terms, how] = request.url.split("/");
    servers[terms].handleUpgrade(request, socket, head, (ws) => {
      ws.on("message", (data, binary) =>
        how === "fragments" ? inFragments(ws, data, binary) : ws.send(data, { binary }),
      );
    });
  };
}

function fayeUpgrades() {
  return (request, socket, head) => {
    const terms = FAYE_TERMS[request.url.split("/")[1]];
    const extensions = [deflate.configure({ ...terms })];
    const ws = new FayeWebSocket(request, socket, head, [], { extensions });
    ws.on("message", (event) => ws.send(event.data));
  };
}

const server = http.createServer();
server.on("upgrade", package_ === "ws" ? wsUpgrades() : fayeUpgrades());
server.listen({ fd: Number(descriptor) });
