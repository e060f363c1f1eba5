// Property: the release archive, unpacked anywhere, works in every kind of host: a Node project, a C++ program linked
// to its libduckdb.so, its own shell, a host that hides its DuckDB; by LOAD of the file, by INSTALL from its repository
// folder and by install.sh. Checksums hold, nothing leads back to the machine that built it, and a wrong DuckDB refuses
// the file with DuckDB's own message.
// usage: node test/dist/dist_test.mjs WORK_FOLDER HIDDEN_HOST CPP_EXAMPLE DIST_ARGUMENT...
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const [workFolder, hiddenHost, cppExample, ...distArguments] = process.argv.slice(2);
const [version, duckdbVersion, platform] = [distArguments.at(-1), distArguments.at(-2), distArguments.at(-3)];

const TABLE = 'CREATE TABLE t AS SELECT i AS id, [i, i * i % 97]::FLOAT[2] AS v FROM range(3000) r(i)';
const INDEX = 'CREATE INDEX t_idx ON t USING LM_DISKANN (v)';
const QUERY = 'SELECT id FROM t ORDER BY array_distance(v, [7, 49]::FLOAT[2]) LIMIT 1';
const SEARCHES = 'SELECT queries FROM lm_diskann_stats()';

fs.rmSync(workFolder, { recursive: true, force: true });
fs.mkdirSync(workFolder, { recursive: true });
const archives = path.join(workFolder, 'archives');
fs.mkdirSync(archives);
execFileSync(path.join(ROOT, 'scripts/dist.sh'), [archives, ...distArguments]);
const name = `lm_diskann-${version}-duckdb-${duckdbVersion}-${platform}`;
execFileSync('sha256sum', ['--check', '--quiet', `${name}.tar.gz.sha256`], { cwd: archives });
execFileSync('tar', ['-xzf', path.join(archives, `${name}.tar.gz`), '-C', workFolder]);
const release = path.join(workFolder, name);
const extension = path.join(release, 'lm_diskann.duckdb_extension');

let failures = 0;
/** One claim; the test goes on after a failure. */
function check(claim, body) {
	try {
		body();
		console.log(`ok    ${claim}`);
	} catch (error) {
		failures++;
		console.log(`wrong ${claim}\n${error.message}`);
	}
}

/** Runs a program; returns {status, stdout, stderr}. */
function run(file, ...args) {
	const environment = { ...process.env, LD_LIBRARY_PATH: '', HOME: path.join(workFolder, 'home') };
	return spawnSync(file, args, { encoding: 'utf8', env: environment, maxBuffer: 2 ** 26 });
}

function output(file, ...args) {
	const result = run(file, ...args);
	assert.equal(result.status, 0, `exit code ${result.status}: ${result.stdout}${result.stderr}`);
	return result.stdout;
}

/** Writes a Node project that runs statements and prints the last result and what the process has mapped. */
function nodeProject(folder) {
	fs.mkdirSync(folder, { recursive: true });
	fs.symlinkSync(path.join(ROOT, 'node_modules'), path.join(folder, 'node_modules'));
	fs.writeFileSync(path.join(folder, 'main.mjs'), `
		import fs from 'node:fs';
		import { DuckDBInstance } from '@duckdb/node-api';
		const instance = await DuckDBInstance.create(':memory:', JSON.parse(process.argv[2]));
		const connection = await instance.connect();
		let rows;
		try {
			for (const sql of process.argv.slice(3)) {
				rows = (await connection.runAndReadAll(sql)).getRowsJson();
			}
		} catch (error) {
			console.log('error: ' + error.message);
			process.exit(1);
		}
		const maps = new Set(fs.readFileSync('/proc/self/maps', 'utf8').match(/\\/[^\\s]*\\.so[.0-9]*$/gm));
		console.log(JSON.stringify({ rows, maps: [...maps] }));`);
	return (config, ...statements) => {
		const result = run('node', path.join(folder, 'main.mjs'), JSON.stringify(config), ...statements);
		return result.status === 0 ? JSON.parse(result.stdout) : { error: result.stdout + result.stderr };
	};
}

const node = nodeProject(path.join(workFolder, 'node_project'));
const UNSIGNED = { allow_unsigned_extensions: 'true' };

check('every file of the archive has its checksum', () => {
	output('sh', '-c', `cd '${release}' && sha256sum --check --quiet SHA256SUMS`);
	const listed = fs.readFileSync(path.join(release, 'SHA256SUMS'), 'utf8').split('\n').length - 1;
	const present = fs.readdirSync(release, { recursive: true, withFileTypes: true }).filter((f) => f.isFile());
	assert.equal(listed, present.length - 1);
});
check('the version is that of the changelog', () => {
	const changelog = fs.readFileSync(path.join(release, 'CHANGELOG.md'), 'utf8');
	assert.equal(`v${/^## ([0-9.]+)/m.exec(changelog)[1]}`, version);
});
check('each shared library comes with its licence', () => {
	const libraries = fs.readdirSync(release).filter((file) => /^lib.*\.so/.test(file));
	assert.ok(libraries.length >= 3, String(libraries));
	assert.equal(fs.readdirSync(path.join(release, 'licences')).length, libraries.length);
});
check('no path of the build is in the programs', () => {
	for (const file of ['lm_diskann.duckdb_extension', 'lm_diskann_shell']) {
		const dynamic = output('readelf', '-d', path.join(release, file));
		assert.deepEqual(dynamic.match(/R(UN)?PATH.*\[(.*)\]/)[2], '$ORIGIN');
	}
});
check('a Node project finds everything in the folder', () => {
	const { rows, maps, error } = node(UNSIGNED, `LOAD '${extension}'`, TABLE, INDEX, QUERY, SEARCHES);
	assert.deepEqual(rows, [['1']], error);
	for (const library of fs.readdirSync(release).filter((file) => /^lib(hwy|roaring)\./.test(file))) {
		assert.ok(maps.includes(path.join(release, library)), `${library} is not from the release: ${maps}`);
	}
});
check('a C++ program works with the libduckdb.so of the folder', () => {
	const copy = path.join(workFolder, 'nearest');
	fs.copyFileSync(cppExample, copy);
	const environment = { ...process.env, LD_LIBRARY_PATH: release };
	const result = spawnSync(copy, [extension], { encoding: 'utf8', env: environment });
	assert.match(result.stdout, /nearest to \(10.1, 7\):  710 at 0.10/, result.stderr);
	assert.match(result.stdout, /searches through the index: 2/);
});
check('the shell needs nothing else', () => {
	const shell = path.join(release, 'lm_diskann_shell');
	assert.match(output(shell, '-c', TABLE, '-c', INDEX, '-c', QUERY), /│ *7 │/);
	const outside = output('ldd', shell).match(/=> \S+/g).filter((line) => !line.includes(release));
	const isRuntime = (line) => /\/(libc|libm|libdl|libpthread|libstdc\+\+|libgcc_s)\.so/.test(line);
	assert.ok(outside.every(isRuntime), String(outside));
});
check('a host that hides its DuckDB works', () => {
	const hidden = path.join(workFolder, 'libduckdx.so');
	const library = fs.readFileSync(path.join(release, 'libduckdb.so'), 'latin1');
	fs.writeFileSync(hidden, library.replaceAll('libduckdb.so', 'libduckdx.so'), 'latin1');
	assert.equal(output(hiddenHost, hidden, `LOAD '${extension}'`, TABLE, INDEX, QUERY, SEARCHES), '3000\n7\n1\n');
	const wrong = run(hiddenHost, hidden, `LOAD '${extension}'`, TABLE, `${INDEX} WITH (R = 1)`);
	assert.match(wrong.stderr, /Binder Error: LM_DISKANN index "t_idx": option "R" must be a whole number between 4/);
	assert.equal(wrong.status, 1);
});
check('INSTALL from the repository folder works', () => {
	const config = { ...UNSIGNED, extension_directory: path.join(workFolder, 'installed') };
	const { rows, error } = node(config, `INSTALL lm_diskann FROM '${release}/repository'`, 'LOAD lm_diskann',
		"SELECT extension_version, install_mode FROM duckdb_extensions() WHERE extension_name = 'lm_diskann'");
	assert.deepEqual(rows, [[version, 'REPOSITORY']], error);
});
check('install.sh makes LOAD lm_diskann work', () => {
	const folder = path.join(workFolder, 'copied');
	output(path.join(release, 'install.sh'), folder);
	const config = { ...UNSIGNED, extension_directory: folder };
	const { rows, maps, error } = node(config, 'LOAD lm_diskann', TABLE, INDEX, QUERY);
	assert.deepEqual(rows, [['7']], error);
	assert.ok(maps.some((file) => file.startsWith(folder) && file.includes('roaring')), String(maps));
});
check('another DuckDB refuses the file, and says why', () => {
	const folder = path.join(workFolder, 'other');
	fs.mkdirSync(folder);
	const bytes = fs.readFileSync(extension);
	bytes.write('v1.4.3\0', bytes.length - 512 + 160, 'latin1');
	fs.writeFileSync(path.join(folder, 'lm_diskann.duckdb_extension'), bytes);
	const { error } = node(UNSIGNED, `LOAD '${folder}/lm_diskann.duckdb_extension'`);
	assert.match(error, /built specifically for DuckDB version 'v1\.4\.3' and can only be loaded with that version/);
});
check('without the switch for unsigned extensions DuckDB refuses it', () => {
	assert.match(node({}, `LOAD '${extension}'`).error, /signature is either missing or invalid/);
});

fs.rmSync(workFolder, { recursive: true, force: true });
console.log(`${failures} wrong`);
process.exitCode = failures > 0 ? 1 : 0;
