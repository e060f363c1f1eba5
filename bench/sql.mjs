// What a query costs through SQL: DuckDB's default settings, one connection of the Node client, `SELECT *` and
// `SELECT id`.
//
//   node bench/sql.mjs EXTENSION DATA_FOLDER DATA_SET WORK_FOLDER
//
// `core_ms` is what the search takes inside the extension (lm_diskann_recall); `overhead_ms` is what the prepared
// `SELECT id` takes beyond that and `SELECT 1`, of which `bind_ms` is for a statement that only takes the vector: the
// client makes a value of each of its elements.
import fs from 'node:fs';
import { pathToFileURL } from 'node:url';
import duckdb from '@duckdb/node-api';
import { shapeOf } from './data.mjs';

const K = 10;
const QUERIES = 300;
const EXACT_QUERIES = 15;
const RECALL_WANTED = 0.95;
const LIST_SIZES = [10, 16, 24, 32, 48, 64, 80, 100, 140, 200];

function percentile(values, share) {
	const sorted = [...values].sort((a, b) => a - b);
	return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

async function timed(count, work) {
	const milliseconds = [];
	for (let i = 0; i < count; i++) {
		const start = process.hrtime.bigint();
		await work(i);
		milliseconds.push(Number(process.hrtime.bigint() - start) / 1e6);
	}
	return { p50_ms: percentile(milliseconds, 0.5), p99_ms: percentile(milliseconds, 0.99) };
}

export async function measureSql(extension, dataFolder, name, workFolder) {
	const { dimensions, metric } = shapeOf(name);
	const distance = metric === 'l2' ? 'array_distance' : 'array_cosine_distance';
	const database = `${workFolder}/${name}.duckdb`;
	for (const suffix of ['', '.wal', '.lmdiskann']) {
		fs.rmSync(database + suffix, { recursive: true, force: true });
	}
	const instance = await duckdb.DuckDBInstance.create(database, { allow_unsigned_extensions: 'true' });
	const connection = await instance.connect();
	await connection.run(`LOAD '${extension}'`);
	await connection.run(`CREATE TABLE base AS SELECT id, 'row ' || id AS name, vec::FLOAT[${dimensions}] AS vec
		FROM '${dataFolder}/base.parquet' ORDER BY id`);
	const start = Date.now();
	await connection.run(`CREATE INDEX base_idx ON base USING LM_DISKANN (vec)
		WITH (metric = '${metric === 'l2' ? 'l2sq' : 'cosine'}')`);
	const result = { build_seconds: (Date.now() - start) / 1000 };
	const queries = (
		await connection.runAndReadAll(`SELECT vec, neighbors FROM '${dataFolder}/queries.parquet' ORDER BY id`)
	).getRowObjects();
	const select = (columns) =>
		`SELECT ${columns} FROM base ORDER BY ${distance}(vec, $1::FLOAT[${dimensions}]) LIMIT ${K}`;
	const sql = select('*');
	const type = duckdb.ARRAY(duckdb.FLOAT, dimensions);
	const vectors = queries.map((query) => duckdb.arrayValue(query.vec.items));

	const preparedRun = async (text) => {
		const statement = await connection.prepare(text);
		return async (i) => {
			statement.bindArray(1, vectors[i % vectors.length], type);
			return (await statement.runAndReadAll()).getRows();
		};
	};
	// A statement keeps the list size that it was planned with.
	const recallOf = async () => {
		const runPrepared = await preparedRun(sql);
		let found = 0;
		for (let i = 0; i < queries.length; i++) {
			const exact = new Set(queries[i].neighbors.items.slice(0, K).map(Number));
			found += (await runPrepared(i)).filter((row) => exact.has(Number(row[0]))).length;
		}
		return found / (K * queries.length);
	};
	for (const size of LIST_SIZES) {
		await connection.run(`SET lm_diskann_l_search = ${size}`);
		result.list_size = size;
		result.recall = await recallOf();
		if (result.recall >= RECALL_WANTED) {
			break;
		}
	}
	result.prepared = await timed(QUERIES, await preparedRun(sql));
	result.prepared_id = await timed(QUERIES, await preparedRun(select('id')));
	result.unprepared = await timed(QUERIES, async (i) =>
		(await connection.runAndReadAll(sql, [vectors[i % vectors.length]], [type])).getRows());
	const one = await connection.prepare('SELECT 1');
	result.select_1 = await timed(QUERIES, async () => (await one.runAndReadAll()).getRows());
	const bind = await timed(QUERIES, await preparedRun(`SELECT 1 WHERE ($1::FLOAT[${dimensions}])[1] IS NOT NULL`));
	result.bind_ms = bind.p50_ms - result.select_1.p50_ms;
	const [[core]] = (
		await connection.runAndReadAll(
			`SELECT latency_mean_ms FROM lm_diskann_recall('base_idx', k := ${K}, samples := 200)`,
		)
	).getRows();
	result.core_ms = core;
	result.overhead_ms = result.prepared_id.p50_ms - result.select_1.p50_ms - core;
	await connection.run('SET lm_diskann_enable_index_scan = false');
	result.exact_scan = await timed(EXACT_QUERIES, await preparedRun(sql));
	connection.closeSync();
	instance.closeSync();
	return result;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
	const [extension, dataFolder, name, workFolder] = process.argv.slice(2);
	console.log(JSON.stringify(await measureSql(extension, `${dataFolder}/${name}`, name, workFolder), null, '\t'));
}
