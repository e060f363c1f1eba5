// Recall on real vectors, in SQL through the index: default options, cache at 16 MiB.
//
//   node test/data/recall.mjs EXTENSION WORK_FOLDER DATA_SET
//
// For the data set (a folder of ../shared/data, or of $LMD_DATA) it holds that
//   recall@10 is at least 0.95 against the stored exact answers,
//   the extension's memory stays under 24 MiB while it answers (duckdb_memory()),
//   the same answers come after closing and reopening the database,
//   lm_diskann_verify finds nothing,
//   a target recall is reached, but for 0.01,
//   lm_diskann_advise, asked before the build, foresees size, recall and blocks visited within 30 %.
// It prints what a query costs. Exit code 77: the data are not here, the test is skipped.
import fs from 'node:fs';
import path from 'node:path';
import duckdb from '@duckdb/node-api';

const K = 10;
const RECALL_FLOOR = 0.95;
const CACHE_SIZE = '16MiB';
const MEMORY_BYTES_MAX = 24 * 2 ** 20;
const TARGETS = [0.9, 0.95, 0.99];
const TARGET_TOLERANCE = 0.01;
const ADVICE_TOLERANCE = 0.3;
const LIST_SIZES = [10, 16, 24, 32, 48, 64, 80];

const [extension, workFolder, name] = process.argv.slice(2);
const root = path.resolve(path.dirname(new URL(import.meta.url).pathname), '../..');
const folder = path.join(process.env.LMD_DATA ?? path.join(root, '../shared/data'), name);
const [, dimensions, metric] = /-(\d+)-(l2|cos)$/.exec(name);
const distance = metric === 'l2' ? 'array_distance' : 'array_cosine_distance';
const database = path.join(workFolder, `${name}.duckdb`);

function fail(message) {
	console.error(`${name}: ${message}`);
	process.exitCode = 1;
}

function removeDatabase() {
	for (const suffix of ['', '.wal', '.lmdiskann']) {
		fs.rmSync(database + suffix, { recursive: true, force: true });
	}
}

async function open() {
	const instance = await duckdb.DuckDBInstance.create(database, { allow_unsigned_extensions: 'true' });
	const connection = await instance.connect();
	await connection.run(`LOAD '${extension}'`);
	await connection.run(`SET lm_diskann_cache_size = '${CACHE_SIZE}'`);
	const one = async (sql) => (await connection.runAndReadAll(sql)).getRowObjects()[0];
	return {
		connection,
		one,
		memoryBytes: async () =>
			Number((await one("SELECT memory_usage_bytes AS b FROM duckdb_memory() WHERE tag = 'EXTENSION'")).b),
		close: () => {
			connection.closeSync();
			instance.closeSync();
		},
	};
}

//! Runs all queries; returns the answers and the blocks visited and read for a query.
async function search(db, queries) {
	const statement = await db.connection.prepare(
		`SELECT id FROM base ORDER BY ${distance}(vec, $1::FLOAT[${dimensions}]) LIMIT ${K}`,
	);
	const type = duckdb.ARRAY(duckdb.FLOAT, Number(dimensions));
	const before = await db.one('FROM lm_diskann_stats()');
	const answers = [];
	const start = process.hrtime.bigint();
	for (const query of queries) {
		statement.bindArray(1, duckdb.arrayValue(query.vec.items), type);
		answers.push((await statement.runAndReadAll()).getRows().map((row) => Number(row[0])));
	}
	const mean = Number(process.hrtime.bigint() - start) / 1e6 / queries.length;
	const after = await db.one('FROM lm_diskann_stats()');
	const count = (column) => Number(after[column] - before[column]) / queries.length;
	if (count('queries') !== 1) {
		fail(`${count('queries')} index searches for each query, 1 was expected`);
	}
	const read = count('blocks_read');
	let found = 0;
	answers.forEach((answer, i) => {
		const exact = new Set(queries[i].neighbors.items.slice(0, K).map(Number));
		found += answer.filter((id) => exact.has(id)).length;
	});
	return { answers, recall: found / (K * queries.length), visited: read + count('cache_hits'), read, mean };
}

function expectNear(what, foreseen, found) {
	console.log(`${name}: advice: ${what} ${Number(foreseen).toFixed(3)}, found ${Number(found).toFixed(3)}`);
	if (Math.abs(Number(foreseen) - Number(found)) > ADVICE_TOLERANCE * Number(found)) {
		fail(`${what}: ${foreseen} was foreseen, ${found} found`);
	}
}

//! What was foreseen before the build, beside what is.
async function checkAdvice() {
	const info = await db.one('FROM lm_diskann_index_info()');
	expectNear('rows', advice[0].row_count, info.row_count);
	expectNear('bytes of the file', advice[0].disk_bytes, info.file_size_bytes);
	for (const point of advice.filter((row) => row.L === 32n || row.L === 64n || row.is_recommended)) {
		await db.connection.run(`SET lm_diskann_l_search = ${point.L}`);
		const run = await search(db, queries);
		expectNear(`recall at L ${point.L}`, point.recall, run.recall);
		expectNear(`blocks at L ${point.L}`, point.blocks, run.visited);
	}
	await db.connection.run('RESET lm_diskann_l_search');
}

if (!fs.existsSync(path.join(folder, 'base.parquet'))) {
	console.log(`${name}: skipped, ${folder} is not here`);
	process.exit(77);
}
fs.mkdirSync(workFolder, { recursive: true });
removeDatabase();
let db = await open();
await db.connection.run(
	`CREATE TABLE base AS SELECT id, vec::FLOAT[${dimensions}] AS vec FROM '${folder}/base.parquet' ORDER BY id`,
);
const indexMetric = metric === 'l2' ? 'l2sq' : 'cosine';
const advice = (
	await db.connection.runAndReadAll(`FROM lm_diskann_advise('base', 'vec', metric := '${indexMetric}')`)
).getRowObjects();
const start = process.hrtime.bigint();
await db.connection.run(
	`CREATE INDEX base_idx ON base USING LM_DISKANN (vec) WITH (metric = '${indexMetric}')`,
);
const buildSeconds = Number(process.hrtime.bigint() - start) / 1e9;
const queries = (
	await db.connection.runAndReadAll(`SELECT vec, neighbors FROM '${folder}/queries.parquet' ORDER BY id`)
).getRowObjects();
const info = await db.one('FROM lm_diskann_index_info()');
console.log(
	`${name}: ${info.row_count} rows, built in ${buildSeconds.toFixed(1)} s, ` +
		`block ${info.block_size_bytes}, R ${info.R}, codes ${info.codes}, ` +
		`${Math.round(Number(info.file_size_bytes) / Number(info.row_count))} bytes per vector`,
);

const first = await search(db, queries);
console.log(
	`${name}: L ${info.L_search}: recall@10 ${first.recall.toFixed(4)}, ${first.visited.toFixed(1)} blocks visited, ` +
		`${first.read.toFixed(1)} read, ${first.mean.toFixed(2)} ms per query`,
);
if (first.recall < RECALL_FLOOR) {
	fail(`recall@10 ${first.recall} is below ${RECALL_FLOOR}`);
}
const memory = await db.memoryBytes();
console.log(`${name}: memory of the extension ${(memory / 2 ** 20).toFixed(1)} MiB`);
if (memory === 0 || memory > MEMORY_BYTES_MAX) {
	fail(`the extension holds ${memory} bytes, at most ${MEMORY_BYTES_MAX} were expected`);
}
for (const size of LIST_SIZES) {
	await db.connection.run(`SET lm_diskann_l_search = ${size}`);
	const run = await search(db, queries);
	if (run.recall >= RECALL_FLOOR) {
		console.log(
			`${name}: recall 0.95 from L ${size}: recall@10 ${run.recall.toFixed(4)}, ` +
				`${run.visited.toFixed(1)} blocks visited, ${run.read.toFixed(1)} read, ` +
				`${run.mean.toFixed(2)} ms per query`,
		);
		break;
	}
}
await db.connection.run('RESET lm_diskann_l_search');
for (const target of TARGETS) {
	await db.connection.run(`SET lm_diskann_target_recall = ${target}`);
	const run = await search(db, queries);
	const found = `recall@10 ${run.recall.toFixed(4)}, ${run.visited.toFixed(1)} blocks visited`;
	console.log(`${name}: target recall ${target}: ${found}`);
	if (run.recall < target - TARGET_TOLERANCE) {
		fail(`with a target recall of ${target} recall@10 is ${run.recall}`);
	}
}
await db.connection.run('RESET lm_diskann_target_recall');
await checkAdvice();
db.close();

db = await open();
const second = await search(db, queries);
if (JSON.stringify(second.answers) !== JSON.stringify(first.answers)) {
	fail('the reopened index gives other answers');
}
const violations = (await db.connection.runAndReadAll("FROM lm_diskann_verify('base_idx')")).getRows();
if (violations.length > 0) {
	fail(`lm_diskann_verify found ${violations.length} violations, the first: ${violations[0].join(' ')}`);
}
db.close();
removeDatabase();
