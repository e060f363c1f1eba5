// Property: the wall stands. The core neither includes nor links DuckDB, and includes only point down the layers:
// base <- storage, vector (strangers to each other) <- graph <- index <- adapter.
// usage: node test/wall_test.mjs liblm_diskann_core.a
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const SOURCE = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../src');
const MAY_INCLUDE = {
	base: ['base'],
	storage: ['base', 'storage'],
	vector: ['base', 'vector'],
	graph: ['base', 'storage', 'vector', 'graph'],
	index: ['base', 'storage', 'vector', 'graph', 'index'],
};

const violations = [];
for (const [layer, allowed] of Object.entries(MAY_INCLUDE)) {
	for (const file of fs.readdirSync(path.join(SOURCE, layer))) {
		const text = fs.readFileSync(path.join(SOURCE, layer, file), 'utf8');
		for (const [, name] of text.matchAll(/^\s*#\s*include\s*["<]([^">]+)[">]/gm)) {
			const folder = name.split('/')[0];
			const isOfProject = name.includes('/') && fs.existsSync(path.join(SOURCE, name));
			if (/duckdb/i.test(name) || (isOfProject && !allowed.includes(folder))) {
				violations.push(`src/${layer}/${file} includes ${name}`);
			}
		}
	}
}

const symbols = execFileSync('nm', ['-C', process.argv[2]], { encoding: 'utf8', maxBuffer: 2 ** 28 });
const foreign = symbols.split('\n').filter((line) => line.includes('duckdb::'));
violations.push(...foreign.slice(0, 20).map((line) => `the core names ${line.trim()}`));

violations.forEach((violation) => console.log(violation));
console.log(`${violations.length} violations`);
process.exitCode = violations.length > 0 ? 1 : 0;
