// Filtered search against the alternatives: recall@10, latency and blocks read.
//
//   node bench/filters.mjs EXTENSION WORK_FOLDER DATA_SET [QUERIES [ROWS]]
//
// DATA_SET is a folder of ../shared/data (or of $LMD_DATA), or "synthetic". The filter keeps 50, 10, 1 or 0.1 % of the
// rows, chosen at random, nearest to the query (correlated), or farthest from it (anti-correlated); and for data sets
// with labels, the rows with the query's label. Each query runs with each strategy of lm_diskann_filter_strategy and
// without the index (scan), as a prepared statement. Times are those that all threads of the process were at work, the
// least of REPEATS.
// A strategy that needs over SECONDS_MAX for a query is not run for the others of its line.
//
// For each line: recall of auto, its time and that of the others in milliseconds, the ratio to the best of them, blocks
// visited by auto, and what it did. Exit code 1: a recall below 0.95.
import fs from 'node:fs';
import path from 'node:path';
import duckdb from '@duckdb/node-api';

const K = 10;
const REPEATS = 8;
const SECONDS_MAX = 0.4;
const RECALL_FLOOR = 0.95;
const PIVOTS = 4;
const SELECTIVITIES = [0.5, 0.1, 0.01, 0.001];
const STRATEGIES = ['auto', 'exact', 'graph', 'post', 'scan'];

const [extension, workFolder, name, queryArgument, rowArgument] = process.argv.slice(2);
const root = path.resolve(path.dirname(new URL(import.meta.url).pathname), '..');
const folder = path.join(process.env.LMD_DATA ?? path.join(root, '../shared/data'), name);
const isSynthetic = name === 'synthetic';
const [, dimensions, metric] = isSynthetic ? [0, '32', 'l2'] : /-(\d+)-(l2|cos)$/.exec(name);
const distance = metric === 'l2' ? 'array_distance' : 'array_cosine_distance';
const queryCount = Number(queryArgument ?? 16);
const rowLimit = rowArgument ? `WHERE id < ${Number(rowArgument)}` : '';
const database = path.join(workFolder, `filters-${name}-${rowArgument ?? 'all'}.duckdb`);

if (!isSynthetic && !fs.existsSync(path.join(folder, 'base.parquet'))) {
	console.log(`${name}: skipped, ${folder} is not here`);
	process.exit(77);
}
fs.mkdirSync(workFolder, { recursive: true });
const isNew = !fs.existsSync(database);
const instance = await duckdb.DuckDBInstance.create(database, { allow_unsigned_extensions: 'true' });
const connection = await instance.connect();
const run = (sql) => connection.run(sql);
const rows = async (sql) => (await connection.runAndReadAll(sql)).getRowObjects();
await run(`LOAD '${extension}'`);

//! Base rows have `spread`, a random number in [0, 1), and for each pivot query their rank by distance, from 0 to 1.
async function create() {
	const vector = (rowId) =>
		`(SELECT list(sin(${rowId} % 97 * (d + 1)) * 2 + sin(${rowId} * 12.9898 + d * 78.233) ORDER BY d)::FLOAT[32]
		  FROM range(32) r(d))`;
	const base = isSynthetic
		? `(SELECT i AS id, i % 10 AS label, ${vector('i')} AS vec FROM range(100000) s(i))`
		: `'${folder}/base.parquet'`;
	const queries = isSynthetic
		? `(SELECT i AS id, i % 10 AS label, ${vector('(i * 6151 + 100003)')} AS vec FROM range(1000) s(i))`
		: `'${folder}/queries.parquet'`;
	await run('SELECT setseed(0.5)');
	await run(`CREATE TABLE queries AS SELECT id, label, vec::FLOAT[${dimensions}] AS vec FROM ${queries} ORDER BY id`);
	await run(
		`CREATE TABLE pivots AS SELECT row_number() OVER () - 1 AS place, vec FROM (FROM queries LIMIT ${PIVOTS})`,
	);
	const ranks = Array.from({ length: PIVOTS }, (_, place) =>
		`percent_rank() OVER (ORDER BY ${distance}(vec, (SELECT vec FROM pivots WHERE place = ${place})))::FLOAT
		 AS rank${place}`);
	await run(`CREATE TABLE plain AS SELECT id, label, vec::FLOAT[${dimensions}] AS vec FROM ${base} ${rowLimit}`);
	await run(`CREATE TABLE base AS SELECT id, label, vec, random()::FLOAT AS spread, ${ranks} FROM plain ORDER BY id`);
	await run('DROP TABLE plain');
	const option = metric === 'l2' ? 'l2sq' : 'cosine';
	await run(`CREATE INDEX base_idx ON base USING LM_DISKANN (vec) WITH (metric = '${option}')`);
	await run('CHECKPOINT');
}

const literal = (items) => `[${items.join(',')}]::FLOAT[${dimensions}]`;

async function choose(strategy) {
	await run(`SET lm_diskann_enable_index_scan = ${strategy !== 'scan'}`);
	await run(`SET lm_diskann_filter_strategy = '${strategy === 'scan' ? 'auto' : strategy}'`);
}

//! Runs one query with one strategy: distances of its answer, time in ms, blocks visited.
async function search(strategy, vector, where) {
	await choose(strategy);
	const sql = (query) => `SELECT id, ${distance}(vec, ${query}) AS d FROM base WHERE ${where} ORDER BY d LIMIT ${K}`;
	const statement = await connection.prepare(sql(`$1::FLOAT[${dimensions}]`));
	statement.bindArray(1, duckdb.arrayValue(vector), duckdb.ARRAY(duckdb.FLOAT, Number(dimensions)));
	let best = Infinity;
	let answer;
	const before = (await rows('FROM lm_diskann_stats()'))[0];
	for (let i = 0; i < REPEATS && (i === 0 || best < 1000 * SECONDS_MAX); i++) {
		const start = process.cpuUsage();
		answer = (await statement.runAndReadAll()).getRowObjects();
		const used = process.cpuUsage(start);
		best = Math.min(best, (used.user + used.system) / 1000);
	}
	const after = (await rows('FROM lm_diskann_stats()'))[0];
	const searches = Math.max(1, Number(after.queries - before.queries));
	const visited = Number(after.blocks_read + after.cache_hits - before.blocks_read - before.cache_hits) / searches;
	return { distances: answer.map((row) => row.d), milliseconds: best, visited, sql: sql(literal(vector)) };
}

//! What auto did, from EXPLAIN ANALYZE.
async function describe(sql) {
	await choose('auto');
	const text = (await rows(`EXPLAIN (ANALYZE, FORMAT json) ${sql}`)).map((row) => row.explain_value).join('');
	const field = (key) => new RegExp(`"${key}": "([^"]*)"`).exec(text)?.[1];
	return [field('Filter Strategy'), field('Strategy Switches')].filter(Boolean).join('; ');
}

if (isNew) {
	await create();
}
let worst = 1;
async function measure(title, cases) {
	const sums = Object.fromEntries(STRATEGIES.map((strategy) => [strategy, 0]));
	const counts = { ...sums };
	const isSlow = new Set();
	let [hits, wanted, visited] = [0, 0, 0];
	const deeds = new Map();
	for (const { vector, where } of cases) {
		const results = {};
		for (const strategy of STRATEGIES) {
			if (isSlow.has(strategy)) {
				continue;
			}
			const result = await search(strategy, vector, where);
			results[strategy] = result;
			sums[strategy] += result.milliseconds;
			counts[strategy]++;
			if (result.milliseconds > 1000 * SECONDS_MAX && strategy !== 'auto' && strategy !== 'scan') {
				isSlow.add(strategy);
			}
		}
		const exact = results.scan.distances;
		const farthest = (exact.at(-1) ?? 0) * (1 + 1e-5) + 1e-6;
		hits += results.auto.distances.filter((value) => value <= farthest).length;
		wanted += exact.length;
		visited += results.auto.visited;
		const deed = await describe(results.auto.sql);
		deeds.set(deed, (deeds.get(deed) ?? 0) + 1);
	}
	const means = Object.fromEntries(STRATEGIES.map((strategy) => [strategy, sums[strategy] / counts[strategy]]));
	const others = STRATEGIES.slice(1).filter((strategy) => !isSlow.has(strategy)).map((strategy) => means[strategy]);
	const recall = hits / wanted;
	worst = Math.min(worst, recall);
	const deed = [...deeds].sort((a, b) => b[1] - a[1])[0][0];
	const times = STRATEGIES.map((s) => `${s} ${isSlow.has(s) ? '> ' : ''}${means[s].toFixed(2)}`).join(', ');
	console.log(
		`${name} ${title.padEnd(24)} recall ${recall.toFixed(3)}, ms: ${times}, ` +
			`ratio ${(means.auto / Math.min(...others)).toFixed(2)}, ` +
			`blocks ${(visited / cases.length).toFixed(0)}, ${deed}`,
	);
}

const near = await rows(
	`SELECT place, vec FROM (SELECT place, q.vec,
	   row_number() OVER (PARTITION BY place ORDER BY ${distance}(q.vec, p.vec)) AS n FROM queries q, pivots p)
	 WHERE n <= ${Math.ceil(queryCount / PIVOTS)} ORDER BY place, n`,
);
for (const share of SELECTIVITIES) {
	const cases = (where) => near.map((row) => ({ vector: row.vec.items, where: where(row.place) }));
	await measure(`${100 * share} % random`, cases(() => `spread < ${share}`));
	await measure(`${100 * share} % correlated`, cases((place) => `rank${place} < ${share}`));
	await measure(`${100 * share} % anti-correlated`, cases((place) => `rank${place} > ${1 - share}`));
}
const labelled = await rows(`SELECT vec, label FROM queries ORDER BY id LIMIT ${queryCount}`);
await measure('own label', labelled.map((row) => ({ vector: row.vec.items, where: `label = ${row.label}` })));
process.exitCode = worst < RECALL_FLOOR ? 1 : 0;
connection.closeSync();
instance.closeSync();
