// The client of tests/interop/test_node_ws.py: it tries npm's ws against one style of one server.
//
//     node ws_client.js ws://127.0.0.1:PORT/style NOTE PATIENCE
//
// Prints one JSON object: what it saw for each of TRIALS, or {"failed": why}. The server's
// connections are called NOTE-name there.
"use strict";

const { once } = require("node:events");
const WebSocket = require("ws");

const [base, note, patience] = process.argv.slice(2);
const SIZES = [0, 1, 125, 126, 65535, 65536, 1 << 20];

async function open(what, protocols = [], options = {}) {
  const ws = new WebSocket(`${base}/${what}`, protocols, options);
  await once(ws, "open");
  return ws;
}

async function close(ws) {
  const closed = once(ws, "close");
  ws.close(1000);
  await closed;
}

function nextMessage(ws) {
  return new Promise((resolve, reject) => {
    ws.once("message", (data, isBinary) => resolve({ data, isBinary }));
    ws.once("close", (code) => reject(new Error(`closed with ${code}`)));
  });
}

function textOf(size) {
  return "aé€😀".repeat(Math.floor(size / 10)) + "z".repeat(size % 10);
}

function octetsOf(size) {
  return Buffer.from(Uint8Array.from({ length: size }, (_, i) => i % 251));
}

async function comesBack(ws, message) {
  const isText = typeof message === "string";
  const received = nextMessage(ws);
  ws.send(message);
  const { data, isBinary } = await received;
  return isBinary !== isText && data.equals(Buffer.from(message));
}

const TRIALS = {
  async messages() {
    const ws = await open("echo");
    const seen = {};
    for (const size of SIZES) {
      seen[`text-${size}`] = await comesBack(ws, textOf(size));
      seen[`octets-${size}`] = await comesBack(ws, octetsOf(size));
    }
    await close(ws);
    return seen;
  },

  async fragments() {
    const ws = await open("echo");
    const received = nextMessage(ws);
    ws.send("one ", { fin: false });
    ws.send("", { fin: false });
    ws.ping("within");
    const [pong] = await once(ws, "pong");
    ws.send("two ", { fin: false });
    ws.send("three", { fin: true });
    const { data } = await received;
    await close(ws);
    return { pong: pong.toString(), message: data.toString() };
  },

  async ping() {
    const ws = await open("echo");
    ws.ping(Buffer.alloc(125, "p"));
    const [pong] = await once(ws, "pong");
    await close(ws);
    return pong.toString();
  },

  async clientCloses() {
    const ws = await open(`echo?note=${note}-clientCloses`);
    ws.close(4001, "bis später");
    const [code] = await once(ws, "close");
    return code;
  },

  async serverCloses() {
    const ws = await open(`part?note=${note}-serverCloses`);
    ws.send("4003 bis später");
    const [code, reason] = await once(ws, "close");
    return [code, reason.toString()];
  },

  async subprotocol() {
    const ws = await open("echo?protocols=chat,other", ["mqtt", "chat"]);
    await close(ws);
    return ws.protocol;
  },

  async compression() {
    const seen = {};
    const finishRequest = (request, ws) => {
      seen.offered = request.getHeader("Sec-WebSocket-Extensions");
      ws.once("upgrade", (answer) => {
        seen.answered = answer.headers["sec-websocket-extensions"] ?? null;
      });
      request.end();
    };
    const ws = await open("echo", [], { finishRequest });
    seen.comesBack = await comesBack(ws, "plain");
    await close(ws);
    return seen;
  },
};

function inTime(trial) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing after ${patience} s`)), patience * 1000);
  });
  return Promise.race([trial(), late]).finally(() => clearTimeout(timer));
}

async function main() {
  const seen = {};
  for (const [name, trial] of Object.entries(TRIALS)) {
    seen[name] = await inTime(trial).catch((error) => ({ failed: String(error) }));
  }
  // What a failed trial left open does not keep the process.
  process.stdout.write(JSON.stringify(seen), () => process.exit(0));
}

main();
