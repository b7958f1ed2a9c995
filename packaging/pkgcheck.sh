#!/bin/bash
# pkgcheck.sh: build the packages of the last commit twice, from two folders, with
# two caches, umasks and time zones, and see that the bytes are the same; then have
# lintian and rpm look at them.
set -euo pipefail
cd "$(dirname "$0")/.."

tmp=$(mktemp --directory)
trap 'chmod -R u+w "$tmp"; rm -rf "$tmp"' EXIT
commit=$(git rev-parse HEAD)
version=$(git describe --tags --always "$commit")
build() { # FOLDER UMASK ZONE
	git clone --quiet --no-checkout "$PWD" "$tmp/$1/source"
	git -C "$tmp/$1/source" checkout --quiet --detach "$commit"
	(umask "$2" && cd "$tmp/$1/source" && TZ=$3 packaging/packages.sh "$version" "$tmp/$1/out" >/dev/null)
}
build here 022 UTC
GOCACHE=$tmp/cache build some/where/else 077 Pacific/Auckland
diff -r "$tmp/here/out" "$tmp/some/where/else/out"
echo "two builds of $version are equal:"
cd "$tmp/here/out"
sha256sum ./*

for package in ./*.deb; do
	lintian --fail-on error,warning "$package"
	echo "$package: lintian has nothing to say"
done
# program PACKAGE prints what its file is named after, which is its program.
program() { basename "$1" | sed 's/[-_][0-9].*//'; }
for package in ./*.rpm; do
	rpm --query --package --list "$package" | grep -qx "/usr/bin/$(program "$package")"
	rpm --checksig --nosignature "$package"
done

for package in ./*_amd64.deb; do
	name=$(program "$package")
	dpkg-deb --extract "$package" "$tmp/root"
	file "$tmp/root/usr/bin/$name" | grep -q 'statically linked' && echo "$name is static"
done
