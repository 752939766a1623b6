# What the scripts of this folder share. The caller sets grange and home.

say() { printf '  %s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }

# have NAME PACKAGE: is a program there? Says what to install when it is not.
have() {
	command -v "$1" >/dev/null && return 0
	say "skipped: $1 is not installed (Debian package $2)"
	return 1
}

# endpoint NAME: a value of the network's endpoints.json, as data or ntrip.url.
endpoint() {
	node -p 'process.argv[2].split(".").reduce((v, k) => v[k], JSON.parse(fs.readFileSync(process.argv[1])))' "$home/endpoints.json" "$1" 2>/dev/null ||
		fail "$home/endpoints.json has no $1: is a network running there?"
}

# until_ok SECONDS COMMAND...: asks a few times a second whether a command succeeds.
until_ok() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.2
	done
}

# Processes that a script started, which its end ends, each by its id.
started=()
ended() {
	local pid
	for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
	for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
}
