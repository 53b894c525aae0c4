#!/usr/bin/env bash
# Makes a release in DIR: static binaries, their checksums, what is linked into them
# (CycloneDX) and under which licences, and an archive of an OCI image layout with the images
# for Linux. It needs no container engine.
#
#   deploy/release.sh VERSION [DIR]        DIR is ./dist unless given; it must not have files yet
#   TARGETS="linux/amd64 linux/arm64" deploy/release.sh v1.2.3
#
# Every binary is built twice, from copies of the source in different folders, and compared:
# whoever has the source and the same Go gets the same bytes.
set -euo pipefail
cd "$(dirname "$0")/.."
version=${1:?usage: deploy/release.sh VERSION [DIR]}
case $version in *[!A-Za-z0-9.+-]*) echo "release.sh: a version has letters, digits, dots, + and -" >&2; exit 1 ;; esac
# A version with a suffix, as v1.2.3-rc1, is a trial and needs none.
case $version in *-*) ;; *) grep -qxF "## $version" CHANGELOG.md || { echo "release.sh: CHANGELOG.md has no section for $version" >&2; exit 1; } ;; esac
dist=${2:-dist}
targets=${TARGETS:-linux/amd64 linux/arm64 darwin/amd64 darwin/arm64}
mkdir -p "$dist"
dist=$(cd "$dist" && pwd)
[ -z "$(ls -A "$dist")" ] || { echo "release.sh: $dist is not empty" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "== modules are what go.sum says"
go mod verify
(cd deploy/release && go mod verify && go build -o "$work/release" .)

echo "== known vulnerabilities"
# 3 means that some were found; anything else but 0, that it could not be found out.
status=0
go run golang.org/x/vuln/cmd/govulncheck@v1.9.0 ./... >"$work/vuln" 2>&1 || status=$?
if [ "$status" = 0 ]; then
	echo "none that is reachable from the code"
elif grep -q '^Vulnerability #' "$work/vuln"; then
	cat "$work/vuln" >&2
	exit 1
else
	echo "SKIPPED: govulncheck or its database cannot be reached from here:"
	tail -1 "$work/vuln"
fi

echo "== binaries"
copy() {
	mkdir -p "$1"
	# What git has, as it is here: a change that is not committed is in the release, and
	# the version should say so.
	git ls-files -z -- go.mod go.sum cmd bot meeting config | tar --null --files-from=- -cf - | tar -xf - -C "$1"
}
build() {
	(cd "$1" && CGO_ENABLED=0 GOOS=${2%/*} GOARCH=${2#*/} GOFLAGS=-mod=readonly \
		go build -trimpath -buildvcs=false -ldflags "-s -w -X main.release=$version" -o "$3" ./cmd/bot)
}
copy "$work/one"
copy "$work/another/place/for/it"
binaries=()
for target in $targets; do
	name=meetbot_${version}_${target%/*}_${target#*/}
	build "$work/one" "$target" "$dist/$name"
	# A cache of its own: the second one is built, not found.
	GOCACHE=$work/cache build "$work/another/place/for/it" "$target" "$work/second"
	cmp "$dist/$name" "$work/second" || { echo "release.sh: $target is not reproducible" >&2; exit 1; }
	echo "$name: the same twice"
	"$work/release" sbom "$dist/$name" >"$dist/$name.cdx.json"
	binaries+=("$dist/$name")
done

echo "== images"
images=()
for binary in "${binaries[@]}"; do
	case $binary in *_linux_*) ;; *) continue ;; esac
	deploy/build.sh "$work/image/$(basename "$binary")" "$version" "$binary"
	images+=("$work/image/$(basename "$binary")" "$binary.cdx.json")
done
if [ ${#images[@]} -gt 0 ]; then
	"$work/release" oci "$dist/meetbot_${version}_oci.tar" "$version" "${images[@]}"
fi

echo "== licences"
"$work/release" licenses "${binaries[@]}" >"$dist/THIRD_PARTY_LICENSES.txt"
sed -n '/: /p;/^=/q' "$dist/THIRD_PARTY_LICENSES.txt" | sed 's/.*: //' | sort | uniq -c

echo "== checksums"
(cd "$dist" && sha256sum -- * >"$work/SHA256SUMS" && mv "$work/SHA256SUMS" SHA256SUMS && sha256sum --check --quiet SHA256SUMS)
ls -l "$dist"
