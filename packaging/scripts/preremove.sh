#!/bin/sh
# Before dbacked goes away: dpkg says "remove", rpm 0. An upgrade stops nothing.
set -e

case "$1" in
remove | 0) ;;
*) exit 0 ;;
esac

if [ -d /run/systemd/system ]; then
	# Patterns, since each instance is a unit of its own. The timers go first, so
	# that none starts a service again.
	systemctl stop 'dbacked-health@*.timer' 'dbacked-verify@*.timer' || true
	systemctl stop 'dbacked*@*.service' 'dbacked@*.socket' dbacked.target || true
fi
