// usearch through its Node binding, whose kernels are those of its published binaries. Prints the JSON of core_bench.
//
//   node bench/usearch.mjs build f32|f16|i8 DATA INDEX THREADS
//   node bench/usearch.mjs search f32|f16|i8 DATA INDEX ROUNDS
//
// M = 16 and 128 at building are its defaults. Elements 0..255 become int8 without loss when 128 is taken from each.
import fs from 'node:fs';
import usearch from 'usearch';
import { readRaw } from './raw.mjs';

const K = 10;
const RECALL_ENOUGH = 0.997;
const LIST_SIZES = [10, 16, 24, 32, 48, 64, 100, 140, 200, 300, 500, 800];
const CHUNK_ROWS = 1024;

const [step, scalar, data, file, count] = process.argv.slice(2);
const set = readRaw(data);
const isByte = (value) => value >= 0 && value <= 255 && value === Math.floor(value);
const areBytes = scalar === 'i8' && !set.isCosine && set.row(0).every(isByte);
const vectorOf = (floats) => (areBytes ? Int8Array.from(floats, (value) => value - 128) : floats);

function makeIndex(listSize) {
	return new usearch.Index({
		dimensions: set.dims,
		metric: set.isCosine ? 'cos' : 'l2sq',
		quantization: scalar,
		connectivity: 16,
		expansion_add: 128,
		expansion_search: listSize,
	});
}

function build() {
	const index = makeIndex(128);
	const start = process.hrtime.bigint();
	const cpuStart = process.cpuUsage();
	for (let begin = 0; begin < set.rows; begin += CHUNK_ROWS) {
		const end = Math.min(set.rows, begin + CHUNK_ROWS);
		const keys = BigUint64Array.from({ length: end - begin }, (_, i) => BigInt(begin + i));
		index.add(keys, vectorOf(set.floats.subarray(begin * set.dims, end * set.dims)), Number(count));
	}
	const seconds = Number(process.hrtime.bigint() - start) / 1e9;
	const cpu = process.cpuUsage(cpuStart);
	index.save(file);
	return {
		name: `usearch_${scalar}`,
		rows: set.rows,
		dims: set.dims,
		threads: Number(count),
		seconds,
		vectors_per_cpu_second: (1e6 * set.rows) / (cpu.user + cpu.system),
		peak_rss_bytes: process.resourceUsage().maxRSS * 1024,
		data_bytes: 4 * set.rows * set.dims,
		index_bytes: fs.statSync(file).size,
	};
}

function measure(index, listSize) {
	let found = 0;
	const milliseconds = [];
	const cpuStart = process.cpuUsage();
	const start = process.hrtime.bigint();
	const answers = [];
	for (const query of queries) {
		const queryStart = process.hrtime.bigint();
		answers.push(index.search(query, K, 1).keys);
		milliseconds.push(Number(process.hrtime.bigint() - queryStart) / 1e6);
	}
	const seconds = Number(process.hrtime.bigint() - start) / 1e9;
	const cpu = process.cpuUsage(cpuStart);
	answers.forEach((keys, i) => {
		found += Array.from(keys, Number).filter((key) => nearest[i].includes(key)).length;
	});
	milliseconds.sort((a, b) => a - b);
	return {
		list_size: listSize,
		threads: 1,
		recall: found / (K * queries.length),
		queries_per_second: queries.length / seconds,
		queries_per_cpu_second: (1e6 * queries.length) / (cpu.user + cpu.system),
		p50_ms: milliseconds[Math.floor(0.5 * queries.length)],
		p99_ms: milliseconds[Math.floor(0.99 * queries.length)],
	};
}

let queries;
let nearest;

function search() {
	queries = Array.from({ length: set.queries }, (_, i) => vectorOf(set.query(i)));
	nearest = queries.map((_, i) => Array.from(set.nearest(i, K)));
	const points = [];
	for (const listSize of LIST_SIZES) {
		const index = makeIndex(listSize);
		index.load(file);
		let best = measure(index, listSize);
		for (let round = 1; round < Number(count); round++) {
			const again = measure(index, listSize);
			const cpuBest = Math.max(best.queries_per_cpu_second, again.queries_per_cpu_second);
			best = again.queries_per_second > best.queries_per_second ? again : best;
			best.queries_per_cpu_second = cpuBest;
		}
		points.push(best);
		if (best.recall >= RECALL_ENOUGH) {
			break;
		}
	}
	return { name: `usearch_${scalar}`, points };
}

console.log(JSON.stringify(step === 'build' ? build() : search()));
