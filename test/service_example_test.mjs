// Property: the example service answers from many readers while it writes: every search gets k rows of committed notes,
// a note is found as soon as its PUT was answered, gone after DELETE, and all of it is there after a restart.
// usage: node test/service_example_test.mjs EXTENSION WORK_FOLDER
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { NoteStore, serve } from '../examples/service/service.mjs';

const [extension, folder] = process.argv.slice(2);
const NOTES = 600, SEARCHES = 400;
const file = path.join(folder, 'notes.duckdb');
fs.rmSync(folder, { recursive: true, force: true });
fs.mkdirSync(folder, { recursive: true });

const vectorOf = (i) => [i, Math.sin(i), Math.cos(i), i % 7];
let store = await NoteStore.open(file, extension);
let server = await serve(store, 0);
const url = () => `http://127.0.0.1:${server.address().port}`;
const call = async (method, route, body) => {
	const response = await fetch(url() + route, { method, body: body && JSON.stringify(body) });
	return { status: response.status, body: await response.json() };
};
const nearest = async (vector, k) => (await call('GET', `/nearest?vector=${JSON.stringify(vector)}&k=${k}`)).body;

const put = (i) => call('PUT', `/notes/${i}`, { vector: vectorOf(i) });
await Promise.all(Array.from({ length: 20 }, (_, i) => put(i)));
const writes = (async () => {
	for (let i = 20; i < NOTES; i += 20) {
		await Promise.all(Array.from({ length: 20 }, (_, j) => put(i + j)));
		const [found] = await nearest(vectorOf(i), 1);
		assert.equal(Number(found.id), i, 'a note is found once it was stored');
	}
})();
const searches = Promise.all(Array.from({ length: SEARCHES }, async (_, i) => {
	const found = await nearest(vectorOf(i), 5);
	assert.equal(found.length, 5);
	assert.ok(found.every((row, at) => at === 0 || row.distance >= found[at - 1].distance));
}));
await Promise.all([writes, searches]);

await call('DELETE', '/notes/33');
assert.notEqual(Number((await nearest(vectorOf(33), 1))[0].id), 33);
assert.equal((await call('PUT', '/notes/1', { vector: [1, 2] })).status, 400);
assert.equal((await call('GET', '/elsewhere')).status, 400);
server.close();
server.closeAllConnections();
await store.close();

store = await NoteStore.open(file, extension);
server = await serve(store, 0);
assert.equal((await nearest(vectorOf(0), 100)).length, 100);
assert.equal(Number((await nearest(vectorOf(599), 1))[0].id), 599);
const reader = store.readers[0];
const [stats] = (await reader.runAndReadAll('SELECT queries, fallbacks FROM lm_diskann_stats()')).getRowObjects();
assert.ok(stats.queries >= 2n, 'the index answers');
server.close();
server.closeAllConnections();
await store.close();
fs.rmSync(folder, { recursive: true, force: true });
console.log(`${NOTES} notes, ${SEARCHES} searches beside them`);
