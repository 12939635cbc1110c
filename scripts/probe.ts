/**
 * Loaded into a node by a bench, before the node itself: answers on a Unix socket what the process takes. The product
 * knows nothing of it.
 */
import { createServer } from "node:http"
import { type Profiler, Session } from "node:inspector"
import { join } from "node:path"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

const session = new Session()
session.connect()

const profile = (): Promise<Profiler.Profile | undefined> =>
  new Promise((resolve) =>
    session.post("Profiler.stop", (error, answer) => resolve(error === null ? answer.profile : undefined)),
  )

const answers: Readonly<Record<string, () => unknown>> = {
  "/usage": () => process.cpuUsage(),
  "/memory": () => {
    setFlagsFromString("--expose-gc")
    const collect = runInNewContext("gc") as () => void
    collect()
    collect()
    return process.memoryUsage()
  },
  "/profile/start": () => {
    session.post("Profiler.enable")
    session.post("Profiler.setSamplingInterval", { interval: 500 })
    session.post("Profiler.start")
    return {}
  },
  "/profile/stop": profile,
}

createServer((request, response) => {
  response.setHeader("connection", "close")
  void Promise.resolve(answers[request.url ?? ""]?.()).then((answer) => response.end(JSON.stringify(answer)))
})
  .listen(join(process.env["BENCH_PROBES"] ?? "", `${process.pid}.sock`))
  .unref()
