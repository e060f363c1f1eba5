// Property: the inspection page shows every index of a database through the extension, draws a search that a person
// asks for with a click, and gives away nothing: it listens on the loopback address, knows its own name only, changes
// nothing, and shows text from the database as text. Without a Chromium the drawing is not tested (exit code 77).
// usage: node test/inspect/inspect_test.mjs EXTENSION WORK_FOLDER
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { DuckDBInstance } from '@duckdb/node-api';
import { Browser, findBrowser } from './browser.mjs';

const SKIPPED_EXIT_CODE = 77;
const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const [extension, folder] = process.argv.slice(2);
const database = path.join(folder, 'inspect.duckdb');
const HOSTILE = '<img src=x onerror="document.title=1">\'; DROP TABLE t; --';

async function makeDatabase() {
	fs.rmSync(folder, { recursive: true, force: true });
	fs.mkdirSync(folder, { recursive: true });
	const instance = await DuckDBInstance.create(database, { allow_unsigned_extensions: 'true' });
	const connection = await instance.connect();
	await connection.run(`LOAD '${extension}'`);
	await connection.run(`CREATE TABLE "odd ""name" AS SELECT CASE WHEN i = 7 THEN '${HOSTILE.replaceAll("'", "''")}'
		ELSE 'item ' || i END AS title,
		list_transform(range(16), j -> sin(i * (j + 1) * 0.37) + (i % 9) * cos(j))::FLOAT[16] AS "the vector"
		FROM range(3000) r(i)`);
	await connection.run(`CREATE INDEX "an ""index" ON "odd ""name" USING LM_DISKANN ("the vector") WITH (R = 12)`);
	await connection.run('CREATE TABLE plain AS SELECT i AS id, [i, i % 31]::FLOAT[2] AS v FROM range(500) r(i)');
	await connection.run("CREATE INDEX plain_idx ON plain USING LM_DISKANN (v) WITH (metric = 'cosine')");
	connection.closeSync();
	instance.closeSync();
}

/** Starts the server; resolves to {process, url}. */
function startServer() {
	const server = spawn('node', [path.join(ROOT, 'inspect/server.mjs'), '--db', database, '--port', '0',
		'--extension', extension], { stdio: ['ignore', 'pipe', 'inherit'] });
	return new Promise((resolve, reject) => {
		let text = '';
		server.stdout.on('data', (bytes) => {
			text += bytes;
			const url = /http:\/\/127\.0\.0\.1:\d+\//.exec(text);
			if (url) {
				resolve({ process: server, url: url[0] });
			}
		});
		server.on('exit', (code) => reject(new Error(`the server ended with ${code}`)));
	});
}

function request(url, { method = 'GET', host } = {}) {
	return new Promise((resolve, reject) => {
		const headers = host ? { host } : {};
		http.request(url, { method, headers }, (response) => {
			let body = '';
			response.on('data', (bytes) => { body += bytes; });
			response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body }));
		}).on('error', reject).end();
	});
}

async function checkServer(url) {
	const json = async (route) => JSON.parse((await request(url + route)).body);
	const indexes = await json('api/indexes');
	assert.deepEqual(indexes.map((index) => index.index_name), ['an "index', 'plain_idx']);
	const name = encodeURIComponent(indexes[0].name);
	const summary = await json(`api/index?index=${name}`);
	assert.equal(summary.degrees.reduce((sum, bar) => sum + bar.nodes, 0), 3000);
	assert.equal(summary.degrees.reduce((sum, bar) => sum + bar.nodes * bar.value, 0),
		summary.inDegrees.reduce((sum, bar) => sum + bar.nodes * bar.value, 0), 'each edge has two ends');
	assert.ok(summary.calibration.length > 2);
	assert.equal(summary.parts.reduce((sum, part) => sum + part.bytes, 0),
		summary.index.file_size_bytes - 4 * 4096 + 0, 'the parts are the file without its head');
	const found = await json(`api/search?index=${name}&query=${encodeURIComponent("item 42")}&k=5&L=20`);
	assert.equal(found.neighbors[0].rowid, 42);
	assert.equal(found.neighbors.length, 5);
	assert.ok(found.steps.length >= 20 && found.steps.some((step) => step.from_node !== null));
	assert.equal((await json(`api/stats?index=${name}`)).queries, 1);

	assert.match((await json(`api/search?index=${name}&query=nothing+like+it`)).error, /no row with a vector matches/);
	assert.match((await json('api/index?index=missing')).error, /there is no index missing/);
	assert.match((await json(`api/search?index=${encodeURIComponent(indexes[1].name)}&query=text`)).error,
		/no text column/);
	assert.equal((await json(`api/search?index=${name}&query=${encodeURIComponent(HOSTILE)}`)).neighbors[0].rowid, 7);
	assert.equal((await request(url, { host: 'evil.example' })).status, 403);
	assert.equal((await request(url, { method: 'POST' })).status, 405);
	assert.equal((await request(`${url}../package.json`)).status, 404);
	assert.equal((await request(`${url}api/__proto__`)).status, 404);
	assert.match((await request(url)).headers['content-security-policy'], /^default-src 'self'/);
}

async function checkPage(url, program) {
	const browser = new Browser(program, path.join(folder, 'profile'));
	try {
		await browser.open(url);
		await browser.waitFor("document.body?.dataset.ready === 'true'");
		assert.ok(await browser.evaluate("document.querySelectorAll('.plot canvas').length") >= 4);
		await browser.click('#query');
		await browser.type('<img src=x');
		await browser.click('#search button');
		await browser.waitFor("document.body.dataset.searched === 'true'");
		assert.equal(await browser.evaluate("document.querySelectorAll('#neighbors tr').length"), 11);
		assert.ok(await browser.evaluate("document.querySelectorAll('#path circle').length") >= 32);
		assert.ok(await browser.evaluate("document.querySelectorAll('#path circle.found').length") >= 8);
		assert.ok((await browser.evaluate("document.querySelector('#neighbors').textContent")).includes(HOSTILE));
		assert.equal(await browser.evaluate('document.title'), 'LM_DISKANN indexes');
		assert.equal(await browser.evaluate("document.querySelector('#neighbors img') === null"), true);
		assert.equal(await browser.evaluate("document.querySelector('#error').hidden"), true);
		await browser.screenshot(path.join(folder, 'page.png'));
		console.log(`screenshot: ${path.join(folder, 'page.png')}`);
	} finally {
		await browser.close();
	}
}

await makeDatabase();
const before = fs.readFileSync(database);
const server = await startServer();
try {
	await checkServer(server.url);
	const program = findBrowser();
	if (program) {
		await checkPage(server.url, program);
	} else {
		console.log('the page was not drawn: no Chromium here (Debian: apt-get install chromium)');
		process.exitCode = SKIPPED_EXIT_CODE;
	}
} finally {
	server.process.removeAllListeners('exit');
	server.process.kill();
}
assert.ok(fs.readFileSync(database).equals(before), 'the database is as it was');
