#!/usr/bin/env bash
# Checks what the bot is deployed with: the manifests and Compose files against their
# schemas, and the image's contents by running them with nothing else there to be read.
#
#   deploy/check.sh
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "== manifests"
(
	cd validate
	go mod verify
	go vet ./...
	go test -count=1 ./... # what it reads is outside of its module
	go run . kubernetes ../kubernetes/*.yaml
	go run . compose ../compose*.yaml
	go run . helm ../helm/meetbot
)

echo "== alerts"
if command -v promtool >/dev/null; then
	promtool check rules alerts/meetbot.rules.yaml
	promtool test rules alerts/meetbot.rules.test.yaml
else
	echo "skipped: no promtool in PATH (Debian: apt-get install prometheus), so nobody knows when the alerts fire" >&2
fi

echo "== release tools"
(
	cd release
	go mod verify
	go vet ./...
	go test ./...
)

echo "== Dockerfile"
# A base that may change under its name is not to be built on: no default, and a check.
if grep -nE '^FROM ' ../Dockerfile | grep -vE 'FROM (scratch|\$\{?GO_IMAGE\}?)( AS [a-z]+)?$'; then
	echo "Dockerfile: every base is scratch, or GO_IMAGE, which the operator pins by digest" >&2
	exit 1
fi

echo "== the image, unpacked from its layout and run as nobody in a root of its own"
./build.sh "$work/built" check
(cd release && go build -o "$work/release" .)
"$work/release" sbom "$work/built/bot" >"$work/sbom.json"
"$work/release" oci "$work/oci.tar" check "$work/built" "$work/sbom.json"
mkdir "$work/image"
"$work/release" unpack "$work/oci.tar" "linux/$(go env GOARCH)" "$work/image"
unexpected=$(cd "$work/image" && find . -type f | sort | grep -vxE './(bot|etc/passwd|etc/group|etc/ssl/certs/ca-certificates.crt)' || true)
[ -z "$unexpected" ] || { echo "not expected in the image: $unexpected" >&2; exit 1; }
if [ "$(id -u)" = 0 ]; then
	chmod 0755 "$work"
	inside() { env -i DATA_DIR=/data "$(command -v chroot)" --userspec=65532:65532 "$work/image" /bot "$@"; }
elif unshare --user --map-root-user true 2>/dev/null; then
	# Root of a user namespace is the caller outside of it.
	inside() { env -i DATA_DIR=/data "$(command -v unshare)" --user --map-root-user "$(command -v chroot)" "$work/image" /bot "$@"; }
else
	echo "skipped: neither root nor user namespaces here, so the image cannot be entered" >&2
	exit 0
fi
inside version
printf '/meet from the image\n/meet list\n' | inside >"$work/session" 2>"$work/log" || {
	cat "$work/session" "$work/log" >&2
	exit 1
}
grep -q '^│ Join ' "$work/session"
[ ! -s "$work/log" ] || { echo "it complained:"; cat "$work/log"; exit 1; } >&2
# What it wrote is where it may write.
written=$(cd "$work/image" && find . -newer ./bot -type f | grep -v '^./data/' | grep -vE './etc/' || true)
[ -z "$written" ] || { echo "written outside of DATA_DIR: $written" >&2; exit 1; }
[ -s "$work/image/data/store.json" ]
if inside healthcheck 2>/dev/null; then
	echo "healthcheck says that a bot is there, and none is" >&2
	exit 1
fi
echo "the image is as it should be: $(du -sh "$work/image" | cut -f1)"
