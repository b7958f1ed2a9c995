#!/bin/bash
# repo.sh FOLDER PACKAGE.deb…: make a signed APT repository of packages, as a folder
# that any web server, or file://, can serve:
#
#   deb [signed-by=/etc/apt/keyrings/dbacked.gpg] file:///FOLDER stable main
#
# with FOLDER/dbacked.gpg as that key. It is signed by the key in REPO_KEY, a file as
# of "gpg --export-secret-keys", or by one that is made on first use and kept in
# ~/.local/share/dbacked-repository.
set -euo pipefail
repo=$1
shift

home=${XDG_DATA_HOME:-$HOME/.local/share}/dbacked-repository
if [ -n "${REPO_KEY:-}" ]; then
	home=$(mktemp --directory)
fi
export GNUPGHOME=$home
finish() {
	[ -z "${new:-}" ] || rm -rf "$new"
	gpgconf --kill gpg-agent 2>/dev/null || true # that of this home alone
	[ -z "${REPO_KEY:-}" ] || rm -rf "$home"
}
trap finish EXIT
install -d -m 700 "$home"
if [ -n "${REPO_KEY:-}" ]; then
	gpg --batch --quiet --import "$REPO_KEY"
elif ! gpg --batch --list-secret-keys 2>/dev/null | grep -q ^sec; then
	gpg --batch --quiet --passphrase '' --quick-generate-key 'dbacked package repository' ed25519 sign never
fi

umask 022
if [ -n "$(ls -A "$repo" 2>/dev/null)" ] && [ ! -e "$repo/dbacked.gpg" ]; then
	echo "$repo exists and is no repository made by this: name another folder" >&2
	exit 1
fi
# In a folder beside it: what is served is whole until the new one is.
mkdir -p "$repo"
repo=$(cd "$repo" && pwd)
new=$(mktemp --directory "$repo.XXXXXX")
chmod 755 "$new"
mkdir "$new/pool"
cp "$@" "$new/pool/"
cd "$new"
for arch in amd64 arm64; do
	folder=dists/stable/main/binary-$arch
	mkdir -p "$folder"
	apt-ftparchive --arch "$arch" packages pool >"$folder/Packages"
	gzip -9nk "$folder/Packages"
done
release=$(apt-ftparchive \
	-o APT::FTPArchive::Release::Origin=dbacked \
	-o APT::FTPArchive::Release::Label=dbacked \
	-o APT::FTPArchive::Release::Suite=stable \
	-o APT::FTPArchive::Release::Codename=stable \
	-o APT::FTPArchive::Release::Architectures="amd64 arm64" \
	-o APT::FTPArchive::Release::Components=main \
	release dists/stable)
printf '%s\n' "$release" >dists/stable/Release
gpg --batch --yes --quiet --clearsign --output dists/stable/InRelease dists/stable/Release
gpg --batch --yes --quiet --armor --detach-sign --output dists/stable/Release.gpg dists/stable/Release
gpg --batch --quiet --export >dbacked.gpg
rm -rf "$repo/pool" "$repo/dists"
mv pool dists "$repo/"
mv dbacked.gpg "$repo/"
rmdir "$new"

echo "To install from here:"
echo "  install -D -m 644 $repo/dbacked.gpg /etc/apt/keyrings/dbacked.gpg"
echo "  echo 'deb [signed-by=/etc/apt/keyrings/dbacked.gpg] file://$repo stable main' >/etc/apt/sources.list.d/dbacked.list"
echo "  apt update && apt install dbacked"
