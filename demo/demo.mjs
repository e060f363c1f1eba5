// The main job in one run: an LM_DISKANN index on real vectors, its answers beside the exact ones, and what it costs.
//
//   node demo/demo.mjs                                                  words of /usr/share/dict/words, as n-grams
//   node demo/demo.mjs --parquet f.parquet --column vec --metric l2sq   any Parquet file with a vector column
//
// Everything goes through SQL and the loadable extension, as a user's program would do it.
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import duckdb from '@duckdb/node-api';
import { misspell, wordVector, WORD_DIMENSIONS } from './words.mjs';

const ROOT = path.resolve(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), '..');
const EXTENSION = path.join(ROOT, 'build/release/lm_diskann.duckdb_extension');
const FOLDER = path.join(ROOT, 'build/demo');
const WORDS_FILE = '/usr/share/dict/words';
const QUERY_COUNT = 200;
const CHUNK_ROWS = 2048;
const K = 10;
const SHOWN_QUERIES = ['acommodate', 'definately', 'recieve', 'seperate', 'embarass', 'rythm'];
const DISTANCES = {
	l2sq: 'array_distance',
	cosine: 'array_cosine_distance',
	ip: 'array_negative_inner_product',
};

const { values: options } = parseArgs({
	options: {
		parquet: { type: 'string' },
		column: { type: 'string', default: 'vec' },
		metric: { type: 'string' },
	},
});

const print = (label, text) => console.log(`  ${label.padEnd(26)}${text}`);
const milliseconds = (start) => Number(process.hrtime.bigint() - start) / 1e6;
const mebibytes = (bytes) => `${(Number(bytes) / 2 ** 20).toFixed(1)} MiB`;
const peakMemory = () => mebibytes(process.resourceUsage().maxRSS * 1024);

function percentile(sorted, share) {
	return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

async function rows(connection, sql) {
	return (await connection.runAndReadAll(sql)).getRowObjects();
}

//! Fills table `demo(id, label, vec)` with the words; returns what the rest needs to know.
async function loadWords(connection) {
	const words = fs.readFileSync(WORDS_FILE, 'utf8').split('\n').filter((word) => word !== '');
	await connection.run(`CREATE TABLE demo (id BIGINT, label VARCHAR, vec FLOAT[${WORD_DIMENSIONS}])`);
	const appender = await connection.createAppender('demo');
	const types = [duckdb.BIGINT, duckdb.VARCHAR, duckdb.ARRAY(duckdb.FLOAT, WORD_DIMENSIONS)];
	for (let first = 0; first < words.length; first += CHUNK_ROWS) {
		const part = words.slice(first, first + CHUNK_ROWS);
		const chunk = duckdb.DuckDBDataChunk.create(types, part.length);
		chunk.setColumns([
			part.map((_, i) => BigInt(first + i)),
			part,
			part.map((word) => duckdb.arrayValue(wordVector(word))),
		]);
		appender.appendDataChunk(chunk);
	}
	appender.closeSync();
	const step = Math.floor(words.length / QUERY_COUNT);
	const queries = Array.from({ length: QUERY_COUNT }, (_, i) => wordVector(misspell(words[i * step], i)));
	return { source: `${WORDS_FILE}, character n-grams`, dimensions: WORD_DIMENSIONS, metric: 'cosine', queries };
}

//! Fills the table from a Parquet file; evenly spaced rows are held out as queries.
async function loadParquet(connection) {
	const metric = options.metric ?? 'l2sq';
	if (!(metric in DISTANCES)) {
		throw new Error(`METRIC must be one of ${Object.keys(DISTANCES).join(', ')}, found ${metric}`);
	}
	const file = options.parquet.replaceAll("'", "''");
	const column = `"${options.column.replaceAll('"', '""')}"`;
	const [{ total, dimensions }] = await rows(
		connection,
		`SELECT count(*) AS total, max(len(${column})) AS dimensions FROM read_parquet('${file}')`,
	);
	const step = Math.max(1, Math.floor(Number(total) / QUERY_COUNT));
	await connection.run(`CREATE TEMP TABLE source AS
		SELECT file_row_number AS id, ${column}::FLOAT[${dimensions}] AS vec
		FROM read_parquet('${file}', file_row_number = true)`);
	await connection.run(`CREATE TABLE demo AS
		SELECT id, 'row ' || id AS label, vec FROM source WHERE id % ${step} <> 0 OR id >= ${step * QUERY_COUNT}`);
	const held = await rows(
		connection,
		`SELECT vec FROM source WHERE id % ${step} = 0 AND id < ${step * QUERY_COUNT} ORDER BY id`,
	);
	await connection.run('DROP TABLE source');
	const queries = held.map((row) => Array.from(row.vec.items));
	return { source: options.parquet, dimensions: Number(dimensions), metric, queries };
}

//! Runs each query once; returns the ids found, latencies in ascending order and the blocks read.
async function measure(connection, data, useIndex) {
	await connection.run(`SET lm_diskann_enable_index_scan = ${useIndex}`);
	const statement = await connection.prepare(`SELECT id, label FROM demo
		ORDER BY ${DISTANCES[data.metric]}(vec, $1::FLOAT[${data.dimensions}]) LIMIT ${K}`);
	const type = duckdb.ARRAY(duckdb.FLOAT, data.dimensions);
	const readBlocks = async () => {
		const [stats] = await rows(connection, 'SELECT blocks_read FROM lm_diskann_stats()');
		return Number(stats.blocks_read);
	};
	const blocksBefore = await readBlocks();
	const answers = [];
	const latencies = [];
	for (const query of data.queries) {
		const start = process.hrtime.bigint();
		statement.bindArray(1, duckdb.arrayValue(query), type);
		const answer = (await statement.runAndReadAll()).getRowObjects();
		latencies.push(milliseconds(start));
		answers.push(answer.map((row) => row.id));
	}
	latencies.sort((a, b) => a - b);
	return { answers, latencies, blocks: ((await readBlocks()) - blocksBefore) / data.queries.length };
}

function recall(answers, exact) {
	let found = 0;
	answers.forEach((answer, i) => {
		const wanted = new Set(exact[i]);
		found += answer.filter((id) => wanted.has(id)).length;
	});
	return found / exact.flat().length;
}

function printRun(name, run, exact) {
	const quality = exact ? `recall@${K} ${recall(run.answers, exact).toFixed(4)}   ` : `${''.padEnd(19)}`;
	const p50 = percentile(run.latencies, 0.5).toFixed(2).padStart(7);
	const p99 = percentile(run.latencies, 0.99).toFixed(2).padStart(7);
	const blocks = exact ? `   ${run.blocks.toFixed(1)} blocks read per query` : '';
	print(name, `${quality}p50 ${p50} ms   p99 ${p99} ms${blocks}`);
}

//! For the words: what the index answers to misspelled ones, for a person to judge.
async function showNeighbors(connection) {
	console.log('\nNearest words by the index (and by the exact scan where it differs)');
	for (const query of SHOWN_QUERIES) {
		const answers = [];
		for (const useIndex of [true, false]) {
			await connection.run(`SET lm_diskann_enable_index_scan = ${useIndex}`);
			const statement = await connection.prepare(`SELECT label FROM demo
				ORDER BY array_cosine_distance(vec, $1::FLOAT[${WORD_DIMENSIONS}]) LIMIT 5`);
			const type = duckdb.ARRAY(duckdb.FLOAT, WORD_DIMENSIONS);
			statement.bindArray(1, duckdb.arrayValue(wordVector(query)), type);
			answers.push((await statement.runAndReadAll()).getRowObjects().map((row) => row.label).join(', '));
		}
		print(query, answers[0]);
		if (answers[0] !== answers[1]) {
			print('', `exact: ${answers[1]}`);
		}
	}
}

fs.rmSync(FOLDER, { recursive: true, force: true });
fs.mkdirSync(FOLDER, { recursive: true });
const database = path.join(FOLDER, 'demo.duckdb');
const instance = await duckdb.DuckDBInstance.create(database, { allow_unsigned_extensions: 'true' });
const connection = await instance.connect();
await connection.run(`LOAD '${EXTENSION}'`);

console.log('Data');
const data = await (options.parquet ? loadParquet(connection) : loadWords(connection));
const [{ count }] = await rows(connection, 'SELECT count(*) AS count FROM demo');
print('source', data.source);
print('rows, dimensions', `${count} x ${data.dimensions}, metric ${data.metric}`);

console.log('\nBuild');
const buildStart = process.hrtime.bigint();
await connection.run(`CREATE INDEX demo_idx ON demo USING LM_DISKANN (vec) WITH (metric = '${data.metric}')`);
const buildSeconds = milliseconds(buildStart) / 1e3;
const [info] = await rows(connection, 'FROM lm_diskann_index_info()');
print('time', `${buildSeconds.toFixed(1)} s, ${Math.round(Number(count) / buildSeconds)} vectors/s`);
print('block', `${info.block_size_bytes} bytes, R ${info.R}, codes ${info.codes}`);
const vectorBytes = Math.round(Number(info.file_size_bytes) / Number(count));
print('index file', `${mebibytes(info.file_size_bytes)}, ${vectorBytes} bytes per vector (raw ${4 * data.dimensions})`);
print('peak RSS', `${peakMemory()} of the process, DuckDB and build included`);

console.log(`\n${QUERY_COUNT} queries, ${K} nearest`);
const exact = await measure(connection, data, false);
printRun('exact scan', exact);
const [{ defaultSize }] = await rows(connection, "SELECT current_setting('lm_diskann_cache_size') AS defaultSize");
for (const [name, size] of [['index, cache 16 MiB', '16MiB'], [`index, cache ${defaultSize}`, defaultSize]]) {
	await connection.run(`SET lm_diskann_cache_size = '${size}'`);
	await measure(connection, data, true); // warms up what fits the cache
	printRun(name, await measure(connection, data, true), exact.answers);
	const [memory] = await rows(
		connection,
		"SELECT memory_usage_bytes AS bytes FROM duckdb_memory() WHERE tag = 'EXTENSION'",
	);
	print('', `memory of the extension: ${mebibytes(memory.bytes)}`);
}
if (!options.parquet) {
	await showNeighbors(connection);
}
connection.closeSync();
instance.closeSync();
