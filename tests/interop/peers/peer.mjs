// The deck's programs in Node.js with the npm package `zeromq`: what actormq's examples must be
// able to talk to.
//
// `node peer.mjs ROLE OPTIONS`, such as `node peer.mjs hello-client --port 5555 --count 10`.
// Knows nothing of actormq. peer.py and peer.c have the same roles, options and printed lines.
// A role that binds takes port 0 for a free one, and prints `bound PORT` for each socket.
// NODE_PATH may name the folder that holds `zeromq`: scripts/peers installs it away from here.

import { once } from "node:events"
import { createRequire } from "node:module"
import { setTimeout as sleep } from "node:timers/promises"
import { parseArgs } from "node:util"

const zmq = createRequire(import.meta.url)("zeromq") // import() does not look into NODE_PATH

const ZIPS = Array.from({ length: 10 }, (_, index) => 10001 + index)
const COLDER = 9940 // 10001 has 61 °F, always: so a test knows what the mean must be
const HUMIDITY = 50
const TASKS = 100
const PAUSE = 1 // ms between two readings: enough for any client, and no load on the machine

const say = (line) => process.stdout.write(`${line}\n`)
const random = (low, high) => low + Math.floor(Math.random() * (high - low + 1))

/** Receive a message, which has to be one frame of text. */
async function read(socket) {
  const frames = await socket.receive()
  if (frames.length !== 1) throw new Error(`expected one frame, not ${frames.length}`)
  return frames[0].toString()
}

async function bound(Kind, port) {
  const socket = new Kind()
  await socket.bind(`tcp://${args.host}:${port}`)
  say(`bound ${socket.lastEndpoint.split(":").pop()}`)
  return socket
}

async function connected(Kind, port) {
  const socket = new Kind()
  socket.connect(`tcp://${args.host}:${port}`)
  return socket
}

const roles = {
  async "hello-server"() {
    const door = await (args.connect ? connected : bound)(zmq.Reply, args.port)
    for (;;) {
      say(await read(door))
      await door.send("World")
    }
  },

  async "hello-client"() {
    const server = await connected(zmq.Request, args.port)
    for (let asked = 0; asked < args.count; asked++) {
      await server.send("Hello")
      say(await read(server))
    }
  },

  async "weather-server"() {
    const feed = await bound(zmq.Publisher, args.port)
    for (;;) {
      for (const zip of ZIPS) {
        await feed.send(`${zip} ${zip - COLDER} ${HUMIDITY}`)
        await sleep(PAUSE)
      }
    }
  },

  async "weather-client"() {
    const feed = await connected(zmq.Subscriber, args.port)
    feed.subscribe(args.zip)
    for (let heard = 0; heard < args.count; heard++) say(await read(feed))
  },

  async ventilator() {
    const tasks = await bound(zmq.Push, args.port)
    await once(process.stdin, "data")
    await tasks.send("0")
    for (let sent = 0; sent < TASKS; sent++) await tasks.send(String(random(1, 3)))
    say(`sent ${TASKS}`)
    // Until the tests have what they want: an end now could lose what is queued.
    if (!process.stdin.readableEnded) await once(process.stdin, "end")
  },

  async worker() {
    const tasks = await connected(zmq.Pull, args.port)
    const results = await connected(zmq.Push, args["sink-port"])
    for (;;) {
      const milliseconds = await read(tasks)
      say(milliseconds)
      await sleep(Number(milliseconds))
      await results.send("")
    }
  },

  async sink() {
    const results = await bound(zmq.Pull, args.port)
    let begun
    for (let received = 0; received < 1 + TASKS; received++) {
      const result = await read(results)
      if (result) throw new Error(`a result is an empty message, not ${result}`)
      begun ??= performance.now()
    }
    say(`elapsed ${Math.round(performance.now() - begun)} ms`)
  },

  async queue() {
    const frontend = await bound(zmq.Router, args["frontend-port"])
    const backend = await bound(zmq.Dealer, args["backend-port"])
    await new zmq.Proxy(frontend, backend).run()
  },

  async proxy() {
    const frontend = await connected(zmq.XSubscriber, args.port)
    const backend = await bound(zmq.XPublisher, args["proxy-port"])
    await new zmq.Proxy(frontend, backend).run()
  },
}

const text = (fallback) => ({ type: "string", default: fallback })
const { positionals, values: args } = parseArgs({
  allowPositionals: true,
  options: {
    host: text("127.0.0.1"),
    port: text("0"),
    "sink-port": text("0"),
    "frontend-port": text("0"),
    "backend-port": text("0"),
    "proxy-port": text("0"),
    connect: { type: "boolean", default: false },
    count: text("10"),
    zip: text("10001"),
  },
})
const role = roles[positionals[0]]
if (!role) {
  console.error(`usage: node peer.mjs ROLE OPTIONS, a role being ${Object.keys(roles).join(", ")}`)
  process.exit(2)
}
await role()
