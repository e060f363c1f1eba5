// Churn on real vectors: converts a data set's Parquet to floats and runs the program over it.
//
//   node test/churn/churn.mjs PROGRAM WORK_FOLDER DATA_SET PATTERN ROWS ROUNDS LIST_SIZES
//
// For DATA_SET see test/data/recall.mjs. Exit code 77: the data are not here.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import duckdb from '@duckdb/node-api';

const [program, workFolder, name, pattern, rows, rounds, listSizes] = process.argv.slice(2);
const root = path.resolve(path.dirname(new URL(import.meta.url).pathname), '../..');
const folder = path.join(process.env.LMD_DATA ?? path.join(root, '../shared/data'), name);
const [, dimensions, metric] = /-(\d+)-(l2|cos)$/.exec(name);
const QUERY_COUNT = 1000;

if (!fs.existsSync(path.join(folder, 'base.parquet'))) {
	console.log(`skipped: ${folder} holds no data set`);
	process.exit(77);
}

async function convert(target) {
	const instance = await duckdb.DuckDBInstance.create(':memory:');
	const connection = await instance.connect();
	const output = fs.openSync(target, 'w');
	for (const [file, limit] of [['base', 3 * Number(rows)], ['queries', QUERY_COUNT]]) {
		const source = path.join(folder, `${file}.parquet`);
		const result = await connection.stream(`SELECT vec FROM '${source}' ORDER BY id LIMIT ${limit}`);
		for (let chunk = await result.fetchChunk(); chunk && chunk.rowCount > 0; chunk = await result.fetchChunk()) {
			for (const [vector] of chunk.getRows()) {
				fs.writeSync(output, Buffer.from(Float32Array.from(vector.items).buffer));
			}
		}
	}
	fs.closeSync(output);
	connection.closeSync();
	instance.closeSync();
}

const floats = path.join(workFolder, `${name}.${rows}.${QUERY_COUNT}.floats`);
if (!fs.existsSync(floats)) {
	await convert(`${floats}.tmp`);
	fs.renameSync(`${floats}.tmp`, floats);
}
console.log(`${name}, ${pattern}:`);
const words = [pattern, metric === 'l2' ? 'l2sq' : 'cosine', dimensions, rows, rounds, listSizes, floats];
process.exit(spawnSync(program, words, { stdio: 'inherit' }).status ?? 1);
