// libSQL's vector index, the one shipped relative of LM-DiskANN, through its Node binding with its defaults.
import fs from 'node:fs';
import Database from 'libsql';
import { readRaw } from './raw.mjs';

const K = 10;
//! Building takes it a minute for some thousand rows: larger sets are left out.
const ROWS_MAX = 5000;
const QUERIES_MAX = 200;

//! What this process has read through system calls.
function bytesReadSoFar() {
	return Number(/rchar: (\d+)/.exec(fs.readFileSync('/proc/self/io', 'utf8'))[1]);
}

export async function measureLibsql(data, file, say) {
	const set = readRaw(data);
	const { rows } = set;
	if (rows > ROWS_MAX) {
		return undefined;
	}
	const queries = Math.min(set.queries, QUERIES_MAX);
	for (const suffix of ['', '-wal', '-shm']) {
		fs.rmSync(file + suffix, { force: true });
	}
	const db = new Database(file);
	db.exec(`CREATE TABLE base (id INTEGER PRIMARY KEY, vec F32_BLOB(${set.dims}))`);
	const metric = set.isCosine ? 'cosine' : 'l2';
	db.exec(`CREATE INDEX base_idx ON base (libsql_vector_idx(vec, 'metric=${metric}'))`);
	const insert = db.prepare('INSERT INTO base VALUES (?, ?)');
	const asBlob = (vector) => Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength);
	say(`building libsql's index of ${rows} rows`);
	const start = Date.now();
	db.exec('BEGIN');
	for (let i = 0; i < rows; i++) {
		insert.run(i, asBlob(set.row(i)));
	}
	db.exec('COMMIT');
	const seconds = (Date.now() - start) / 1000;
	db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
	const search = db.prepare(`SELECT id FROM vector_top_k('base_idx', ?, ${K})`);
	db.exec('PRAGMA cache_size = 0');
	const pageSize = fs.readFileSync(file).readUInt16BE(16);
	const bytesBefore = bytesReadSoFar();
	let milliseconds = 0;
	let found = 0;
	for (let i = 0; i < queries; i++) {
		const query = set.query(i);
		const searchStart = process.hrtime.bigint();
		// A parameter that is an object and alone would be taken for names and their values.
		const ids = search.all([asBlob(query)]).map((row) => row.id);
		milliseconds += Number(process.hrtime.bigint() - searchStart) / 1e6;
		const exact = Array.from(set.nearest(i, K));
		found += ids.filter((id) => exact.includes(id)).length;
	}
	const bytesRead = bytesReadSoFar() - bytesBefore;
	db.close();
	return {
		rows,
		build_seconds: seconds,
		recall: found / (K * queries),
		queries_per_second: (1000 * queries) / milliseconds,
		kilobytes_read_per_query: bytesRead / 1024 / queries,
		pages_read_per_query: bytesRead / pageSize / queries,
		bytes_per_vector: fs.statSync(file).size / rows,
	};
}
