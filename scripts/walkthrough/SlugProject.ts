/** A module that makes slugs of titles, and loses their digits; with the checks that it wants. */
const source = `"""Makes slugs of titles."""

import re


def slug(title):
    return re.sub(r"[^a-z]+", "-", title.lower()).strip("-")
`

const tests = `from slugs import slug


def test_words():
    assert slug("Ada Lovelace!") == "ada-lovelace"


def test_digits():
    assert slug("Top 10 tips") == "top-10-tips"
`

const checks = `steps:
  - name: compile
    command: python3 -m compileall -q .
  - name: tests
`

export const slugProject = {
  folder: "slugs",
  files: { "slugs/slugs.py": source, "slugs/test_slugs.py": tests, "slugs/.codegen.yml": checks },
  source: "slugs/slugs.py",
  wrong: `"[^a-z]+"`,
  right: `"[^a-z0-9]+"`,
}
