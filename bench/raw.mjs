// The raw file of bench/data_set.hpp as views of its parts.
import fs from 'node:fs';

const HEAD_BYTES = 24;

export function readRaw(data) {
	const bytes = fs.readFileSync(data);
	const [, rows, dims, metric, queries, answers] = new Uint32Array(bytes.buffer, bytes.byteOffset, 6);
	const floats = new Float32Array(bytes.buffer, bytes.byteOffset + HEAD_BYTES, (rows + queries) * dims);
	const vector = (i) => floats.subarray(i * dims, (i + 1) * dims);
	const set = { rows, dims, queries, isCosine: metric === 1, floats };
	set.row = vector;
	set.query = (i) => vector(rows + i);
	const ids = new Uint32Array(bytes.buffer, bytes.byteOffset + HEAD_BYTES + floats.byteLength, queries * answers);
	set.nearest = (query, k) =>
		answers > 0 ? ids.subarray(query * answers, query * answers + k) : bruteForce(set, set.query(query), k);
	return set;
}

function bruteForce(set, query, k) {
	const distance = set.isCosine ? cosineDistance : squaredDistance;
	return Array.from({ length: set.rows }, (_, row) => [distance(query, set.row(row)), row])
		.sort((a, b) => a[0] - b[0])
		.slice(0, k)
		.map(([, row]) => row);
}

function squaredDistance(a, b) {
	let sum = 0;
	for (let i = 0; i < a.length; i++) {
		sum += (a[i] - b[i]) ** 2;
	}
	return sum;
}

function cosineDistance(a, b) {
	let ab = 0;
	let aa = 0;
	let bb = 0;
	for (let i = 0; i < a.length; i++) {
		ab += a[i] * b[i];
		aa += a[i] * a[i];
		bb += b[i] * b[i];
	}
	return 1 - ab / Math.sqrt(aa * bb);
}
