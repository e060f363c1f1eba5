// A page to look at the LM_DISKANN indexes of a database: `make inspect DB=file.duckdb`.
//
//   node inspect/server.mjs --db FILE [--port 8787] [--extension FILE]
//
// Everything it shows comes through SQL and the extension's own functions. The database is opened read-only and without
// access to other files; the server listens on the loopback address alone, answers only requests that name it, and
// hands out data as JSON that the page puts into text nodes. Counters are those of this process since it started.
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { DuckDBInstance } from '@duckdb/node-api';
import { project } from './project.mjs';

const FOLDER = path.dirname(fileURLToPath(import.meta.url));
const ROOT = path.resolve(FOLDER, '..');
const ADDRESS = '127.0.0.1';
const NEIGHBORS_MAX = 50, LIST_SIZE_MAX = 512, LABEL_LENGTH_MAX = 120;
const DISTANCES = { l2sq: 'array_distance', cosine: 'array_cosine_distance', ip: 'array_negative_inner_product' };
const FILES = {
	'/': ['text/html', path.join(FOLDER, 'page.html')],
	'/page.js': ['text/javascript', path.join(FOLDER, 'page.js')],
	'/page.css': ['text/css', path.join(FOLDER, 'page.css')],
	'/uplot.js': ['text/javascript', path.join(ROOT, 'node_modules/uplot/dist/uPlot.iife.min.js')],
	'/uplot.css': ['text/css', path.join(ROOT, 'node_modules/uplot/dist/uPlot.min.css')],
};

const { values: options } = parseArgs({
	options: {
		db: { type: 'string' },
		port: { type: 'string', default: '8787' },
		extension: { type: 'string', default: path.join(ROOT, 'build/release/lm_diskann.duckdb_extension') },
	},
});

/** An error that the user of the page caused. */
class RequestError extends Error {}

async function open(file, extension) {
	if (!file || !fs.existsSync(file)) {
		throw new Error(`no database file ${file ?? ''}: make inspect DB=file.duckdb`);
	}
	const instance = await DuckDBInstance.create(file, { access_mode: 'READ_ONLY', allow_unsigned_extensions: 'true' });
	const connection = await instance.connect();
	await connection.run(`LOAD '${extension.replaceAll("'", "''")}'`);
	await connection.run('SET enable_external_access = false');
	await connection.run('SET lock_configuration = true');
	return connection;
}

const connection = await open(options.db, options.extension);

/** Rows of a query as objects; counts as numbers. */
async function rows(sql, values = []) {
	const reader = await connection.runAndReadAll(sql, values);
	return reader.getRowObjects().map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) =>
		[name, typeof value === 'bigint' ? Number(value) : value])));
}

const quoted = (name) => `"${name.replaceAll('"', '""')}"`;
const qualified = (index) => [index.database_name, index.schema_name, index.index_name].map(quoted).join('.');
/** What the extension's functions find the index by, and the page calls it. */
const nameOf = (index, all) =>
	(all.filter((other) => other.index_name === index.index_name).length > 1 ? qualified(index) : index.index_name);
const tableOf = (index) => [index.database_name, index.schema_name, index.table_name].map(quoted).join('.');

async function listIndexes() {
	const all = await rows('FROM lm_diskann_index_info() ORDER BY database_name, schema_name, index_name');
	return all.map((index) => ({ ...index, name: nameOf(index, all) }));
}

async function findIndex(name) {
	const found = (await listIndexes()).find((index) => index.name === name);
	if (!found) {
		throw new RequestError(`there is no index ${name}`);
	}
	return found;
}

/** SQL of the indexed column, as the catalog writes it. */
async function columnOf(index) {
	const [{ column }] = await rows(`SELECT CAST(expressions AS VARCHAR[])[1] AS "column" FROM duckdb_indexes()
		WHERE database_name = $1 AND schema_name = $2 AND index_name = $3`,
		[index.database_name, index.schema_name, index.index_name]);
	return column;
}

/** SQL of what a row is called: its first columns of text, or nothing. */
async function labelOf(index) {
	const columns = await rows(`SELECT column_name FROM duckdb_columns() WHERE database_name = $1 AND schema_name = $2
		AND table_name = $3 AND data_type = 'VARCHAR' ORDER BY column_index LIMIT 1`,
		[index.database_name, index.schema_name, index.table_name]);
	return columns.length > 0 ? quoted(columns[0].column_name) : 'NULL';
}

async function summary(name) {
	const index = await findIndex(name);
	const histogram = (column) => rows(`SELECT ${column} AS value, count(*) AS nodes FROM lm_diskann_nodes($1)
		WHERE row_id IS NOT NULL GROUP BY ALL ORDER BY ALL`, [name]);
	return {
		index,
		calibration: await rows('FROM lm_diskann_calibration($1)', [name]),
		parts: index.state === 'ready' ? await rows('FROM lm_diskann_file_parts($1)', [name]) : [],
		degrees: index.state === 'ready' ? await histogram('degree') : [],
		inDegrees: index.state === 'ready' ? await histogram('in_degree') : [],
	};
}

/** The row that the text names: by number, else the first whose label contains it. */
async function findRow(index, text, column) {
	const label = await labelOf(index);
	const isNumber = /^\d{1,15}$/.test(text.trim());
	const condition = isNumber ? 'rowid = $1' : `contains(lower(${label}), lower($1))`;
	if (!isNumber && label === 'NULL') {
		throw new RequestError('the table has no text column; give a row number');
	}
	const [row] = await rows(`SELECT rowid, ${label} AS label, ${column} AS vector FROM ${tableOf(index)}
		WHERE ${condition} AND ${column} IS NOT NULL ORDER BY rowid LIMIT 1`, [isNumber ? BigInt(text) : text]);
	if (!row) {
		throw new RequestError(`no row with a vector matches "${text}"`);
	}
	return row;
}

const clamp = (text, fallback, max) => Math.min(max, Math.max(1, Number.parseInt(text, 10) || fallback));

async function search(parameters) {
	const name = parameters.get('index') ?? '';
	const index = await findIndex(name);
	const column = await columnOf(index);
	const label = await labelOf(index);
	const row = await findRow(index, parameters.get('query') ?? '', column);
	const k = clamp(parameters.get('k'), 10, NEIGHBORS_MAX);
	const listSize = clamp(parameters.get('L'), 32, LIST_SIZE_MAX);
	const type = `${index.element_type === 'INT8' ? 'TINYINT' : 'FLOAT'}[${index.dimensions}]`;
	const vector = `[${[...row.vector.items].join(', ')}]::${type}`;
	const distance = `${DISTANCES[index.metric]}(${column}, ${vector})`;
	const started = process.hrtime.bigint();
	const neighbors = await rows(`SELECT rowid, ${label} AS label, ${distance} AS distance FROM ${tableOf(index)}
		ORDER BY ${distance} LIMIT ${k}`);
	const milliseconds = Number(process.hrtime.bigint() - started) / 1e6;
	const steps = await rows(`FROM lm_diskann_trace($1, ${vector}::FLOAT[], L := ${listSize}) ORDER BY step`, [name]);
	const ids = [...new Set(steps.map((step) => step.row_id).filter((id) => id !== null))];
	const visited = ids.length === 0 ? [] : await rows(`SELECT rowid, ${label} AS label, ${column} AS vector
		FROM ${tableOf(index)} WHERE rowid IN (${ids.join(', ')})`);
	const byRow = new Map(visited.map((found) => [found.rowid, found]));
	const points = [row, ...steps.map((step) => byRow.get(step.row_id) ?? row)].map((found) => [...found.vector.items]);
	const places = project(points, index.metric === 'cosine');
	const short = (text) => (text === null || text === undefined ? '' : String(text).slice(0, LABEL_LENGTH_MAX));
	return {
		query: { rowid: row.rowid, label: short(row.label), place: places[0] },
		milliseconds,
		neighbors: neighbors.map((found) => ({ ...found, label: short(found.label) })),
		steps: steps.map((step, i) => ({ ...step, label: short(byRow.get(step.row_id)?.label), place: places[i + 1] })),
	};
}

const routes = {
	'/api/indexes': listIndexes,
	'/api/index': (parameters) => summary(parameters.get('index') ?? ''),
	'/api/stats': (parameters) => findIndex(parameters.get('index') ?? '').then(async (index) => ({
		...(await rows(`FROM lm_diskann_stats() WHERE database_name = $1 AND schema_name = $2 AND index_name = $3`,
			[index.database_name, index.schema_name, index.index_name]))[0],
		cache_bytes: index.cache_bytes,
	})),
	'/api/search': search,
};

// One statement at a time: they share a connection.
let last = Promise.resolve();

async function respond(request, response) {
	const send = (status, type, body) => {
		response.writeHead(status, {
			'Content-Type': `${type}; charset=utf-8`,
			'Content-Security-Policy': "default-src 'self'; frame-ancestors 'none'",
			'X-Content-Type-Options': 'nosniff',
			'Cache-Control': 'no-store',
		});
		response.end(body);
	};
	const { port } = server.address();
	// A page of another origin could be made to resolve to this address: it would name itself here.
	if (![`${ADDRESS}:${port}`, `localhost:${port}`].includes(request.headers.host)) {
		return send(403, 'text/plain', 'wrong host');
	}
	if (request.method !== 'GET') {
		return send(405, 'text/plain', 'only GET');
	}
	const url = new URL(request.url, `http://${request.headers.host}`);
	if (FILES[url.pathname]) {
		const [type, file] = FILES[url.pathname];
		return send(200, type, fs.readFileSync(file));
	}
	if (!Object.hasOwn(routes, url.pathname)) {
		return send(404, 'text/plain', 'not found');
	}
	const answer = last.then(() => routes[url.pathname](url.searchParams));
	last = answer.catch(() => {});
	try {
		return send(200, 'application/json', JSON.stringify(await answer));
	} catch (error) {
		const status = error instanceof RequestError ? 400 : 500;
		return send(status, 'application/json', JSON.stringify({ error: error.message }));
	}
}

const server = http.createServer((request, response) => {
	respond(request, response).catch((error) => {
		console.error(error.message);
		response.destroy();
	});
});
server.listen(Number(options.port), ADDRESS, () => {
	console.log(`http://${ADDRESS}:${server.address().port}/  (Ctrl-C ends it)`);
});
