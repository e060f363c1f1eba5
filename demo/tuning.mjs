// The figures of docs/TUNING.md, measured: recall and blocks by L and by target, blocks read by cache size, recall and
// blocks after deletes. Prints tables and draws docs/tuning.svg.
//
//   node demo/tuning.mjs [--rows 20000]        words of /usr/share/dict/words, as n-grams of 256 dimensions
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';
import duckdb from '@duckdb/node-api';
import { drawPlots } from './plot.mjs';
import { misspell, wordVector, WORD_DIMENSIONS } from './words.mjs';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const EXTENSION = path.join(ROOT, 'build/release/lm_diskann.duckdb_extension');
const FOLDER = path.join(ROOT, 'build/tuning');
const QUERY_COUNT = 150, CHUNK_ROWS = 2048;
const LIST_SIZES = [10, 16, 24, 32, 48, 64, 100, 150, 200];
const TYPE = duckdb.ARRAY(duckdb.FLOAT, WORD_DIMENSIONS);
const { values: options } = parseArgs({ options: { rows: { type: 'string', default: '20000' } } });

fs.rmSync(FOLDER, { recursive: true, force: true });
fs.mkdirSync(FOLDER, { recursive: true });
const instance = await duckdb.DuckDBInstance.create(path.join(FOLDER, 'tuning.duckdb'),
	{ allow_unsigned_extensions: 'true' });
const connection = await instance.connect();
await connection.run(`LOAD '${EXTENSION}'`);
const run = (sql) => connection.run(sql);
const rows = async (sql) => (await connection.runAndReadAll(sql)).getRowObjects();

async function load(words) {
	await run(`CREATE TABLE words (id BIGINT, word VARCHAR, vec FLOAT[${WORD_DIMENSIONS}])`);
	const appender = await connection.createAppender('words');
	for (let first = 0; first < words.length; first += CHUNK_ROWS) {
		const part = words.slice(first, first + CHUNK_ROWS);
		const chunk = duckdb.DuckDBDataChunk.create([duckdb.BIGINT, duckdb.VARCHAR, TYPE], part.length);
		chunk.setColumns([part.map((_, i) => BigInt(first + i)), part,
			part.map((word) => duckdb.arrayValue(wordVector(word)))]);
		appender.appendDataChunk(chunk);
	}
	appender.closeSync();
}

/** Answers to all queries, with blocks visited and read and milliseconds for each. */
async function ask(queries, k = 10) {
	const statement = await connection.prepare(`SELECT id FROM words
		ORDER BY array_cosine_distance(vec, $1::FLOAT[${WORD_DIMENSIONS}]) LIMIT ${k}`);
	const counters = async () => (await rows('FROM lm_diskann_stats()'))[0];
	const before = await counters();
	const start = process.hrtime.bigint();
	const answers = [];
	for (const query of queries) {
		statement.bindArray(1, duckdb.arrayValue(query), TYPE);
		answers.push((await statement.runAndReadAll()).getRows().map((row) => row[0]));
	}
	const milliseconds = Number(process.hrtime.bigint() - start) / 1e6 / queries.length;
	const after = await counters();
	const mean = (name) => Number(after[name] - before[name]) / queries.length;
	return { answers, milliseconds, read: mean('blocks_read'), visited: mean('blocks_read') + mean('cache_hits') };
}

async function exact(queries, k = 10) {
	await run('SET lm_diskann_enable_index_scan = false');
	const result = await ask(queries, k);
	await run('SET lm_diskann_enable_index_scan = true');
	return result;
}

function recall(answers, wanted) {
	const found = answers.map((answer, i) => answer.filter((id) => wanted[i].includes(id)).length);
	return found.reduce((sum, count) => sum + count, 0) / wanted.flat().length;
}

function table(head, lines) {
	console.log(`\n| ${head.join(' | ')} |\n|${head.map(() => ' --- |').join('')}`);
	lines.forEach((line) => console.log(`| ${line.join(' | ')} |`));
}

const all = fs.readFileSync('/usr/share/dict/words', 'utf8').split('\n').filter((word) => word !== '');
const step = Math.max(1, Math.floor(all.length / Number(options.rows)));
const words = all.filter((_, i) => i % step === 0);
const queries = Array.from({ length: QUERY_COUNT }, (_, i) =>
	wordVector(misspell(words[i * Math.floor(words.length / QUERY_COUNT)], i)));
await load(words);
await run("CREATE INDEX words_idx ON words USING LM_DISKANN (vec) WITH (metric = 'cosine')");
const [info] = await rows('FROM lm_diskann_index_info()');
console.log(`${words.length} words x ${WORD_DIMENSIONS}, block ${info.block_size_bytes}, R ${info.R}, `
	+ `codes ${info.codes}, file ${(Number(info.file_size_bytes) / 2 ** 20).toFixed(1)} MiB`);

const wanted = await exact(queries);
console.log(`exact scan: ${wanted.milliseconds.toFixed(1)} ms per query`);
const curve = [];
for (const L of LIST_SIZES) {
	await run(`SET lm_diskann_l_search = ${L}`);
	const result = await ask(queries);
	curve.push({ L, recall: recall(result.answers, wanted.answers), visited: result.visited });
}
await run('RESET lm_diskann_l_search');
table(['L', 'recall@10', 'blocks visited'], curve.map((p) => [p.L, p.recall.toFixed(3), p.visited.toFixed(0)]));

const targets = [];
for (const target of [0.9, 0.95, 0.99]) {
	await run(`SET lm_diskann_target_recall = ${target}`);
	for (const k of [1, 10, 100]) {
		const result = await ask(queries, k);
		const best = await exact(queries, k);
		targets.push([target, k, recall(result.answers, best.answers).toFixed(3), result.visited.toFixed(0)]);
	}
}
await run('RESET lm_diskann_target_recall');
table(['target recall', 'k', 'recall reached', 'blocks visited'], targets);

const caches = [];
for (const share of [0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.1]) {
	const kibibytes = Math.round(share * Number(info.file_size_bytes) / 1024);
	await run(`SET lm_diskann_cache_size = '${kibibytes}KiB'`);
	await ask(queries);
	const result = await ask(queries);
	caches.push({ share, read: result.read, visited: result.visited });
}
table(['cache, share of the file', 'blocks read of those visited'],
	caches.map((p) => [`${(100 * p.share).toFixed(0)} %`, `${(100 * p.read / p.visited).toFixed(0)} %`]));

const churn = [];
async function measureChurn(what) {
	const best = await exact(queries);
	const result = await ask(queries);
	const [now] = await rows('FROM lm_diskann_index_info()');
	churn.push([what, recall(result.answers, best.answers).toFixed(3), result.visited.toFixed(0),
		(Number(now.file_size_bytes) / 2 ** 20).toFixed(1)]);
}
await run(`SET lm_diskann_cache_size = '256MiB'`);
await measureChurn('as built');
await run('DELETE FROM words WHERE id % 3 = 0');
await measureChurn('a third deleted');
await run("PRAGMA lm_diskann_compact('words_idx')");
await measureChurn('compacted');
await run("PRAGMA lm_diskann_rebuild('words_idx')");
await measureChurn('rebuilt');
table(['index', 'recall@10', 'blocks visited', 'file, MiB'], churn);

fs.writeFileSync(path.join(ROOT, 'docs/tuning.svg'), drawPlots([
	{ title: 'Recall by L', x: 'L', y: 'recall@10', points: curve.map((p) => [p.L, p.recall]) },
	{ title: 'Blocks visited by L', x: 'L', y: 'blocks', points: curve.map((p) => [p.L, p.visited]) },
	{ title: 'Blocks read by cache size', x: 'cache, share of the file', y: 'share of those visited',
		points: caches.map((p) => [p.share, p.read / p.visited]) },
]));
connection.closeSync();
instance.closeSync();
