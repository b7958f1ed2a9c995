#!/bin/bash
# packages.sh VERSION FOLDER [ARCHITECTURE…]: build the packages, of the agent and of the
# service, deb and rpm, for amd64 and arm64 unless told otherwise, of what is checked out.
# VERSION is as of "git describe --tags --always --dirty".
#
# The same commit makes the same bytes: every time stamp is that of the commit.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$1 out=$2
shift 2
architectures=${*:-amd64 arm64}

SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH TZ=UTC LC_ALL=C.UTF-8
umask 022

# package_version turns v1.2.3 into 1.2.3, v1.2.3-5-gabc into 1.2.3+5.gabc, and a
# commit without a tag before it into 0~git20261123161728.abc, which every release
# supersedes.
package_version() {
	case $1 in
	v[0-9]* | [0-9]*.*) sed 's/^v//; s/-/+/; s/-/./g' <<<"$1" ;;
	*) echo "0~git$(date --date="@$SOURCE_DATE_EPOCH" +%Y%m%d%H%M%S).${1//-/+}" ;;
	esac
}

# changes PACKAGE prints the newest part of CHANGELOG.md as Debian writes it down.
changes() {
	printf '%s (%s-1) unstable; urgency=medium\n\n' "$1" "$VERSION"
	awk '/^## / { part++; next } part == 1 && /^- / { printf "\n"; item = 1 } part == 1 && /^$/ { item = 0 } item { printf "%s ", $0 }' CHANGELOG.md |
		tr -d '`' | tr -s ' ' | sed '/^$/d; s/ *$//; s/^- //' |
		while read -r item || [ -n "$item" ]; do
			fold -s -w 74 <<<"$item" | sed '1s/^/  * /; 1!s/^/    /; s/ *$//'
		done
	printf '\n -- %s  %s\n' "$(sed -n 's/^maintainer: //p' nfpm.yaml)" "$(date --date="@$SOURCE_DATE_EPOCH" --rfc-email)"
}

VERSION=$(package_version "$version")
STAGE=$(mktemp --directory)
export VERSION STAGE
trap 'rm -rf "$STAGE"' EXIT
chmod 755 "$STAGE"

nfpm=$STAGE/nfpm
go build -modfile=packaging/nfpm/go.mod -o "$nfpm" github.com/goreleaser/nfpm/v2/cmd/nfpm
build() { # GOARCH FILE PROGRAM
	CGO_ENABLED=0 GOOS=linux GOARCH=$1 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$version" -o "$2" "./cmd/$3"
}
build "$(go env GOHOSTARCH)" "$STAGE/own" dbacked
"$STAGE/own" manual "$STAGE/man"
cp packaging/man/*.5 "$STAGE/man/man5/"
gzip -9n "$STAGE"/man/*/*
mkdir "$STAGE/completion"
for shell in bash zsh fish; do
	"$STAGE/own" completion $shell >"$STAGE/completion/dbacked.$shell"
done
gzip -9n <CHANGELOG.md >"$STAGE/changelog.gz"
changes dbacked | gzip -9n >"$STAGE/changelog.Debian.gz"
mkdir "$STAGE/server"
gzip -9n <packaging/man/dbacked-server.1 >"$STAGE/server/dbacked-server.1.gz"
changes dbacked-server | gzip -9n >"$STAGE/server/changelog.Debian.gz"

mkdir -p "$out"
rm -f "$out"/dbacked*.deb "$out"/dbacked*.rpm
for ARCH in $architectures; do
	export ARCH
	mkdir "$STAGE/$ARCH"
	build "$ARCH" "$STAGE/$ARCH/dbacked" dbacked
	build "$ARCH" "$STAGE/$ARCH/dbacked-server" dbacked-server
	for config in nfpm.yaml packaging/nfpm/server.yaml; do
		for packager in deb rpm; do
			"$nfpm" package --config $config --packager $packager --target "$out/" >"$STAGE/said" 2>&1 || {
				cat "$STAGE/said" >&2
				exit 1
			}
		done
	done
done
ls "$out"/dbacked*.deb "$out"/dbacked*.rpm
