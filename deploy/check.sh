#!/usr/bin/env bash
# Checks what the bot is deployed with: the manifests and Compose files against their
# schemas, and the image's contents by running them with nothing else there to be read. The
# image for arm64 runs under QEMU, if the machine is another.
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

host=$(go env GOARCH)
(cd release && go build -o "$work/release" .)
images=()
for arch in $(printf '%s\n' "$host" arm64 | sort -u); do
	GOOS=linux GOARCH=$arch ./build.sh "$work/built/$arch" check
	"$work/release" sbom "$work/built/$arch/bot" >"$work/$arch.cdx.json"
	images+=("$work/built/$arch" "$work/$arch.cdx.json")
done
"$work/release" oci "$work/oci.tar" check "${images[@]}"

if [ "$host" != arm64 ]; then
	echo "== the image for arm64, unpacked from the same layout and run under QEMU"
	if command -v qemu-aarch64-static >/dev/null; then
		mkdir "$work/arm64"
		"$work/release" unpack "$work/oci.tar" linux/arm64 "$work/arm64"
		foreign() { env -i DATA_DIR="$work/arm64-data" "$(command -v qemu-aarch64-static)" "$work/arm64/bot" "$@"; }
		foreign version
		printf '/meet from another processor\n/meet list\n' | foreign >"$work/session" 2>"$work/log" || {
			cat "$work/session" "$work/log" >&2
			exit 1
		}
		grep -q '^│ Join ' "$work/session"
		[ ! -s "$work/log" ] || { echo "it complained:"; cat "$work/log"; exit 1; } >&2
		[ -s "$work/arm64-data/store.json" ]
	else
		echo "skipped: no qemu-aarch64-static in PATH (Debian: apt-get install qemu-user-static), so nobody ran the image for arm64" >&2
	fi
fi

echo "== the image for $host, unpacked from its layout and run as nobody in a root of its own"
mkdir "$work/image"
"$work/release" unpack "$work/oci.tar" "linux/$host" "$work/image"
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
