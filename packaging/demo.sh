#!/bin/bash
# demo.sh DBACKED: start a throwaway PostgreSQL and a throwaway MariaDB, back both
# up with the program DBACKED, lose both databases, restore them, and compare.
# Nothing is left behind.
set -euo pipefail

dbacked=$(realpath "$1")
here=$(realpath "$(dirname "$0")")
samples=$here/../pkg/dbtest/sample
work=$(mktemp -d /tmp/dbacked-demo.XXXXXX)
chmod 755 "$work"
postgres='' mariadb=''

cleanup() {
	status=$?
	trap - EXIT INT TERM
	if [ -n "$postgres" ]; then kill -INT "$postgres" 2>/dev/null || true; fi # a fast stop
	if [ -n "$mariadb" ]; then kill -TERM "$mariadb" 2>/dev/null || true; fi
	wait
	if [ "$status" != 0 ] && [ -s "$work/log" ]; then tail -n 20 "$work/log" >&2; fi
	rm -rf "$work"
	exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

bold='' dim='' off=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' dim=$'\e[2m' off=$'\e[0m'; fi
step() { printf '\n%s%s%s\n' "$bold" "$*" "$off"; }
show() { # the command as a person types it, then what it does
	printf '%s$ %s%s\n' "$dim" "${*/#"$dbacked"/dbacked}" "$off"
	"$@"
}

# Servers refuse to run as root.
as() {
	local user=$1
	shift
	if [ "$(id -u)" = 0 ]; then exec setpriv --reuid="$user" --regid="$user" --clear-groups "$@"; else exec "$@"; fi
}
folder() { mkdir "$1" && if [ "$(id -u)" = 0 ]; then chown "$2:" "$1"; fi; }
free_port() {
	local port
	while port=$((20000 + RANDOM % 20000)); do
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo $port && return; }
	done
}
await() { # until a command succeeds, at most a minute
	local i
	for ((i = 0; i < 600; i++)); do
		"$@" >/dev/null 2>&1 && return
		sleep 0.1
	done
	echo "the server does not answer: $*" >&2
	return 1
}

pg_bin=$(find /usr/lib/postgresql/*/bin -maxdepth 0 | sort -V | tail -n 1)
pg_port=$(free_port)
my_port=$(free_port)
pg=(--host="$work/pg" --port="$pg_port" --username=postgres)
my=(--no-defaults --socket="$work/my/s.sock" -u root)
psql() { "$pg_bin/psql" "${pg[@]}" -X -q -v ON_ERROR_STOP=1 "$@" >>"$work/log"; }
mysql() { mariadb "${my[@]}" "$@"; }
pg_text() { "$pg_bin/pg_dump" "${pg[@]}" "$1" | sed '/^\\\(un\)\?restrict /d'; }
my_text() { mariadb-dump "${my[@]}" --skip-dump-date --single-transaction --routines --triggers --events --hex-blob --max-allowed-packet=1G "$1"; }

step "Starting a PostgreSQL and a MariaDB of our own …"
folder "$work/pg" postgres
folder "$work/my" mysql
(as postgres "$pg_bin/initdb" -D "$work/pg/data" -A trust -U postgres -E UTF8 --locale=C.UTF-8 --no-sync) >"$work/log"
as postgres "$pg_bin/postgres" -D "$work/pg/data" -k "$work/pg" -p "$pg_port" -h 127.0.0.1 -c fsync=off -c wal_level=logical >>"$work/log" 2>&1 &
postgres=$!
user=()
if [ "$(id -u)" = 0 ]; then user=(--user=mysql); fi
mariadb-install-db --no-defaults "${user[@]}" --datadir="$work/my/data" --auth-root-authentication-method=normal --skip-test-db >>"$work/log"
mariadbd --no-defaults "${user[@]}" --datadir="$work/my/data" --socket="$work/my/s.sock" --port="$my_port" --bind-address=127.0.0.1 \
	--pid-file="$work/my/pid" --max-allowed-packet=1G >>"$work/log" 2>&1 &
mariadb=$!
await "$pg_bin/pg_isready" "${pg[@]}"
await mariadb "${my[@]}" -e 'SELECT 1'

step "Filling them: odd names, large objects, partitions, circular keys, triggers that raise, emoji, a 15 MB row …"
psql -d postgres -c 'CREATE DATABASE shop'
psql -d shop -f "$samples/postgresql.sql"
mysql -e 'CREATE DATABASE wiki CHARACTER SET utf8mb4'
mysql --default-character-set=utf8mb4 --max-allowed-packet=1G wiki <"$samples/mysql.sql"
mysql -e "CREATE USER backup@127.0.0.1 IDENTIFIED BY 'pa\$\$ #wo\"rd'; GRANT ALL ON *.* TO backup@127.0.0.1 WITH GRANT OPTION"
pg_text shop >"$work/shop.before"
my_text wiki >"$work/wiki.before"
printf '  shop  PostgreSQL  %s lines of SQL\n' "$(wc -l <"$work/shop.before")"
printf '  wiki  MariaDB     %s lines of SQL\n' "$(wc -l <"$work/wiki.before")"

step "A key pair: the machine that backs up gets the public half only."
cd "$work"
(umask 077 && printf "correct horse battery staple\n" >"$work/passphrase")
show "$dbacked" keygen --passphrase-file passphrase
mkdir "$work/etc" "$work/backups"
for name in shop wiki; do
	cat >"$work/etc/$name.env" <<-ENV
		DBACKED_DB_NAME=$name
		DBACKED_PUBLIC_KEY=$work/dbacked-public.pem
		DBACKED_STORAGE=file://$work/backups
		DBACKED_STATE_DIRECTORY=$work/state-$name
	ENV
done
cat >>"$work/etc/shop.env" <<-ENV
	DBACKED_DB_TYPE=pg
	DBACKED_DB_HOST=$work/pg
	DBACKED_DB_PORT=$pg_port
	DBACKED_DB_USERNAME=postgres
ENV
cat >>"$work/etc/wiki.env" <<-ENV
	DBACKED_DB_TYPE=mysql
	DBACKED_DB_HOST=127.0.0.1
	DBACKED_DB_PORT=$my_port
	DBACKED_DB_USERNAME=backup
	DBACKED_DB_PASSWORD='pa\$\$ #wo"rd'
ENV
chmod 600 "$work"/etc/*.env
export DBACKED_CONFIG_DIRECTORY=$work/etc

for name in shop wiki; do
	step "Backing up $name."
	show "$dbacked" check "$name"
	show "$dbacked" backup "$name"
	show "$dbacked" list "$name"
done

step "The disaster."
show "$pg_bin/dropdb" "${pg[@]}" shop
show mariadb "${my[@]}" -e 'DROP DATABASE wiki'

export DBACKED_PRIVATE_KEY=$work/dbacked-private.pem DBACKED_PRIVATE_KEY_PASSPHRASE_FILE=$work/passphrase
for name in shop wiki; do
	step "Bringing $name back."
	show "$dbacked" verify "$name"
	show "$dbacked" restore "$name" --last-backup --create -y
done

step "Comparing dumps of before and after."
pg_text shop >"$work/shop.after"
my_text wiki >"$work/wiki.after"
for name in shop wiki; do
	cmp "$work/$name.before" "$work/$name.after"
	printf '  %s: equal, %s bytes of SQL\n' "$name" "$(stat -c %s "$work/$name.after")"
done
step "Both databases are back, byte for byte. Stopping the servers and removing $work."
