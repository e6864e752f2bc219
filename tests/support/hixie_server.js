// websocket-driver 0.7 as a server that echoes, on an inherited listening socket, for
// tests/interop/test_hixie.py. 0.7.5 is the last one that speaks the drafts without being asked to.
//
//     node hixie_server.js 3 MAX_LENGTH
"use strict";

const http = require("node:http");
const websocketDriver = require("websocket-driver-0.7");

const [descriptor, maxLength] = process.argv.slice(2).map(Number);

http
  .createServer()
  .on("upgrade", (request, socket, body) => {
    const driver = websocketDriver.http(request, { maxLength });
    socket.pipe(driver.io).pipe(socket);
    driver.on("close", () => socket.end());
    // Half a connection is left open where nobody ends the other half.
    socket.on("end", () => socket.end());
    socket.on("error", () => socket.destroy());
    driver.on("message", (event) => driver.text(event.data));
    driver.start();
    driver.io.write(body);
  })
  .listen({ fd: descriptor });
