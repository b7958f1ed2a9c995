#!/bin/sh
# After dbacked-server was unpacked: dpkg says "configure", rpm the number of versions.
set -e

case "$1" in
configure | [1-9]*) ;;
*) exit 0 ;; # dpkg takes back a step that failed: nothing here was undone
esac

# Nothing does these by itself. A machine without systemd, such as a container,
# needs none of them.
if command -v systemd-sysusers >/dev/null; then
	systemd-sysusers dbacked-server.conf
fi
if command -v systemd-tmpfiles >/dev/null; then
	systemd-tmpfiles --create dbacked-server.conf || true
fi

if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
	# An upgrade. The socket stays, so that nobody is refused meanwhile.
	systemctl try-restart dbacked-server.service || true
fi
