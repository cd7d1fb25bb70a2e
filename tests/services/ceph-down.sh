#!/bin/bash
# Stops what ceph-up.sh started, by its pid files. usage: ceph-down.sh DIR
dir=${1:?usage: ceph-down.sh DIR}
for name in client.rgw osd.0 mon.a; do
  pid=$(cat "$dir/run/$name.pid" 2>/dev/null) || continue
  kill -TERM "$pid" 2>/dev/null || continue
  for _ in $(seq 300); do
    kill -0 "$pid" 2>/dev/null || continue 2
    sleep 0.1
  done
  echo "$name ($pid) did not stop within 30 s" >&2
  kill -KILL "$pid"
done
rm -f "$dir/env"
