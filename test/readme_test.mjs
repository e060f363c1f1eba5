// Property: the tables of README.md say what the extension does. Options, settings and functions there are those that
// exist, no more and no fewer; defaults are the ones in force; and whatever an absurd value is told to be instead
// (numbers, names) stands in its row.
// usage: node test/readme_test.mjs EXTENSION
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { DuckDBInstance } from '@duckdb/node-api';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const ABSURD = -7777;
const readme = fs.readFileSync(path.join(ROOT, 'README.md'), 'utf8');
const problems = [];

/** The rows of the table under a heading: cells of text, the names in the first one without their marks. */
function table(heading) {
	const section = readme.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? '';
	const lines = section.split('\n').filter((line) => line.startsWith('|')).slice(2);
	return lines.map((line) => line.split('|').slice(1, -1).map((cell) => cell.trim()));
}

function compareSets(what, documented, existing) {
	const missing = existing.filter((name) => !documented.includes(name));
	const invented = documented.filter((name) => !existing.includes(name));
	missing.forEach((name) => problems.push(`${what} ${name} is not in README.md`));
	invented.forEach((name) => problems.push(`README.md has ${what} ${name}, which does not exist`));
}

const instance = await DuckDBInstance.create(':memory:', { allow_unsigned_extensions: 'true' });
const connection = await instance.connect();
await connection.run(`LOAD '${process.argv[2]}'`);
const rows = async (sql) => (await connection.runAndReadAll(sql)).getRowObjects();
const errorOf = (sql) => connection.run(sql).then(() => '', (error) => error.message);
const plain = (cell) => cell.replace(/[`']/g, '');

/** Every number and quoted word after "must be" has to stand in the row. */
function compareRange(name, message, row) {
	const allowed = /must be (.*), found/.exec(message)?.[1] ?? '';
	for (const [word] of allowed.matchAll(/'[^']+'|\d+(\.\d+)?/g)) {
		const escaped = word.replaceAll('.', '\\.').replace(/\\\.0$/, '(\\.0)?');
		if (!/MB|%/.test(word) && !new RegExp(`(^|[^\\d.])${escaped}($|[^\\d])`).test(row.join(' '))) {
			problems.push(`${name} must be ${allowed}; its row in README.md does not say ${word}`);
		}
	}
	return allowed !== '';
}

async function checkOptions() {
	const documented = table('Options of CREATE INDEX');
	await connection.run('CREATE TABLE t AS SELECT [i, 1]::FLOAT[2] AS v FROM range(100) r(i)');
	const create = (option) => `CREATE INDEX a ON t USING LM_DISKANN (v) ${option}`;
	const names = /the options are (.*)/.exec(await errorOf(create('WITH (no_such_option = 1)')))?.[1] ?? '';
	compareSets('option', documented.map(([name]) => plain(name)), names.match(/\w+/g) ?? []);
	let ranges = 0;
	for (const row of documented) {
		ranges += compareRange(plain(row[0]), await errorOf(create(`WITH (${plain(row[0])} = ${ABSURD})`)), row);
		await errorOf('DROP INDEX a');
	}
	await connection.run(create(''));
	const [info] = await rows('FROM lm_diskann_index_info()');
	for (const [name, text] of documented) {
		const actual = info[plain(name)];
		if (actual !== undefined && !['automatic', 'auto'].includes(plain(text)) && String(actual) !== plain(text)) {
			problems.push(`option ${plain(name)} is ${actual} by default; README.md says ${plain(text)}`);
		}
	}
	return ranges;
}

async function checkSettings() {
	const documented = table('Settings');
	const existing = await rows("SELECT name, value FROM duckdb_settings() WHERE starts_with(name, 'lm_diskann_')");
	compareSets('setting', documented.map(([name]) => plain(name)), existing.map(({ name }) => name));
	let ranges = 0;
	for (const row of documented) {
		const [name, text] = row.map(plain);
		const value = existing.find((setting) => setting.name === name)?.value ?? 'unset';
		// A share of memory_limit is told as such.
		if (!text.includes('memory_limit') && value !== text) {
			problems.push(`setting ${name} is ${value} by default; README.md says ${text}`);
		}
		ranges += compareRange(name, await errorOf(`SET ${name} = ${ABSURD}`), row);
	}
	return ranges;
}

async function checkFunctions() {
	const existing = await rows(`SELECT DISTINCT function_name AS name FROM duckdb_functions()
		WHERE starts_with(function_name, 'lm_diskann_')`);
	const section = readme.slice(readme.indexOf('## Functions'), readme.indexOf('## Files'));
	compareSets('function', [...new Set(section.match(/lm_diskann_\w+(?=\()/g))], existing.map(({ name }) => name));
	return existing.length;
}

const ranges = [await checkOptions(), await checkSettings()];
const functions = await checkFunctions();
problems.forEach((problem) => console.log(problem));
console.log(`${ranges[0]} ranges of options, ${ranges[1]} of settings, ${functions} functions: ` +
	`${problems.length} problems`);
process.exitCode = problems.length > 0 || ranges[0] < 8 || ranges[1] < 5 || functions < 10 ? 1 : 0;
