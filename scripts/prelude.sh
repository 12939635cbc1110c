# Sourced by the launchers beside it, with the repository as working directory: an able Node,
# the dependencies of the lock file, and a fresh build. Several launchers may run at once.

if ! command -v node >/dev/null 2>&1; then
  echo "Node is not installed. Install Node 20.19 or later (https://nodejs.org), then run this again." >&2
  exit 1
fi
node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' || {
  echo "Node $(node --version) is too old. Install Node 20.19 or later (https://nodejs.org), then run this again." >&2
  exit 1
}

mkdir -p .codegen/log
exec 9>.codegen/build.lock
if command -v flock >/dev/null 2>&1; then flock 9; fi
# Not `npm ci`: it refuses a lock file that lacks binaries for systems other than the one it was written on.
# What it promises holds all the same: nothing is saved, and afterwards everything is what the lock file names.
if ! node scripts/installed.mjs; then
  echo "· Installing the dependencies of package-lock.json (npm install) …" >&2
  { npm install --no-save --no-audit --no-fund >.codegen/log/npm-install.log 2>&1 && node scripts/installed.mjs; } || {
    tail -n 15 .codegen/log/npm-install.log >&2
    echo "The dependencies could not be installed. Check that this machine reaches its npm registry; the log is .codegen/log/npm-install.log." >&2
    exit 1
  }
fi
node scripts/build.mjs || exit 1
exec 9>&-
