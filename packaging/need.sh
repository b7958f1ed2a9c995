#!/bin/bash
# need.sh PACKAGE…: see to it that Debian packages are installed. As root it
# installs the missing ones; else it names them and fails.
set -euo pipefail

missing=()
for p in "$@"; do
	# Another way to have the program counts too: Node and gcc often come from elsewhere.
	case $p in
	nodejs) command -v node >/dev/null && continue ;;
	gcc | openssl | age) command -v "$p" >/dev/null && continue ;;
	esac
	dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null | grep -qx installed || missing+=("$p")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" != 0 ]; then
	echo "missing: ${missing[*]}" >&2
	echo "install them with: sudo apt-get install ${missing[*]}" >&2
	exit 1
fi
echo "installing ${missing[*]} …" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; } </dev/null >"$log" 2>&1; then
	cat "$log" >&2
	exit 1
fi
