#!/usr/bin/env bash
# All tests, as CI runs them: form, lints, documentation, then the tests against a real Ceph
# gateway and a real Python reader of GeoParquet. Asks nothing and needs no terminal.
#
#   bash tests/run.sh                 everything
#   bash tests/run.sh -E 'test(x)'    arguments go to the test runner
#
# SECCHI_SERVICES=off leaves Ceph and Python out; the tests that need them then say that they are skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

step_name=
step_start=0
timings=()
step() { # NAME: ends the step before and begins this one
    if [ -n "$step_name" ]; then
        timings+=("$(printf '%5d s  %s' $((SECONDS - step_start)) "$step_name")")
    fi
    step_name=${1:-}
    step_start=$SECONDS
    if [ -n "$step_name" ]; then printf '\n== %s\n' "$step_name"; fi
}

work=$(mktemp -d)
ceph=
finish() {
    status=$?
    trap - EXIT
    if [ -n "$ceph" ]; then bash tests/services/ceph-down.sh "$ceph" >/dev/null 2>&1 || true; fi
    rm -rf "$work" || true
    step ''
    printf '\n'
    printf '%s\n' "${timings[@]}"
    if [ "$status" = 0 ]; then echo 'all is well'; else echo "failed in: ${failed:-the last step}" >&2; fi
    exit "$status"
}
trap 'failed=$step_name' ERR
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto}
if [ -z "${SECCHI_DATA:-}" ] && [ -d ../shared/data ]; then
    SECCHI_DATA=$(cd ../shared/data && pwd)
    export SECCHI_DATA
fi

if [ "${SECCHI_SERVICES:-on}" != off ]; then
    step 'packages'
    bash tests/services/install.sh
fi

if ! cargo nextest --version >/dev/null 2>&1; then
    step 'the test runner'
    cargo install cargo-nextest --locked
fi

step 'form'
cargo fmt --check
step 'lints'
cargo clippy --all-targets --locked -- -D warnings
step 'documentation'
RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --locked --document-private-items

if [ "${SECCHI_SERVICES:-on}" != off ]; then
    step 'Python with geopandas and xarray'
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --quiet --disable-pip-version-check geopandas pyarrow xarray zarr
    export SECCHI_PYTHON="$work/venv/bin/python"

    step 'Ceph'
    ceph="$work/ceph"
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    bash tests/services/ceph-up.sh "$ceph" "$port" </dev/null
    # Exports SECCHI_CEPH, SECCHI_CEPH_KEY and SECCHI_CEPH_SECRET of this throw-away gateway.
    . "$ceph/env"
fi

step 'tests'
cargo nextest run --locked "$@" </dev/null
