#!/bin/sh
# After dbacked was unpacked: dpkg says "configure", rpm the number of versions.
set -e

case "$1" in
configure | [1-9]*) ;;
*) exit 0 ;; # dpkg takes back a step that failed: nothing here was undone
esac

# Nothing does these by itself. A machine without systemd, such as a container,
# needs none of them.
if command -v systemd-sysusers >/dev/null; then
	systemd-sysusers dbacked.conf
fi
if command -v systemd-tmpfiles >/dev/null; then
	systemd-tmpfiles --create dbacked.conf || true
fi
if command -v journalctl >/dev/null; then
	journalctl --update-catalog || true
fi

if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
	# Every agent that runs ends after its run at hand, and systemd then starts the
	# new one: no backup is cut by an upgrade.
	systemctl list-units --plain --no-legend --full --state=active 'dbacked@*.service' |
		while read -r unit _; do
			systemctl kill --kill-who=main --signal=SIGUSR2 "$unit" || true
		done
fi
