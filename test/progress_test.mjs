// Property: while one connection builds an index, others see the phase and how far it is, never going back; afterwards
// nothing is listed.
// usage: node test/progress_test.mjs EXTENSION
import assert from 'node:assert/strict';
import { DuckDBInstance } from '@duckdb/node-api';

const ROWS = 20000;
const PHASES = ['scanning', 'sampling', 'training', 'assigning', 'ordering', 'arranging', 'linking', 'connecting',
	'filling', 'encoding', 'writing', 'finishing', 'measuring recall', 'publishing'];

const instance = await DuckDBInstance.create(':memory:', { allow_unsigned_extensions: 'true' });
const [builder, watcher] = [await instance.connect(), await instance.connect()];
await builder.run(`LOAD '${process.argv[2]}'`);
await builder.run(`CREATE TABLE t AS SELECT i AS id,
	list_transform(range(32), j -> sin(i * (j + 1) * 0.37) + i % 7)::FLOAT[32] AS v FROM range(${ROWS}) r(i)`);
let isBuilding = true;
const building = builder.run('CREATE INDEX t_idx ON t USING LM_DISKANN (v) WITH (L_build = 150)')
	.finally(() => { isBuilding = false; });
const seen = new Set();
let done = 0;
while (isBuilding) {
	const [row] = (await watcher.runAndReadAll('FROM lm_diskann_progress()')).getRowObjects();
	if (row) {
		assert.deepEqual([row.index_name, row.operation], ['t_idx', 'create']);
		assert.ok(row.seconds >= 0 && (row.seconds_left === null || row.seconds_left >= 0));
		assert.ok(row.done === null || (row.done >= done && row.done <= 1), `${row.done} after ${done}`);
		done = row.done ?? done;
		seen.add(row.phase);
	}
}
await building;
console.log([...seen].join(', '));
assert.ok(seen.size >= 1 && [...seen].every((phase) => PHASES.includes(phase)), `unknown phase: ${[...seen]}`);
assert.equal((await watcher.runAndReadAll('FROM lm_diskann_progress()')).getRows().length, 0);
