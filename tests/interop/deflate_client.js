// The clients of tests/interop/test_deflate_as_server.py: npm's ws and faye-websocket, which compress,
// against one style of one server.
//
//     node deflate_client.js ws|faye ws://127.0.0.1:PORT/style PATIENCE
//
// Prints one JSON object: for each of TERMS what it saw in each of TRIALS, or {"failed": why}.
"use strict";

const { randomBytes } = require("node:crypto");
const FayeWebSocket = require("faye-websocket");
const deflate = require("permessage-deflate");
const WebSocket = require("ws");

const [package_, base, patience] = process.argv.slice(2);
const SIZES = [0, 1, 125, 126, 65535, 65536];
const LARGE = 1 << 20;

// What the server is told to want, and what each client wants.
const TERMS = {
  default: ["default", {}, {}],
  "server-forgets": ["forgetting", {}, {}],
  "server-bits-9": ["bits-9", {}, {}],
  "server-threshold-0": ["threshold-0", {}, {}],
  "client-forgets": [
    "default",
    { clientNoContextTakeover: true, serverNoContextTakeover: true },
    { noContextTakeover: true, requestNoContextTakeover: true },
  ],
  "client-bits-9": [
    "default",
    { clientMaxWindowBits: 9, serverMaxWindowBits: 9 },
    { maxWindowBits: 9, requestMaxWindowBits: 9 },
  ],
};

// One interface for both: send, next, close.
class OfWs {
  constructor(url, [, options]) {
    this.queue = new Arrivals();
    const perMessageDeflate = { threshold: 0, ...options };
    this.ws = new WebSocket(url, [], { perMessageDeflate });
    this.opened = new Promise((resolve, reject) => this.ws.on("open", resolve).on("error", reject));
    this.ws.on("upgrade", (answer) => (this.answer = answer.headers["sec-websocket-extensions"]));
    this.ws.on("message", (data, isBinary) => this.queue.put(isBinary ? data : data.toString()));
    this.ws.on("close", (code) => this.queue.fail(new Error(`closed with ${code}`)));
  }

  get isCompressed() {
    return this.ws.extensions === "permessage-deflate";
  }
}

class OfFaye {
  constructor(url, [, , options]) {
    this.queue = new Arrivals();
    const extensions = [deflate.configure({ ...options })];
    this.ws = new FayeWebSocket.Client(url, [], { extensions });
    this.opened = new Promise((resolve, reject) => {
      this.ws.on("open", resolve);
      this.ws.on("error", (event) => reject(new Error(event.message)));
    });
    this.ws.on("message", ({ data }) => this.queue.put(data));
    this.ws.on("close", ({ code }) => this.queue.fail(new Error(`closed with ${code}`)));
  }

  get answer() {
    return this.ws.headers["sec-websocket-extensions"];
  }

  get isCompressed() {
    return this.answer.startsWith("permessage-deflate");
  }
}

// Messages that came, for who waits for the next.
class Arrivals {
  constructor() {
    this.came = [];
    this.waiting = [];
    this.failure = null;
  }

  put(message) {
    const first = this.waiting.shift();
    first ? first.resolve(message) : this.came.push(message);
  }

  fail(error) {
    this.failure = error;
    for (const { reject } of this.waiting.splice(0)) reject(error);
  }

  next() {
    if (this.came.length) return Promise.resolve(this.came.shift());
    if (this.failure) return Promise.reject(this.failure);
    return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
  }
}

async function open(what, terms) {
  const client = package_ === "ws" ? OfWs : OfFaye;
  const opened = new client(`${base}/${terms[0]}/${what}`, terms);
  await opened.opened;
  return opened;
}

async function close(client) {
  const closed = new Promise((resolve) => client.ws.on("close", resolve));
  client.ws.close(1000);
  await closed;
}

function textOf(size) {
  return "aé€😀".repeat(Math.floor(size / 10)) + "z".repeat(size % 10);
}

function record(number) {
  const values = Array.from({ length: 20 }, (_, at) => (number * 7919 + at * 104729) % 1000003);
  return JSON.stringify({ number, values, name: "Grüße aus 東京" });
}

function isSame(one, other) {
  if (typeof one === "string" || typeof other === "string") return one === other;
  return Buffer.from(one).equals(Buffer.from(other));
}

async function comesBack(client, message) {
  client.ws.send(message);
  return isSame(await client.queue.next(), message);
}

async function countSame(client, messages) {
  let count = 0;
  for (const message of messages) count += await comesBack(client, message);
  return count;
}

const TRIALS = {
  async agreement(terms) {
    const client = await open("echo", terms);
    const seen = { isCompressed: client.isCompressed, answer: client.answer };
    await close(client);
    return seen;
  },

  async sizes(terms) {
    const client = await open("echo", terms);
    const sizes = terms === TERMS.default ? [...SIZES, LARGE] : SIZES;
    const messages = sizes.flatMap((size) => [textOf(size), Buffer.alloc(size, 7), randomBytes(size)]);
    const missing = messages.length - (await countSame(client, messages));
    await close(client);
    return missing;
  },

  async inARow(terms) {
    const client = await open("echo", terms);
    const messages = Array.from({ length: 200 }, (_, number) => record(number));
    for (const message of messages) client.ws.send(message);
    let missing = 0;
    for (const message of messages) missing += !isSame(await client.queue.next(), message);
    await close(client);
    return missing;
  },

  // The server sends each message on while it comes.
  async parts(terms) {
    const client = await open("parts", terms);
    const messages = [textOf(150000), randomBytes(150000), record(1), record(2)];
    const missing = messages.length - (await countSame(client, messages));
    await close(client);
    return missing;
  },

  // What the server sends is plain.
  async plain(terms) {
    const client = await open("plain", terms);
    const messages = Array.from({ length: 20 }, (_, number) => record(number));
    const missing = messages.length - (await countSame(client, messages));
    await close(client);
    return missing;
  },
};

if (package_ === "ws") {
  TRIALS.fragments = async (terms) => {
    const client = await open("echo", terms);
    const pongs = [];
    client.ws.on("pong", (data) => pongs.push(data.toString()));
    const parts = Array.from({ length: 50 }, (_, number) => record(number));
    for (const [number, part] of parts.entries()) {
      client.ws.ping(String(number));
      client.ws.send(part, { fin: number === parts.length - 1 });
    }
    const came = await client.queue.next();
    await close(client);
    const missing = (came !== parts.join("")) + parts.length - pongs.length;
    return missing;
  };

  TRIALS.compressedAndNot = async (terms) => {
    const client = await open("echo", terms);
    let missing = 0;
    for (let number = 0; number < 40; number++) {
      client.ws.send(record(number), { compress: number % 3 !== 0 });
      missing += !isSame(await client.queue.next(), record(number));
    }
    await close(client);
    return missing;
  };
}

function inTime(promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing after ${patience} s`)), patience * 1000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function main() {
  const seen = {};
  for (const [name, terms] of Object.entries(TERMS)) {
    seen[name] = {};
    for (const [trial, run] of Object.entries(TRIALS)) {
      seen[name][trial] = await inTime(run(terms)).catch((error) => ({ failed: String(error) }));
    }
  }
  // What a failed trial left open does not keep the process.
  process.stdout.write(JSON.stringify(seen), () => process.exit(0));
}

main();
