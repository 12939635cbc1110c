import { assert, describe, it } from "@effect/vitest"
import { Cause, Config, ConfigProvider, Duration, Effect, LogLevel, Option } from "effect"
import { explain } from "../src/node/StartFailure.ts"
import { describeSettings, settings } from "../src/Settings.ts"

const given = (values: Readonly<Record<string, string>>) =>
  Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(values))))

/** What a person reads where this setting stops the start. */
const refusal = (values: Readonly<Record<string, string>>, config: Config.Config<unknown>) =>
  config.pipe(
    given(values),
    Effect.flip,
    Effect.map((error) => explain(Cause.fail(error))),
  )

describe("Settings", () => {
  it.effect("says what is wrong in a setting of several parts in one line, with its name", () =>
    Effect.gen(function* () {
      const said = yield* refusal({ NETWORK_MAX: "bad host!" }, settings.networkMax.config)
      assert.match(said, /^NETWORK_MAX: .* is no host, .*See codegen-mcp --help\.$/)
    }),
  )

  it.effect("gives every setting but DATABASE_URL a default", () =>
    Effect.gen(function* () {
      const { databaseUrl: _, ...others } = settings
      for (const { config } of Object.values(others) as ReadonlyArray<{ config: Config.Config<unknown> }>) {
        yield* config.pipe(given({}))
      }
      assert.strictEqual(
        yield* refusal({}, settings.databaseUrl.config),
        "DATABASE_URL must be set. See codegen-mcp --help.",
      )
    }),
  )

  it.effect("has the defaults that it prints", () =>
    Effect.gen(function* () {
      const values = yield* Config.all({
        host: settings.httpHost.config,
        port: settings.httpPort.config,
        tokens: settings.apiTokens.config,
        runtime: settings.sandboxRuntime.config,
        lease: settings.connectionLease.config,
        output: settings.outputLimit.config,
        level: settings.logLevel.config,
      }).pipe(given({}))
      assert.deepStrictEqual(values, {
        host: "127.0.0.1",
        port: 8080,
        tokens: [],
        runtime: Option.none(),
        lease: Duration.minutes(10),
        output: 1024 * 1024,
        level: LogLevel.Info,
      })
      assert.match(describeSettings(), /HTTP_PORT +.*\[8080\]/)
      assert.match(describeSettings(), /CONNECTION_LEASE +.*\[10 minutes\]/)
      assert.match(describeSettings(), /DATABASE_URL +.*\[required\]/)
    }),
  )

  it.effect("reads values, and lists without their spaces and empty parts", () =>
    Effect.gen(function* () {
      const values = yield* Config.all([
        settings.allowedHosts.config,
        settings.idleTimeout.config,
        settings.sandboxCpus.config,
      ]).pipe(
        given({ ALLOWED_HOSTS: " a.example , ,b:80,", IDLE_TIMEOUT: "90 seconds", SANDBOX_CPUS: "0.5" }),
      )
      assert.deepStrictEqual(values, [["a.example", "b:80"], Duration.seconds(90), 0.5])
    }),
  )

  it.effect("takes an empty text for one that is not set", () =>
    Effect.gen(function* () {
      const values = yield* Config.all([settings.httpHost.config, settings.dockerHost.config]).pipe(
        given({ HTTP_HOST: "", DOCKER_HOST: "" }),
      )
      assert.deepStrictEqual(values, ["127.0.0.1", Option.none()])
    }),
  )

  const wrong: ReadonlyArray<readonly [name: string, value: string]> = [
    ["DATABASE_URL", ""],
    ["DATABASE_URL", "not a url"],
    ["DATABASE_POOL", "0"],
    ["DATABASE_POOL", "ten"],
    ["HTTP_PORT", "70000"],
    ["HTTP_PORT", ""],
    ["MAX_BODY", "1.5"],
    ["SANDBOX_CPUS", "0"],
    ["SANDBOX_CPUS", "Infinity"],
    ["SANDBOX_PIDS", "15"],
    ["SANDBOX_FIRST_UID", "0"],
    ["COMMAND_TIMEOUT", "soon"],
    ["COMMAND_TIMEOUT", "0 seconds"],
    ["COMMAND_TIMEOUT", "Infinity"],
    ["LOG_LEVEL", "loud"],
  ]
  for (const [name, value] of wrong) {
    it.effect(`refuses ${name}=${JSON.stringify(value)} in one line that names it`, () =>
      Effect.gen(function* () {
        const found = Object.values(settings).find((setting) => setting.name === name)!
        const message = yield* refusal({ [name]: value }, found.config)
        assert.match(message, new RegExp(`^${name}\\b`))
        assert.notInclude(message, "\n")
        assert.notMatch(message, /\bat .*\.ts/)
      }),
    )
  }

  it("lists every setting once, with its meaning, one a line", () => {
    const lines = describeSettings().split("\n")
    const names = Object.values(settings).map(({ name }) => name)
    assert.deepStrictEqual(
      lines.map((line) => line.trim().split(/\s+/)[0]),
      names,
    )
    assert.strictEqual(new Set(names).size, names.length)
    for (const { meaning } of Object.values(settings)) assert.include(describeSettings(), meaning)
  })
})
