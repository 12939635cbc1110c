/** A module that reads durations, and does not know all of its units. */
import type { SampleProject } from "./SampleProject.ts"

const source = `"""Reads durations such as 1h30m."""

import re

UNITS = {"m": 60, "h": 3600}


def seconds(text):
    """The number of seconds that \`text\` stands for."""
    return sum(int(count) * UNITS[unit] for count, unit in re.findall(r"(\\d+)([smhd])", text))
`

const tests = `from durations import seconds


def test_hours_and_minutes():
    assert seconds("1h30m") == 5400


def test_seconds():
    assert seconds("90s") == 90


def test_days():
    assert seconds("2d12h") == 216000
`

const settings = `[tool.pytest.ini_options]
pythonpath = ["src"]
`

export const pythonProject: SampleProject = {
  language: "Python",
  folder: "durations",
  files: {
    "durations/pyproject.toml": settings,
    "durations/src/durations.py": source,
    "durations/tests/test_durations.py": tests,
  },
  test: "pytest",
  red: /2 failed, 1 passed/,
  failure: /^(?<file>src\/\S+\.py):(?<line>\d+): (?<error>\w+)$/m,
  wrong: `UNITS = {"m": 60, "h": 3600}`,
  right: `UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}`,
  green: /3 passed/,
}
