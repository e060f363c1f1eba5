// A service in Node: many readers and one writer on one database, over HTTP on the loopback address.
//
//   node examples/service/service.mjs --db notes.duckdb --port 8080
//   curl -X PUT 127.0.0.1:8080/notes/1 -d '{"vector": [1, 0, 0, 0]}'
//   curl '127.0.0.1:8080/nearest?vector=[1,0,0,0]&k=3'
//
// Readers have a connection each, so searches run side by side and never wait for the writer; a search sees what was
// committed when it began. Writes queue up for the one connection that writes and are committed in groups: one commit
// for hundreds of notes costs as much as one for a single note.
import http from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import duckdb, { DuckDBInstance } from '@duckdb/node-api';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const DIMENSIONS = 4, READERS = 4, GROUP_MAX = 500, BODY_BYTES_MAX = 1 << 20;
const VECTOR = duckdb.ARRAY(duckdb.FLOAT, DIMENSIONS);
const DISTANCE = `array_distance(vector, $1::FLOAT[${DIMENSIONS}])`;

export class NoteStore {
	static async open(file, extension) {
		const store = new NoteStore();
		store.instance = await DuckDBInstance.create(file, { allow_unsigned_extensions: 'true' });
		store.writer = await store.instance.connect();
		await store.writer.run(`LOAD '${extension}'`);
		await store.writer.run(`CREATE TABLE IF NOT EXISTS notes (id BIGINT, vector FLOAT[${DIMENSIONS}])`);
		await store.writer.run('CREATE INDEX IF NOT EXISTS notes_idx ON notes USING LM_DISKANN (vector)');
		store.readers = await Promise.all(Array.from({ length: READERS }, () => store.instance.connect()));
		store.idle = [...store.readers];
		store.waiting = [];
		store.queue = [];
		return store;
	}

	/** Runs `work` on a reader that is free, or as soon as one is. */
	async #withReader(work) {
		const reader = this.idle.pop() ?? await new Promise((resolve) => { this.waiting.push(resolve); });
		try {
			return await work(reader);
		} finally {
			const next = this.waiting.shift();
			if (next) {
				next(reader);
			} else {
				this.idle.push(reader);
			}
		}
	}

	nearest(vector, k) {
		// LIMIT is part of the plan: a number in the text, not a parameter, lets the index be used.
		const sql = `SELECT id, ${DISTANCE} AS distance FROM notes ORDER BY ${DISTANCE} LIMIT ${Number(k)}`;
		return this.#withReader(async (reader) => {
			const statement = await reader.prepare(sql);
			statement.bindArray(1, duckdb.arrayValue(vector), VECTOR);
			return (await statement.runAndReadAll()).getRowObjectsJson();
		});
	}

	/** Resolves when the note is committed. A vector of null deletes it. */
	put(id, vector) {
		return new Promise((resolve, reject) => {
			this.queue.push({ id, vector, resolve, reject });
			this.writing ??= this.#writeQueue().finally(() => { this.writing = undefined; });
		});
	}

	async #writeQueue() {
		while (this.queue.length > 0) {
			const group = this.queue.splice(0, GROUP_MAX);
			try {
				await this.writer.run('BEGIN');
				for (const { id, vector } of group) {
					await this.writer.run('DELETE FROM notes WHERE id = $1', [id]);
					if (vector) {
						const insert = await this.writer.prepare('INSERT INTO notes VALUES ($1, $2)');
						insert.bindBigInt(1, id);
						insert.bindArray(2, duckdb.arrayValue(vector), VECTOR);
						await insert.run();
					}
				}
				await this.writer.run('COMMIT');
				group.forEach(({ resolve }) => resolve());
			} catch (error) {
				await this.writer.run('ROLLBACK').catch(() => {});
				group.forEach(({ reject }) => reject(error));
			}
		}
	}

	async close() {
		await this.writing;
		[this.writer, ...this.readers].forEach((connection) => connection.closeSync());
		this.instance.closeSync();
	}
}

function parseVector(value) {
	if (!Array.isArray(value) || value.length !== DIMENSIONS || !value.every(Number.isFinite)) {
		throw new RangeError(`a vector has ${DIMENSIONS} finite numbers`);
	}
	return value;
}

async function readBody(request) {
	let body = '';
	for await (const part of request) {
		body += part;
		if (body.length > BODY_BYTES_MAX) {
			throw new RangeError('the body is too long');
		}
	}
	return JSON.parse(body);
}

async function answer(store, request) {
	const url = new URL(request.url, 'http://127.0.0.1');
	const note = /^\/notes\/(\d{1,18})$/.exec(url.pathname);
	if (request.method === 'GET' && url.pathname === '/nearest') {
		const k = Math.min(100, Math.max(1, Number.parseInt(url.searchParams.get('k') ?? '10', 10) || 10));
		return store.nearest(parseVector(JSON.parse(url.searchParams.get('vector') ?? 'null')), k);
	}
	if (note && request.method === 'PUT') {
		await store.put(BigInt(note[1]), parseVector((await readBody(request)).vector));
		return { stored: note[1] };
	}
	if (note && request.method === 'DELETE') {
		await store.put(BigInt(note[1]), null);
		return { deleted: note[1] };
	}
	throw new RangeError('PUT or DELETE /notes/ID, or GET /nearest?vector=[...]&k=10');
}

export function serve(store, port) {
	const server = http.createServer((request, response) => {
		const send = (status, body) => {
			response.writeHead(status, { 'Content-Type': 'application/json' });
			response.end(JSON.stringify(body));
		};
		answer(store, request).then((body) => send(200, body), (error) =>
			send(error instanceof RangeError || error instanceof SyntaxError ? 400 : 500, { error: error.message }));
	});
	return new Promise((resolve) => { server.listen(port, '127.0.0.1', () => resolve(server)); });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	const { values: options } = parseArgs({
		options: {
			db: { type: 'string', default: 'notes.duckdb' },
			port: { type: 'string', default: '8080' },
			extension: { type: 'string', default: path.join(ROOT, 'build/release/lm_diskann.duckdb_extension') },
		},
	});
	const store = await NoteStore.open(options.db, options.extension);
	await serve(store, Number(options.port));
	console.log(`http://127.0.0.1:${options.port}/nearest?vector=[1,0,0,0]&k=3`);
}
