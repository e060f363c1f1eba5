#!/bin/sh
# Makes the release: a folder, and an archive of it, that work on a machine with neither this project nor Debian's
# packages. `make dist` calls it through the build, which knows what is asked for here.
#
#   lm_diskann.duckdb_extension   LOAD '/full/path/of/it'
#   libduckdb.so                  for hosts that hide their own DuckDB: the extension finds it beside itself
#   lib*.so.*                     what extension and shell need beyond the C and C++ runtimes, found in the same way
#   lm_diskann_shell              a SQL shell for those with no DuckDB
#   repository/                   INSTALL lm_diskann FROM '/full/path/repository'
#   install.sh                    puts extension and libraries where LOAD lm_diskann finds them
#
# usage: dist.sh OUTPUT_FOLDER BUILD_FOLDER MODULE.so LIBDUCKDB.so PLATFORM DUCKDB_VERSION EXTENSION_VERSION
set -eu

output=$1 build=$2 module=$3 libduckdb=$4 platform=$5 duckdb_version=$6 version=$7
source_folder=$(cd "$(dirname "$0")/.." && pwd)
name=lm_diskann-$version-duckdb-$duckdb_version-$platform
folder=$output/$name

# needed_libraries FILE...: paths of the shared libraries the files lead to; the runtimes every Linux has are left out.
needed_libraries() {
	ldd "$@" | sed -n 's/.* => \(\/[^ ]*\).*/\1/p' | sort -u |
		grep -v -E '/(libc|libm|libdl|libpthread|librt|libgcc_s|libstdc\+\+|libduckdb|ld-linux[^/]*)\.so'
}

# copy_licence LIBRARY: the licence of the Debian package that the library is from.
copy_licence() {
	package=$(dpkg-query --search "$(realpath "$1")" "$1" 2>/dev/null | head -n 1 | cut -d : -f 1)
	if [ -z "$package" ]; then
		echo "dist: no Debian package has $1, so its licence is unknown" >&2
		exit 1
	fi
	cp "/usr/share/doc/$package/copyright" "$folder/licences/$package"
}

rm -rf "$folder"
mkdir -p "$folder/licences"
strip --strip-unneeded -o "$folder/module.so" "$module"
sh "$source_folder/cmake/append_footer.sh" "$folder/module.so" "$folder/lm_diskann.duckdb_extension" \
	"$platform" "$duckdb_version" "$version"
rm "$folder/module.so"
cmake --install "$build" --component shell --prefix "$folder" --strip >"$output/install.log"
cp "$libduckdb" "$folder/libduckdb.so"
chmod 644 "$folder/libduckdb.so"
cp "$(dirname "$libduckdb")/LICENSE" "$folder/licences/duckdb"
for library in $(needed_libraries "$module" "$build/lm_diskann_shell"); do
	cp "$(realpath "$library")" "$folder/$(basename "$library")"
	copy_licence "$library"
done
cp "$source_folder/LICENSE" "$source_folder/README.md" "$source_folder/CHANGELOG.md" "$folder"
cp -r "$source_folder/docs" "$source_folder/examples" "$folder"

repository=$folder/repository/$duckdb_version/$platform
mkdir -p "$repository"
gzip -9 -n -c "$folder/lm_diskann.duckdb_extension" >"$repository/lm_diskann.duckdb_extension.gz"

cat >"$folder/install.sh" <<END
#!/bin/sh
# Copies the extension and the libraries it needs to where \`LOAD lm_diskann\` finds them.
# usage: install.sh [EXTENSION_DIRECTORY]
set -eu
source=\$(cd "\$(dirname "\$0")" && pwd)
target=\${1:-"\$HOME/.duckdb/extensions"}/$duckdb_version/$platform
mkdir -p "\$target"
cp "\$source"/lm_diskann.duckdb_extension "\$source"/lib*.so* "\$target"
echo "installed to \$target; now: LOAD lm_diskann"
END
chmod 755 "$folder/install.sh"
(cd "$folder" && find . -type f ! -name SHA256SUMS | sort | xargs sha256sum >SHA256SUMS)

# The same input gives the same archive.
date=$(git -C "$source_folder" log -1 --format=%cI 2>/dev/null || echo 2026-01-01T00:00:00Z)
tar -C "$output" --sort=name --mtime="$date" --owner=0 --group=0 --numeric-owner -cf - "$name" |
	gzip -6 -n >"$output/$name.tar.gz"
(cd "$output" && sha256sum "$name.tar.gz" >"$name.tar.gz.sha256")
echo "made $output/$name.tar.gz ($(du -h "$output/$name.tar.gz" | cut -f 1))"
