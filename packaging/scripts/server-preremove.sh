#!/bin/sh
# Before dbacked-server goes away: dpkg says "remove", rpm 0. An upgrade stops nothing.
set -e

case "$1" in
remove | 0) ;;
*) exit 0 ;;
esac

if [ -d /run/systemd/system ]; then
	# The socket first, so that no call starts the service again.
	systemctl stop dbacked-server.socket dbacked-server.service || true
fi
