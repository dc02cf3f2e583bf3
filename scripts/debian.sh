#!/usr/bin/env bash
# What the tests drive and no registry of a language carries: Chromium for the pages, Redis and memcached behind the Cache
# port, Prometheus with promtool. Installs it where that can be done unasked, else says what to install.
set -euo pipefail
PATH="$PATH:/usr/sbin:/sbin"

declare -A package=([chromium]=chromium [redis-server]=redis-server [memcached]=memcached [promtool]=prometheus)
missing=()
for program in "${!package[@]}"; do
    command -v "$program" >/dev/null || missing+=("${package[$program]}")
done
if [ ${#missing[@]} = 0 ]; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing ${missing[*]} for the tests"
    export DEBIAN_FRONTEND=noninteractive
    # Of no runlevel are these services, so none of them is started: the tests start their own.
    export RUNLEVEL=1
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    exit 0
fi
echo "The tests need ${missing[*]}; install with:  apt install ${missing[*]}" >&2
exit 1
