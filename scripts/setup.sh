#!/bin/bash
# Installs what the build and the tests need: Debian packages, and node_modules as package-lock.json pins them.
# Safe to run always: a stamp under build/ makes the second run free. Packages that are there are not touched.
# `setup.sh bench` installs what the benchmark needs beside that: the libraries it compares with.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(
	g++ cmake ninja-build pkg-config ccache
	libhwy-dev libroaring-dev libxxhash-dev libedit-dev
	libgtest-dev libgmock-dev libbenchmark-dev
	clang-format clang-tidy
	curl wamerican
)
folder=.
stamp=build/setup.stamp
if [ "${1:-}" = bench ]; then
	packages=(libhnswlib-dev libfaiss-dev)
	folder=bench
	stamp=build/setup_bench.stamp
fi
node_version_min=18
log=build/setup.log
mkdir -p build

fail() {
	echo "setup: $*" >&2
	exit 1
}

has_node() {
	command -v node >/dev/null && command -v npm >/dev/null &&
		[ "$(node -p 'parseInt(process.versions.node)')" -ge "$node_version_min" ]
}

missing_packages() {
	local package
	for package in "${packages[@]}"; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
	done
	# Node.js may come from anywhere; Debian's is taken only where there is none.
	command -v node >/dev/null || echo nodejs
	command -v npm >/dev/null || echo npm
}

install_packages() {
	local missing sudo=()
	mapfile -t missing < <(missing_packages)
	[ ${#missing[@]} -gt 0 ] || return 0
	if [ "$(id -u)" -ne 0 ]; then
		command -v sudo >/dev/null || fail "run as root: apt-get install ${missing[*]}"
		sudo=(sudo)
	fi
	echo "setup: installing Debian packages: ${missing[*]}"
	"${sudo[@]}" apt-get update >"$log" 2>&1 || fail "apt-get update failed, see $log"
	"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}" \
		>>"$log" 2>&1 || fail "apt-get install failed, see $log"
}

install_node_modules() {
	echo "setup: installing node packages"
	npm ci --prefix "$folder" --no-progress --loglevel=error >>"$log" 2>&1 || fail "npm ci failed, see $log"
}

lock_hash=$(sha256sum "$folder/package-lock.json" .npmrc)
wanted="packages: ${packages[*]}"$'\n'"$lock_hash"
[ -d "$folder/node_modules" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && exit 0

command -v apt-get >/dev/null || fail "needs a Debian system with: ${packages[*]}"
install_packages
has_node || fail "needs Node.js $node_version_min or later, found $(node --version 2>/dev/null || echo none)"
if [ ! -d "$folder/node_modules" ] || [ "$(sed 1d "$stamp" 2>/dev/null)" != "$lock_hash" ]; then
	install_node_modules
fi
echo "$wanted" >"$stamp"
