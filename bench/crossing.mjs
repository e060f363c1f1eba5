// Where sorting a whole table becomes cheaper than the index: what IsExactScanCheaper in src/adapter is fitted to.
//
//   node bench/crossing.mjs EXTENSION DATABASE
//
// DATABASE is one that bench/filters.mjs made. For LIMIT of growing parts of the table: CPU time of all threads in
// milliseconds, the median of several queries that run by turns with the index and without.
import duckdb from '@duckdb/node-api';

const PARTS = [512, 128, 64, 32, 16, 8];
const ROUNDS = 3;
const QUERIES = 6;
const LIMIT_MAX = 10000;

const [extension, database] = process.argv.slice(2);
const instance = await duckdb.DuckDBInstance.create(database, {
	allow_unsigned_extensions: 'true',
	access_mode: 'READ_ONLY',
});
const connection = await instance.connect();
const rows = async (sql) => (await connection.runAndReadAll(sql)).getRows();
await connection.run(`LOAD '${extension}'`);
const [[type, count]] = await rows('SELECT any_value(typeof(vec)), count(*) FROM base');
const [[metric]] = await rows('SELECT metric FROM lm_diskann_index_info()');
const dimensions = Number(/\[(\d+)\]/.exec(type)[1]);
const distance = metric === 'cosine' ? 'array_cosine_distance' : 'array_distance';
const vectors = (await rows(`SELECT vec FROM queries ORDER BY id LIMIT ${QUERIES}`)).map(([vector]) => vector);

const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

async function timed(statement, vector) {
	statement.bindArray(1, vector, duckdb.ARRAY(duckdb.FLOAT, dimensions));
	const start = process.cpuUsage();
	await statement.runAndReadAll();
	const used = process.cpuUsage(start);
	return (used.user + used.system) / 1000;
}

// With a strategy of its own the statement keeps the index, whatever LIMIT is.
await connection.run("SET lm_diskann_filter_strategy = 'graph'");
for (const limit of PARTS.map((part) => Math.floor(Number(count) / part)).filter((k) => k <= LIMIT_MAX)) {
	const statements = {};
	for (const way of ['index', 'scan']) {
		await connection.run(`SET lm_diskann_enable_index_scan = ${way === 'index'}`);
		statements[way] = await connection.prepare(
			`SELECT id FROM base ORDER BY ${distance}(vec, $1::FLOAT[${dimensions}]) LIMIT ${limit}`,
		);
	}
	const times = { index: [], scan: [] };
	for (let round = 0; round < ROUNDS; round++) {
		for (const vector of vectors) {
			times.index.push(await timed(statements.index, vector));
			times.scan.push(await timed(statements.scan, vector));
		}
	}
	const [index, scan] = [median(times.index), median(times.scan)];
	console.log(
		`${dimensions} dimensions, LIMIT ${limit} of ${count} rows: index ${index.toFixed(2)} ms, ` +
			`scan ${scan.toFixed(2)} ms, ratio ${(index / scan).toFixed(2)}`,
	);
}
connection.closeSync();
instance.closeSync();
