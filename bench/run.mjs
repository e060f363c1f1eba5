// The benchmark: this index and others on the same data, machine and run.
//
//   make bench                     all sets of ../shared/data (or $LMD_DATA)
//   make bench SETS="a b"          these sets
//   make bench QUICK=1             at most 20,000 rows, two rounds, no SQL
//   make bench KEEP=1              takes this project's stored index as well as the others' if it is there
//
// Writes build/bench/report.json and report.html (nothing is loaded when it is opened). Indexes of the others stay in
// build/bench/indexes, so a second run only searches.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { writeRaw } from './data.mjs';
import { measureLibsql } from './libsql.mjs';
import { summarize, writeReport } from './report.mjs';
import { measureSql } from './sql.mjs';

const ROOT = path.resolve(path.dirname(new URL(import.meta.url).pathname), '..');
const OUTPUT = path.join(ROOT, 'build/bench');
const PROGRAM = path.join(OUTPUT, 'bench/core_bench');
const EXTENSION = path.join(ROOT, 'build/release/lm_diskann.duckdb_extension');
const DATA = process.env.LMD_DATA ?? path.join(ROOT, '../shared/data');
const ALL_SETS = [
	'sift5k-ngt-128-l2',
	'openai3l-treasury-1536-cos',
	'imdb-pvdbow-384-cos',
	'mnist-784-l2',
	'sift-photos-128-l2',
];
const CORE_PEERS = ['hnswlib', 'faiss'];
const USEARCH_PEERS = ['f32', 'f16', 'i8'];
const BUILD_THREADS = 2;
const COLD_THREADS = 16;
const QUICK_ROWS = 20000;
//! Where the head of an index file holds the size of a page (docs/FORMAT.md).
const BLOCK_SIZE_OFFSET = 20;

const quick = Boolean(process.env.QUICK);
const keep = Boolean(process.env.KEEP);
const rounds = Number(process.env.RUNS || (quick ? 2 : 3));
const sets = process.env.SETS ? process.env.SETS.split(/\s+/) : ALL_SETS;

const say = (text) => console.log(`bench: ${text}`);
const run = (...args) =>
	JSON.parse(execFileSync(PROGRAM, args.map(String), { encoding: 'utf8', maxBuffer: 2 ** 28 }));

const runUsearch = (...args) =>
	JSON.parse(execFileSync('node', [path.join(ROOT, 'bench/usearch.mjs'), ...args.map(String)], { encoding: 'utf8' }));

/** Builds and stores an index unless it is there; what building cost is stored beside it. */
function build(program, name, data, index, isKept) {
	const record = `${index}.json`;
	if (isKept && fs.existsSync(record) && fs.existsSync(index)) {
		return JSON.parse(fs.readFileSync(record, 'utf8'));
	}
	fs.rmSync(record, { force: true });
	say(`building ${path.basename(index)}`);
	const result = program('build', name, data, index, BUILD_THREADS);
	fs.writeFileSync(record, JSON.stringify(result));
	return result;
}

async function measureSet(name) {
	const label = quick ? `${name}-${QUICK_ROWS}` : name;
	const data = path.join(OUTPUT, 'data', `${label}.raw`);
	if (!fs.existsSync(data)) {
		say(`reading ${name}`);
		await writeRaw(path.join(DATA, name), name, data, quick ? QUICK_ROWS : undefined);
	}
	const indexPath = (subject) => path.join(OUTPUT, 'indexes', `${label}.${subject}`);
	const builds = ['lm_diskann', ...CORE_PEERS].map((subject) =>
		build(run, subject, data, indexPath(subject), keep || subject !== 'lm_diskann'));
	const usearchPath = (scalar) => indexPath(`usearch_${scalar}`);
	builds.push(...USEARCH_PEERS.map((scalar) => build(runUsearch, scalar, data, usearchPath(scalar), true)));
	const place = (subject) => `${subject}=${indexPath(subject.replace(/_cold$/, ''))}`;

	say(`searching ${label}`);
	const warm = run('search', data, rounds, 1, ...['lm_diskann', ...CORE_PEERS].map(place));
	warm.push(...USEARCH_PEERS.map((scalar) => runUsearch('search', scalar, data, usearchPath(scalar), rounds)));
	const warmTwo = run('search', data, rounds, 2, ...['lm_diskann', 'hnswlib'].map(place));
	const file = indexPath('lm_diskann');
	const blockSize = fs.readFileSync(file).readUInt32LE(BLOCK_SIZE_OFFSET);
	const device = (threads) => ({ threads, reads_per_second: run('device', file, blockSize, threads) });
	const deviceBefore = [1, COLD_THREADS].map(device);
	const cold = [1, COLD_THREADS].map((threads) => run('search', data, rounds, threads, place('lm_diskann_cold'))[0]);
	const deviceAfter = [1, COLD_THREADS].map(device);
	const devices = deviceBefore.map((before, i) =>
		before.reads_per_second > deviceAfter[i].reads_per_second ? before : deviceAfter[i]);
	const result = { set: label, block_size: blockSize, builds, warm, warm_two_threads: warmTwo, cold, devices };
	if (!quick) {
		say(`searching ${label} through SQL`);
		result.sql = await measureSql(EXTENSION, path.join(DATA, name), name, path.join(OUTPUT, 'sql'));
		result.libsql = await measureLibsql(data, path.join(OUTPUT, 'libsql', `${name}.db`), say);
	}
	return result;
}

for (const folder of ['data', 'indexes', 'sql', 'libsql']) {
	fs.mkdirSync(path.join(OUTPUT, folder), { recursive: true });
}
const results = [];
for (const name of sets) {
	if (!fs.existsSync(path.join(DATA, name))) {
		say(`${name} is not in ${DATA}: left out`);
		continue;
	}
	results.push(await measureSet(name));
	console.log(summarize(results[results.length - 1]));
}
const machine = { cpu: os.cpus()[0].model, cpus: os.cpus().length, memory_bytes: os.totalmem() };
const report = { date: new Date().toISOString(), machine, rounds, results };
fs.writeFileSync(path.join(OUTPUT, 'report.json'), JSON.stringify(report, null, '\t'));
writeReport(report, path.join(OUTPUT, 'report.html'));
say(`wrote ${path.join(OUTPUT, 'report.json')} and report.html`);
