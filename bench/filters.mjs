// Filtered search against the alternatives: recall@10, latency and blocks read.
//
//   node bench/filters.mjs EXTENSION WORK_FOLDER DATA_SET [QUERIES [ROWS]]
//
// DATA_SET is a folder of ../shared/data (or of $LMD_DATA), or "synthetic". The filter keeps 50, 10, 1 or 0.1 % of the
// rows, chosen at random, nearest to the query (correlated), or farthest from it (anti-correlated); and for data sets
// with labels, the rows with the query's label. Each query runs with each strategy of lm_diskann_filter_strategy and
// without the index (scan), as a prepared statement.
// Times are those that all threads of the process were at work. The queries run up to ROUNDS times, each with one
// strategy after the other, so that what else the machine does meets all alike: the ratio is the median of those of the
// rounds. A strategy that takes HOPELESS times as long as the fastest in the first round is not run again, nor is scan.
//
// For each line: recall of auto, its time and that of the others in milliseconds, the ratio to the best of the three
// strategies with the quartiles of the rounds, blocks visited by auto, and what it did. Exit code 1: a recall below
// 0.95, or a ratio above 1.2.
import fs from 'node:fs';
import path from 'node:path';
import duckdb from '@duckdb/node-api';

const K = 10;
const ROUNDS = 9;
const ROUNDS_MIN = 3;
//! Rounds beyond ROUNDS_MIN take so long.
const MILLISECONDS_OF_ROUNDS = 8000;
const HOPELESS = 4;
//! Of one query: a strategy that takes longer is not run for the others of its line.
const MILLISECONDS_MAX = 400;
const RECALL_FLOOR = 0.95;
const RATIO_MAX = 1.2;
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

const sqlOf = (query, where) =>
	`SELECT id, ${distance}(vec, ${query}) AS d FROM base WHERE ${where} ORDER BY d LIMIT ${K}`;

//! One statement a case, planned for the strategy.
async function prepare(strategy, cases) {
	await choose(strategy);
	const statements = [];
	for (const { vector, where } of cases) {
		const statement = await connection.prepare(sqlOf(`$1::FLOAT[${dimensions}]`, where));
		statement.bindArray(1, duckdb.arrayValue(vector), duckdb.ARRAY(duckdb.FLOAT, Number(dimensions)));
		statements.push(statement);
	}
	return statements;
}

//! Milliseconds that the threads of the process were at work.
async function timed(statement) {
	const start = process.cpuUsage();
	const answer = (await statement.runAndReadAll()).getRowObjects();
	const used = process.cpuUsage(start);
	return { answer, milliseconds: (used.user + used.system) / 1000 };
}

async function blocksVisited() {
	const [stats] = await rows('FROM lm_diskann_stats()');
	return Number(stats.blocks_read + stats.cache_hits);
}

function quantile(values, share) {
	const sorted = [...values].sort((a, b) => a - b);
	return sorted[Math.round(share * (sorted.length - 1))];
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
let worstRatio = 0;

//! The first round, which also warms the caches: recall and blocks of auto, and times by strategy; unset: too slow.
async function firstRound(cases, statements) {
	const means = {};
	let [hits, wanted, visited] = [0, 0, 0];
	const exact = [];
	for (const strategy of [...STRATEGIES].reverse()) {
		let sum = 0;
		for (let i = 0; i < cases.length && sum < Infinity; i++) {
			const before = await blocksVisited();
			const { answer, milliseconds } = await timed(statements[strategy][i]);
			if (strategy === 'scan') {
				exact.push(answer.map((row) => row.d));
			} else if (strategy === 'auto') {
				const farthest = (exact[i].at(-1) ?? 0) * (1 + 1e-5) + 1e-6;
				hits += answer.filter((row) => row.d <= farthest).length;
				wanted += exact[i].length;
				visited += (await blocksVisited()) - before;
			}
			const isTooSlow = milliseconds > MILLISECONDS_MAX && strategy !== 'auto' && strategy !== 'scan';
			sum = isTooSlow ? Infinity : sum + milliseconds;
		}
		means[strategy] = sum / cases.length;
	}
	return { means, recall: hits / wanted, visited: visited / cases.length };
}

async function measure(title, cases) {
	const statements = {};
	for (const strategy of STRATEGIES) {
		statements[strategy] = await prepare(strategy, cases);
	}
	const { means, recall, visited } = await firstRound(cases, statements);
	const fastest = Math.min(...['exact', 'graph', 'post'].map((strategy) => means[strategy]));
	const raced = STRATEGIES.filter(
		(strategy) => strategy === 'auto' || (strategy !== 'scan' && means[strategy] <= HOPELESS * fastest),
	);
	const expected = cases.length * raced.reduce((sum, strategy) => sum + means[strategy], 0);
	const rounds = Math.max(ROUNDS_MIN, Math.min(ROUNDS, Math.floor(MILLISECONDS_OF_ROUNDS / expected)));
	const times = Object.fromEntries(raced.map((strategy) => [strategy, []]));
	const ratios = [];
	for (let round = 0; round < rounds; round++) {
		const sums = Object.fromEntries(raced.map((strategy) => [strategy, 0]));
		for (let i = 0; i < cases.length; i++) {
			for (let j = 0; j < raced.length; j++) {
				const strategy = raced[(i + j + round) % raced.length];
				sums[strategy] += (await timed(statements[strategy][i])).milliseconds;
			}
		}
		raced.forEach((strategy) => times[strategy].push(sums[strategy] / cases.length));
		ratios.push(sums.auto / Math.min(...raced.slice(1).map((strategy) => sums[strategy])));
	}
	raced.forEach((strategy) => (means[strategy] = quantile(times[strategy], 0.5)));
	const deeds = new Map();
	for (const { vector, where } of cases) {
		const deed = await describe(sqlOf(literal(vector), where));
		deeds.set(deed, (deeds.get(deed) ?? 0) + 1);
	}
	const deed = [...deeds].sort((a, b) => b[1] - a[1]).map(([text, count]) => `${count}x ${text}`).join(' | ');
	const [low, ratio, high] = [0.25, 0.5, 0.75].map((share) => quantile(ratios, share).toFixed(2));
	worst = Math.min(worst, recall);
	worstRatio = Math.max(worstRatio, Number(ratio));
	const shown = STRATEGIES.map((strategy) => {
		const mean = means[strategy];
		return `${strategy} ${mean === Infinity ? `> ${MILLISECONDS_MAX}` : mean.toFixed(2)}`;
	});
	console.log(
		`${name} ${title.padEnd(24)} recall ${recall.toFixed(3)}, ms: ${shown.join(', ')}, ` +
			`ratio ${ratio} (${low} to ${high}), blocks ${visited.toFixed(0)}, ${deed}`,
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
console.log(`${name}: worst recall ${worst.toFixed(3)}, worst ratio ${worstRatio.toFixed(2)}`);
process.exitCode = worst < RECALL_FLOOR || worstRatio > RATIO_MAX ? 1 : 0;
connection.closeSync();
instance.closeSync();
