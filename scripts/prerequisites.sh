#!/usr/bin/env bash
# Stops with one line when the machine lacks what setting up needs. PYTHON names the Python to use.
set -euo pipefail

python="${PYTHON:-python3}"

lacking() {
    echo "Kinema needs $1; install it with:  apt install git make python3-venv" >&2
    exit 1
}

command -v git >/dev/null || lacking "git"
command -v "$python" >/dev/null || lacking "Python 3.11 or newer"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Kinema needs Python 3.11 or newer, and $python is $("$python" --version 2>&1); name another with: make PYTHON=python3.12 ..." >&2
    exit 1
}
"$python" -c 'import venv, ensurepip' 2>/dev/null || lacking "Python's venv module"
