#!/bin/sh
# A certificate for a first try: self-signed.sh HOST. Browsers will warn; use a real one to serve.
set -eu
host=${1:?usage: self-signed.sh HOST}
directory=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
umask 077
openssl req -x509 -newkey rsa:2048 -nodes -days 90 -subj "/CN=$host" \
    -addext "subjectAltName=DNS:$host" \
    -keyout "$directory/privkey.pem" -out "$directory/fullchain.pem" 2>/dev/null
# nginx runs as another user than the one who made the files.
chmod 644 "$directory/fullchain.pem" "$directory/privkey.pem"
echo "made $directory/fullchain.pem and privkey.pem for $host"
