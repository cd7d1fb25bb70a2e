#!/bin/bash
# Installs Ceph's monitor, storage daemon and S3 gateway from Debian's packages, without letting
# the packages start a service. Needs root. Does nothing when they are there.
set -eu
export PATH=$PATH:/usr/sbin:/sbin
missing=
for tool in ceph-mon ceph-osd radosgw radosgw-admin monmaptool curl openssl; do
  command -v "$tool" >/dev/null || missing="$missing $tool"
done
[ -n "$missing" ] || exit 0
export DEBIAN_FRONTEND=noninteractive

# Debian starts what it installs unless a policy says no; ours stays only while we install.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi
apt-get -o DPkg::Lock::Timeout=900 update -q
apt-get -o DPkg::Lock::Timeout=900 install -y -q --no-install-recommends \
  radosgw ceph-mon ceph-osd curl openssl
