// Property: every SQL statement of every document runs. Blocks fenced as ```sql in README.md, docs and examples, and
// examples/*.sql, are executed statement by statement, each file in a database of its own; a block fenced as
// ```sql fails has only statements that fail. Relative links lead to files that exist, and README.md keeps its length.
// usage: node test/documents_test.mjs EXTENSION WORK_FOLDER
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { DuckDBInstance } from '@duckdb/node-api';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const README_LINES_MAX = 250;
const LOAD = /LOAD '[^']*lm_diskann\.duckdb_extension'/g;
const [extension, parent] = process.argv.slice(2);
fs.mkdirSync(parent, { recursive: true });
const folder = fs.mkdtempSync(path.join(parent, 'run-'));

const problems = [];

function listDocuments() {
	const inFolder = (name) => fs.readdirSync(path.join(ROOT, name), { recursive: true })
		.map((file) => path.join(name, file)).filter((file) => /\.(md|sql)$/.test(file));
	return ['README.md', 'CHANGELOG.md', ...inFolder('docs'), ...inFolder('examples')];
}

/** Blocks {line, text, fails} of SQL in a document. */
function sqlBlocks(name, text) {
	if (name.endsWith('.sql')) {
		return [{ line: 1, text, fails: false }];
	}
	const blocks = [];
	for (const match of text.matchAll(/^```sql( fails)?\n(.*?)^```$/gms)) {
		blocks.push({ line: text.slice(0, match.index).split('\n').length, text: match[2], fails: Boolean(match[1]) });
	}
	return blocks;
}

async function runBlock(connection, name, block) {
	let executed = 0;
	const statements = await connection.extractStatements(block.text.replaceAll(LOAD, `LOAD '${extension}'`));
	for (let i = 0; i < statements.count; i++) {
		const outcome = await statements.prepare(i).then((prepared) => prepared.runAndReadAll())
			.then(() => undefined, (error) => error.message);
		executed++;
		if ((outcome !== undefined) !== block.fails) {
			problems.push(`${name}:${block.line}: statement ${i + 1}: ${outcome ?? 'was expected to fail'}`);
		}
	}
	return executed;
}

async function runDocument(name) {
	const text = fs.readFileSync(path.join(ROOT, name), 'utf8');
	checkLinks(name, text);
	const blocks = sqlBlocks(name, text);
	if (blocks.length === 0) {
		return 0;
	}
	const work = path.join(folder, name.replaceAll(path.sep, '_'));
	fs.mkdirSync(work, { recursive: true });
	process.chdir(work);
	const instance = await DuckDBInstance.create('document.duckdb', { allow_unsigned_extensions: 'true' });
	const connection = await instance.connect();
	await connection.run(`LOAD '${extension}'`);
	let executed = 0;
	for (const block of blocks) {
		executed += await runBlock(connection, name, block).catch((error) => {
			problems.push(`${name}:${block.line}: ${error.message}`);
			return 0;
		});
	}
	connection.closeSync();
	instance.closeSync();
	console.log(`${name}: ${executed} statements in ${blocks.length} blocks`);
	return executed;
}

function checkLinks(name, text) {
	for (const [, target] of text.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)) {
		if (!/^[a-z]+:/.test(target) && !fs.existsSync(path.resolve(ROOT, path.dirname(name), target))) {
			problems.push(`${name}: the link to ${target} leads nowhere`);
		}
	}
}

let total = 0;
for (const name of listDocuments()) {
	total += await runDocument(name);
}
process.chdir(ROOT);
fs.rmSync(folder, { recursive: true, force: true });
const readmeLines = fs.readFileSync(path.join(ROOT, 'README.md'), 'utf8').split('\n').length - 1;
if (readmeLines > README_LINES_MAX) {
	problems.push(`README.md has ${readmeLines} lines, at most ${README_LINES_MAX}`);
}
problems.forEach((problem) => console.log(problem));
console.log(`${total} SQL statements executed, ${problems.length} problems`);
process.exitCode = problems.length > 0 || total === 0 ? 1 : 0;
