// Writes a data set (a folder of ../shared/data or $LMD_DATA) as the raw file that bench/data_set.hpp describes.
import fs from 'node:fs';
import duckdb from '@duckdb/node-api';

const MAGIC = 0x31424d4c;
const METRICS = { l2: 0, cos: 1 };

/** Streams `sql`, whose columns are one or two arrays, and calls `take(columns, rowCount)` for each chunk. */
async function forEachChunk(connection, sql, take) {
	const result = await connection.stream(sql);
	for (let chunk = await result.fetchChunk(); chunk && chunk.rowCount > 0; chunk = await result.fetchChunk()) {
		take(chunk, chunk.rowCount);
	}
}

export function shapeOf(name) {
	const [, dimensions, metric] = /-(\d+)-(l2|cos)$/.exec(name);
	return { dimensions: Number(dimensions), metric };
}

export async function writeRaw(folder, name, target, rowLimit) {
	const { dimensions, metric } = shapeOf(name);
	const instance = await duckdb.DuckDBInstance.create(':memory:');
	const connection = await instance.connect();
	const count = async (sql) => Number((await connection.runAndReadAll(sql)).getRows()[0][0]);
	const base = `'${folder}/base.parquet'`;
	const queriesFile = `'${folder}/queries.parquet'`;
	const rows = Math.min(await count(`SELECT count(*) FROM ${base}`), rowLimit ?? Infinity);
	const queries = await count(`SELECT count(*) FROM ${queriesFile}`);
	// The stored answers are those among all rows.
	const answers = rowLimit ? 0 : await count(`SELECT len(neighbors) FROM ${queriesFile} LIMIT 1`);
	const file = fs.openSync(`${target}.tmp`, 'w');
	fs.writeSync(file, new Uint32Array([MAGIC, rows, dimensions, METRICS[metric], queries, answers]));
	const vector = `vec::FLOAT[${dimensions}]`;
	const writeFloats = (chunk, rowCount) => {
		const items = chunk.getColumnVector(0).childData.items;
		fs.writeSync(file, items.subarray(0, rowCount * dimensions));
	};
	await forEachChunk(connection, `SELECT ${vector} FROM ${base} ORDER BY id LIMIT ${rows}`, writeFloats);
	await forEachChunk(connection, `SELECT ${vector} FROM ${queriesFile} ORDER BY id`, writeFloats);
	if (answers > 0) {
		const ids = `SELECT neighbors::INTEGER[${answers}] FROM ${queriesFile} ORDER BY id`;
		await forEachChunk(connection, ids, (chunk, rowCount) => {
			fs.writeSync(file, chunk.getColumnVector(0).childData.items.subarray(0, rowCount * answers));
		});
	}
	fs.closeSync(file);
	connection.closeSync();
	instance.closeSync();
	fs.renameSync(`${target}.tmp`, target);
}
