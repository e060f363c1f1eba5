// Runs test/sql/*.test, files in sqllogictest style, against the loadable extension in node's DuckDB.
//
//   node test/run_sql_tests.mjs [--extension FILE] [TEST_FILE ...]
//
// A file is a list of records with an empty line between them; a line that begins with # is a comment.
//
//   statement ok [CONNECTION]            the SQL on the next lines succeeds
//   statement error [CONNECTION]         it fails; the text after ---- is a part of the message, or <REGEX>:pattern
//   query TYPES [rowsort|nosort] [CONNECTION]
//                                        it returns the rows after ----; TYPES has a letter for each column
//   load [PATH [readonly]]               opens another database (without PATH in memory) and loads the extension
//   restart                              closes the database and opens it again in the same way
//   loop NAME FROM TO ... endloop        repeats records for FROM <= ${NAME} < TO
//   foreach NAME VALUE... ... endloop    repeats records for each value of ${NAME}
//   file-present PATTERN                 a file matches PATTERN; * stands for any text in the last part of the path
//   file-absent PATTERN                  no file matches
//   require-data NAME                    skips the file unless the data set is in $LMD_DATA (default ../shared/data)
//
// __TEST_DIR__ is an empty folder of the file's own, removed at the end; __DATA__ the folder of the data set required.
// A CONNECTION with a name lives until the next load or restart. Expected rows stand one to a line with tabs between
// values, or one value to a line. NULL and (empty) name those values; numbers that are not both integers may differ by
// 1e-4 of their size; a single line <REGEX>:pattern (<!REGEX>:pattern) must (must not) match the whole result.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { DuckDBInstance } from '@duckdb/node-api';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const DATA_FOLDER = process.env.LMD_DATA ?? path.join(ROOT, '../shared/data');
const SKIPPED_EXIT_CODE = 77;
const TOLERANCE = 1e-4;

class Failure extends Error {}
class Skip extends Error {}

// ---- Reading ------------------------------------------------------------------------------------------------------

/** Turns lines into records {line, words, sql, expected, body}; stops at the endloop of its own level. */
function parseRecords(lines, position, isInLoop) {
	const records = [];
	while (position.line < lines.length) {
		const line = position.line++;
		const text = lines[line].trim();
		if (text === '' || text.startsWith('#')) {
			continue;
		}
		const record = { line: line + 1, words: text.split(/\s+/) };
		const kind = record.words[0];
		if (kind === 'endloop') {
			if (!isInLoop) {
				throw new Failure(`line ${record.line}: endloop without loop`);
			}
			return records;
		}
		if (kind === 'loop' || kind === 'foreach') {
			record.body = parseRecords(lines, position, true);
		} else if (kind === 'statement' || kind === 'query') {
			readStatement(lines, position, record);
		}
		records.push(record);
	}
	if (isInLoop) {
		throw new Failure('a loop has no endloop');
	}
	return records;
}

function readStatement(lines, position, record) {
	const readUntil = (isEnd) => {
		const taken = [];
		while (position.line < lines.length && !isEnd(lines[position.line].trim())) {
			taken.push(lines[position.line++]);
		}
		return taken;
	};
	record.sql = readUntil((line) => line === '' || line === '----').join('\n');
	if (lines[position.line]?.trim() === '----') {
		position.line++;
		record.expected = readUntil((line) => line === '').join('\n');
	}
}

// ---- Comparing ----------------------------------------------------------------------------------------------------

function formatValue(value) {
	return value === null ? 'NULL' : value === '' ? '(empty)' : String(value);
}

function isSameValue(actual, expected) {
	if (actual === expected) {
		return true;
	}
	if (actual.startsWith('[') && expected.startsWith('[')) {
		const [found, wanted] = [actual, expected].map((text) => text.slice(1, -1).split(/,\s*/));
		return found.length === wanted.length && wanted.every((value, at) => isSameValue(found[at], value));
	}
	const isInteger = (text) => /^-?\d+$/.test(text);
	const [a, e] = [Number(actual), Number(expected)];
	const areNumbers = actual !== '' && expected !== '' && Number.isFinite(a) && Number.isFinite(e);
	return areNumbers && !(isInteger(actual) && isInteger(expected)) && Math.abs(a - e) <= TOLERANCE * Math.abs(e);
}

/** Compares rows of text with the expected text; returns nothing when they agree, else what differs. */
function compareRows(rows, expected, isSorted) {
	const whole = rows.map((row) => row.join('\t')).join('\n');
	const regex = /^<(!?)REGEX>:(.*)$/s.exec(expected);
	if (regex && !expected.includes('\n')) {
		const matches = new RegExp(`^(?:${regex[2]})$`, 's').test(whole);
		return matches !== (regex[1] === '!') ? undefined : `expected ${expected}\nfound\n${whole}`;
	}
	const lines = expected === '' ? [] : expected.split('\n');
	const isRowPerLine = lines.length === rows.length;
	let wanted = isRowPerLine ? lines.map((line) => line.split('\t')) : lines.map((line) => [line]);
	let found = isRowPerLine ? rows : rows.flat().map((value) => [value]);
	if (isSorted) {
		const byText = (a, b) => (a.join('\t') < b.join('\t') ? -1 : 1);
		wanted = [...wanted].sort(byText);
		found = [...found].sort(byText);
	}
	const isSame = wanted.length === found.length && wanted.every((row, at) =>
		row.length === found[at].length && row.every((value, column) => isSameValue(found[at][column], value)));
	return isSame ? undefined : `expected\n${expected}\nfound\n${whole}`;
}

function matchesFile(pattern) {
	const folder = path.dirname(pattern);
	const parts = path.basename(pattern).split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
	const name = new RegExp(`^${parts.join('.*')}$`);
	return fs.existsSync(folder) ? fs.readdirSync(folder).filter((entry) => name.test(entry)) : [];
}

// ---- Running ------------------------------------------------------------------------------------------------------

/** One test file: its database, connections and substitutions. */
class TestRun {
	constructor(extension, testFolder) {
		this.extension = extension;
		this.substitutions = new Map([['__TEST_DIR__', testFolder]]);
		this.database = { path: ':memory:', isReadOnly: false };
		this.connections = new Map();
	}

	substitute(text) {
		return [...this.substitutions].reduce((result, [name, value]) => result.replaceAll(name, value), text);
	}

	async connection(name = '') {
		if (!this.instance) {
			const access = this.database.isReadOnly ? { access_mode: 'READ_ONLY' } : {};
			this.instance = await DuckDBInstance.create(this.database.path,
				{ allow_unsigned_extensions: 'true', ...access });
			const loader = await this.instance.connect();
			await loader.run(`LOAD '${this.extension}'`);
			loader.closeSync();
		}
		if (!this.connections.has(name)) {
			this.connections.set(name, await this.instance.connect());
		}
		return this.connections.get(name);
	}

	close() {
		this.connections.forEach((connection) => connection.closeSync());
		this.connections.clear();
		this.instance?.closeSync();
		this.instance = undefined;
	}

	async runAll(records) {
		for (const record of records) {
			const words = record.words.map((word) => this.substitute(word));
			await this.run(record, words).catch((error) => {
				if (error instanceof Skip || error.isPlaced) {
					throw error;
				}
				const sql = record.sql ? `\n${this.substitute(record.sql)}` : '';
				throw Object.assign(new Failure(`line ${record.line}: ${error.message}${sql}`), { isPlaced: true });
			});
		}
	}

	async run(record, [kind, ...words]) {
		switch (kind) {
			case 'statement': return this.runStatement(record, words);
			case 'query': return this.runQuery(record, words);
			case 'load':
				this.close();
				this.database = { path: words[0] ?? ':memory:', isReadOnly: words[1] === 'readonly' };
				return this.connection();
			case 'restart':
				this.close();
				return this.connection();
			case 'loop':
				return this.repeat(record, words[0],
					Array.from({ length: words[2] - words[1] }, (_, at) => Number(words[1]) + at));
			case 'foreach': return this.repeat(record, words[0], words.slice(1));
			case 'file-present':
			case 'file-absent': {
				const matches = matchesFile(words[0]);
				if ((matches.length > 0) !== (kind === 'file-present')) {
					throw new Failure(`${kind} ${words[0]}: found ${matches.length ? matches : 'no such file'}`);
				}
				return undefined;
			}
			case 'require-data': {
				const folder = path.join(DATA_FOLDER, words[0]);
				if (!fs.existsSync(folder)) {
					throw new Skip(`data set ${words[0]} is not in ${DATA_FOLDER}`);
				}
				this.substitutions.set('__DATA__', folder);
				return undefined;
			}
			default: throw new Failure(`unknown directive "${kind}"`);
		}
	}

	async repeat(record, name, values) {
		for (const value of values) {
			this.substitutions.set(`\${${name}}`, String(value));
			await this.runAll(record.body);
		}
	}

	async runStatement(record, [outcome, connectionName]) {
		if (outcome !== 'ok' && outcome !== 'error') {
			throw new Failure(`expected "statement ok" or "statement error", found "${outcome}"`);
		}
		const connection = await this.connection(connectionName);
		const message = await connection.run(this.substitute(record.sql))
			.then(() => undefined, (error) => error.message);
		if (outcome === 'ok' && message !== undefined) {
			throw new Failure(message);
		}
		if (outcome === 'error') {
			const expected = this.substitute(record.expected ?? '').trim();
			const isExpected = expected.startsWith('<REGEX>:')
				? new RegExp(expected.slice('<REGEX>:'.length), 's').test(message ?? '')
				: message?.includes(expected);
			if (message === undefined || !isExpected) {
				throw new Failure(`expected the error\n${expected}\nfound\n${message ?? 'success'}`);
			}
		}
	}

	async runQuery(record, [types, ...words]) {
		const isSorted = words[0] === 'rowsort';
		const connection = await this.connection(isSorted || words[0] === 'nosort' ? words[1] : words[0]);
		const result = await connection.runAndReadAll(this.substitute(record.sql));
		const rows = result.getRows().map((row) => row.map(formatValue));
		if (rows.length > 0 && rows[0].length !== types.length) {
			throw new Failure(`expected ${types.length} columns, found ${rows[0].length}`);
		}
		const difference = compareRows(rows, this.substitute(record.expected ?? ''), isSorted);
		if (difference) {
			throw new Failure(difference);
		}
	}
}

async function runFile(file, extension) {
	const testFolder = fs.mkdtempSync(path.join(os.tmpdir(), 'lm_diskann_test_'));
	const run = new TestRun(extension, testFolder);
	try {
		await run.runAll(parseRecords(fs.readFileSync(file, 'utf8').split(/\r?\n/), { line: 0 }, false));
	} finally {
		run.close();
		fs.rmSync(testFolder, { recursive: true, force: true });
	}
}

const { values: options, positionals } = parseArgs({
	allowPositionals: true,
	options: { extension: { type: 'string', default: path.join(ROOT, 'build/release/lm_diskann.duckdb_extension') } },
});
const sqlFolder = path.join(ROOT, 'test/sql');
const listSqlTests = () => fs.readdirSync(sqlFolder).filter((name) => name.endsWith('.test')).sort();
const files = positionals.length > 0 ? positionals : listSqlTests().map((name) => path.join(sqlFolder, name));
const count = { passed: 0, failed: 0, skipped: 0 };
for (const file of files) {
	const name = path.relative(ROOT, file);
	try {
		await runFile(file, path.resolve(options.extension));
		count.passed++;
	} catch (error) {
		count[error instanceof Skip ? 'skipped' : 'failed']++;
		console.log(`${name}: ${error instanceof Skip ? 'skipped: ' : ''}${error.message}\n`);
	}
}
console.log(`${count.passed} passed, ${count.failed} failed${count.skipped ? `, ${count.skipped} skipped` : ''}`);
process.exitCode = count.failed > 0 ? 1 : count.passed === 0 ? SKIPPED_EXIT_CODE : 0;
