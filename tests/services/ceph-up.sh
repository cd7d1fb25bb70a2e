#!/bin/bash
# Starts a single-node Ceph with its S3 gateway on 127.0.0.1, as any user, without systemd.
#
#   usage: ceph-up.sh DIR [PORT=7480] [memstore|bluestore]
#
# HTTP on PORT, HTTPS (for localhost, from the authority DIR/ca.crt) on PORT+2; PORT+1 and PORT+10..PORT+50 are used
# inside. All state, logs and pid files are in DIR, and DIR/env holds the lines that the tests need:
#
#   . DIR/env     exports SECCHI_CEPH, SECCHI_CEPH_TLS, SECCHI_CEPH_CA, SECCHI_CEPH_KEY, SECCHI_CEPH_SECRET
#
# The credentials are for this throw-away server only. Stop it with ceph-down.sh DIR.
set -eu
dir=${1:?usage: ceph-up.sh DIR [PORT] [memstore|bluestore]}
port=${2:-7480}
store=${3:-memstore}
monitor=$((port + 1))
tls=$((port + 2))
internal=$((port + 10))
export PATH=$PATH:/usr/sbin:/sbin

mkdir -p "$dir"/{mon,osd,run,log,rgw}
dir=$(cd "$dir" && pwd)
if [ -s "$dir/env" ] && curl -fs -o /dev/null "http://127.0.0.1:$port/"; then
  cat "$dir/env"
  exit 0
fi
fsid=$(cat /proc/sys/kernel/random/uuid)

# An authority of our own and a certificate from it: rustls refuses a certificate that is both.
curve=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)
openssl req -x509 "${curve[@]}" -days 30 -subj "/CN=throw-away authority" \
  -keyout "$dir/ca.key" -out "$dir/ca.crt" 2>/dev/null
openssl req "${curve[@]}" -subj /CN=localhost -keyout "$dir/tls.key" -out "$dir/tls.csr" 2>/dev/null
printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n' >"$dir/tls.ext"
openssl x509 -req -in "$dir/tls.csr" -CA "$dir/ca.crt" -CAkey "$dir/ca.key" -CAcreateserial -days 30 \
  -extfile "$dir/tls.ext" -out "$dir/tls.crt" 2>/dev/null
cat "$dir/tls.key" "$dir/tls.crt" >"$dir/tls.pem"

# `rgw s3 auth use sts` makes a wrong secret look like AccessDenied, as at many sites.
cat >"$dir/ceph.conf" <<CONF
[global]
fsid = $fsid
mon host = v1:127.0.0.1:$monitor
ms bind msgr2 = false
ms bind port min = $internal
ms bind port max = $((internal + 40))
auth cluster required = none
auth service required = none
auth client required = none
auth supported = none
run dir = $dir/run
admin socket = $dir/run/\$name.asok
pid file = $dir/run/\$name.pid
log file = $dir/log/\$name.log
log to stderr = false
crash dir = $dir/log
setuser match path =
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail crit = 1
mon data avail warn = 2
paxos propose interval = 0.05
paxos min wait = 0.01
osd objectstore = $store
memstore device bytes = ${CEPH_BYTES:-8589934592}
bluestore block size = ${CEPH_BYTES:-10737418240}
bluestore block create = true
osd memory target = 1073741824
[mon.a]
mon data = $dir/mon
[osd.0]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
osd data = $dir/osd
[client.rgw]
rgw data = $dir/rgw
rgw frontends = beast endpoint=127.0.0.1:$port ssl_endpoint=127.0.0.1:$tls ssl_certificate=$dir/tls.pem
rgw thread pool size = 64
rgw dynamic resharding = false
rgw gc obj min wait = 5
rgw gc processor period = 5
rgw gc processor max time = 5
rgw enable usage log = false
rgw s3 auth use sts = ${CEPH_STS:-true}
rgw sts key = abcdefghijklmnop
CONF

conf=(--conf "$dir/ceph.conf" --no-mon-config)
export CEPH_CONF=$dir/ceph.conf
monmaptool --create --clobber --fsid "$fsid" --addv a "[v1:127.0.0.1:$monitor]" "$dir/monmap" >/dev/null
ceph-mon -i a "${conf[@]}" --mkfs --monmap "$dir/monmap"
ceph-mon -i a "${conf[@]}"   # goes to the background and writes run/mon.a.pid, as do the others
osd=$(cat /proc/sys/kernel/random/uuid)
# A monitor answers before it knows its own commands: then it refuses them.
for try in $(seq 50); do
  ceph --connect-timeout 20 osd new "$osd" >/dev/null 2>"$dir/log/new.err" && break
  [ "$try" -lt 50 ] || { cat "$dir/log/new.err" >&2; exit 1; }
  sleep 0.2
done
ceph-osd -i 0 "${conf[@]}" --osd-uuid "$osd" --mkfs >"$dir/log/mkfs.out" 2>&1
ceph-osd -i 0 "${conf[@]}" >"$dir/log/osd.out" 2>&1
radosgw -n client.rgw "${conf[@]}" >"$dir/log/rgw.out" 2>&1

for _ in $(seq 600); do
  curl -fs -o /dev/null "http://127.0.0.1:$port/" && break
  sleep 0.1
done
curl -fs -o /dev/null "http://127.0.0.1:$port/" || { echo "the gateway did not start, see $dir/log" >&2; exit 1; }

key=${CEPH_KEY:-testkey}
secret=${CEPH_SECRET:-testsecret}
radosgw-admin user create --uid=test --display-name=test --access-key="$key" --secret-key="$secret" \
  --caps="roles=*;user-policy=*;oidc-provider=*" >"$dir/user.json" 2>"$dir/log/admin.err"
cat >"$dir/env" <<ENV
export SECCHI_CEPH=http://127.0.0.1:$port
export SECCHI_CEPH_TLS=https://localhost:$tls
export SECCHI_CEPH_CA=$dir/ca.crt
export SECCHI_CEPH_KEY=$key
export SECCHI_CEPH_SECRET=$secret
ENV
cat "$dir/env"
