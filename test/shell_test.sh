#!/bin/sh
# Property: the shell exits with 0 when all went well and with 1 after any error, and prints tables to standard output
# and errors to standard error.
# usage: shell_test.sh SHELL
set -u
shell=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0

# check NAME EXIT_CODE STDOUT STDERR ARGUMENT...: runs the shell with the arguments on this function's standard input;
# STDOUT and STDERR are patterns that some line has to match ('' when the stream has to be empty).
check() {
	name=$1 exit_code_wanted=$2 stdout_wanted=$3 stderr_wanted=$4
	shift 4
	"$shell" "$@" >"$folder/stdout" 2>"$folder/stderr"
	exit_code=$?
	if [ $exit_code -ne "$exit_code_wanted" ] || ! matches "$stdout_wanted" "$folder/stdout" ||
		! matches "$stderr_wanted" "$folder/stderr"; then
		echo "$name: wanted exit code $exit_code_wanted, output '$stdout_wanted' and errors '$stderr_wanted'"
		echo "found exit code $exit_code and"
		cat "$folder/stdout" "$folder/stderr"
		failed=1
	fi
}

matches() {
	if [ -z "$1" ]; then
		[ ! -s "$2" ]
	else
		grep -q -e "$1" "$2"
	fi
}

check 'a script' 0 '│ *42 │' '' <<'END'
SELECT 40 +
	2 AS answer; -- a comment; with a semicolon
END
check 'a string over two lines' 0 '│ *6 │' '' <<'END'
SELECT length('a;
b;c') AS bytes; /* a comment
over two lines; */ SELECT 1;
END
check 'a last statement without semicolon' 0 '│ *7 │' '' <<'END'
SELECT 7
END
check 'a wrong statement' 1 '│ *1 │' 'Parser Error' <<'END'
SELEC 1;
SELECT 1;
END
check 'the first error with -bail' 1 '' 'Catalog Error' -bail <<'END'
FROM missing;
SELECT 1;
END
check 'an unfinished string' 1 '' 'Parser Error' <<'END'
SELECT 'never closed;
END
check 'an unknown command' 1 '' '"\.unknown"' <<'END'
.unknown
END
check 'an empty script' 0 '' '' </dev/null
check '-c' 0 '│ *3 │' '' -c 'CREATE TABLE t AS SELECT 3 AS i' -c 'FROM t' </dev/null
check '-c with an error' 1 '' 'Catalog Error' -c 'FROM missing' </dev/null
check 'a wrong argument' 1 '' 'usage' -nonsense </dev/null
check '-help' 0 'usage' '' -help </dev/null
check 'the extension' 0 'STATICALLY_LINKED' '' -c \
	"SELECT install_mode FROM duckdb_extensions() WHERE extension_name = 'lm_diskann'" </dev/null

check 'a database file' 0 '^t$' '' "$folder/a.duckdb" <<'END'
CREATE TABLE t AS SELECT 11 AS i;
.tables
END
check '-readonly' 1 '│ *11 │' 'read-only' -readonly "$folder/a.duckdb" <<'END'
FROM t;
DROP TABLE t;
END
echo 'SELECT 12 AS i;' >"$folder/script.sql"
check '.read' 0 '│ *12 │' '' <<END
.timer off
.maxrows 10
.read $folder/script.sql
END
check '.read of a missing file' 1 '' 'Cannot read' <<END
.read $folder/missing.sql
END
check '.exit' 0 '│ *1 │' '' <<'END'
SELECT 1;
.exit
SELEC 1;
END

exit $failed
