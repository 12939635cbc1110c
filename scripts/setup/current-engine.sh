# current-engine.sh ROOT DATA SOCKETS GROUP: process 1 of a Docker engine that lives in the Debian system ROOT, keeps all
# that it has in DATA, and listens on SOCKETS/docker.sock, and puts containers below the control group GROUP. It is started in namespaces of its own for mounts,
# network and processes, so that whatever it mounts and starts goes with it. SIGTERM ends it, SIGHUP starts the
# daemon again.
set -eu
root=$1 data=$2 sockets=$3 group=$4

mount --make-rprivate /
mount --bind "$root" "$root"
mkdir -p "$root/outside" "$root/sockets" "$root/etc/docker" "$root/var/lib/docker"
mount --bind "$data" "$root/var/lib/docker"
mount --bind "$sockets" "$root/sockets"
for folder in dev sys; do mount --rbind "/$folder" "$root/$folder"; done
mount -t proc proc "$root/proc"
for folder in run tmp; do mount -t tmpfs tmpfs "$root/$folder"; done
# gVisor takes a network namespace of this engine for the machine's, and refuses it; sandboxes have no network anyway.
cat >"$root/etc/docker/daemon.json" <<'JSON'
{ "runtimes": { "runsc": { "path": "/usr/bin/runsc", "runtimeArgs": ["--platform=systrap", "--network=none"] } } }
JSON
cd "$root"
pivot_root . outside
umount --lazy /outside

serve() {
  dockerd --bridge none --iptables=false --cgroup-parent "/$group" --host unix:///sockets/docker.sock &
  daemon=$!
}
again=
trap 'again= && kill "$daemon"' TERM
trap 'again=yes && kill "$daemon"' HUP
serve
# This shell takes what the daemon's children leave behind, until the daemon ends.
while :; do
  while kill -0 "$daemon" 2>/dev/null; do wait "$daemon" || true; done
  [ -n "$again" ] || break
  again=
  serve
done
