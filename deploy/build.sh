#!/usr/bin/env bash
# Builds the bot into a bare directory: what the image holds, and nothing else.
#
#   deploy/build.sh DIR [VERSION [BINARY]]     BINARY is a bot that is built already
#
# The result is the same for the same source and Go, wherever it is built.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:?usage: deploy/build.sh DIR [VERSION [BINARY]]}
version=${2:-$(git describe --tags --always --dirty 2>/dev/null || echo unversioned)}

mkdir -p "$out/etc/ssl/certs" "$out/tmp" "$out/data"
if [ -n "${3:-}" ]; then
	cp "$3" "$out/bot"
	chmod 0755 "$out/bot"
else
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.release=$version" -o "$out/bot" ./cmd/bot
fi

# An empty image knows no certificate authorities, no user and no time zones.
for certs in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
	if [ -r "$certs" ]; then
		cp "$certs" "$out/etc/ssl/certs/ca-certificates.crt"
		break
	fi
done
if [ ! -s "$out/etc/ssl/certs/ca-certificates.crt" ]; then
	echo "deploy/build.sh: no certificate authorities on this machine; install ca-certificates" >&2
	exit 1
fi
echo 'nonroot:x:65532:65532::/data:/sbin/nologin' >"$out/etc/passwd"
echo 'nonroot:x:65532:' >"$out/etc/group"
chmod 0700 "$out/data"
chmod 1777 "$out/tmp"
if [ "$(id -u)" = 0 ]; then
	chown 65532:65532 "$out/data"
fi
