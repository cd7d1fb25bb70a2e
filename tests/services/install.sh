#!/usr/bin/env bash
# Installs from Debian's packages what the program is built with and what the tests start. As root,
# or as a user who may use sudo. Does nothing, and asks nobody, when all of it is there.
set -euo pipefail
cd "$(dirname "$0")"
export PATH=$PATH:/usr/sbin:/sbin DEBIAN_FRONTEND=noninteractive

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

packages='build-essential ca-certificates curl pkg-config libgdal-dev gdal-bin tmux python3-venv faketime'
# Terminals that show pictures, on a screen that is none, and what looks at it.
packages="$packages xvfb xterm kitty imagemagick fonts-dejavu-core libgl1-mesa-dri"
# shellcheck disable=SC2086 # a list of words
if ! dpkg-query -W -f='${Status}\n' $packages 2>/dev/null | grep -c '^install ok installed$' | grep -qx "$(wc -w <<<"$packages")"; then
    as_root apt-get -o DPkg::Lock::Timeout=900 update -qq
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -o DPkg::Lock::Timeout=900 install -y -qq --no-install-recommends $packages >/dev/null
fi
for tool in ceph-mon ceph-osd radosgw radosgw-admin monmaptool; do
    if ! command -v "$tool" >/dev/null; then
        as_root bash ./ceph-install.sh
        break
    fi
done
