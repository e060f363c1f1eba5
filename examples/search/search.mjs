// Semantic search over text chunks, with filters, beside full-text search (BM25 in SQL), the two fused by reciprocal
// rank. The texts are the documents of this project, cut into paragraphs.
//
//   node examples/search/search.mjs [--query "..."] [--document README.md]
//
// `embed` stands in for a model: it hashes words and parts of words into 256 numbers, so that texts with similar words
// are near each other. Put your model's output in its place; the SQL stays the same.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import duckdb, { DuckDBInstance } from '@duckdb/node-api';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const DIMENSIONS = 256, CHUNK_LENGTH_MIN = 40, CANDIDATES = 40, RANK_CONSTANT = 60;
const VECTOR = duckdb.ARRAY(duckdb.FLOAT, DIMENSIONS);

const { values: options } = parseArgs({
	options: {
		query: { type: 'string', default: 'is a deleted row hidden at once' },
		document: { type: 'string' },
		extension: { type: 'string', default: path.join(ROOT, 'build/release/lm_diskann.duckdb_extension') },
	},
});

const words = (text) => text.toLowerCase().match(/[a-z0-9_]{2,}/g) ?? [];

function embed(text) {
	const vector = new Array(DIMENSIONS).fill(0);
	for (const word of words(text)) {
		const parts = [word, ...Array.from({ length: Math.max(0, word.length - 2) }, (_, i) => word.slice(i, i + 3))];
		for (const part of parts) {
			let hash = 2166136261;
			for (const letter of part) {
				hash = Math.imul(hash ^ letter.charCodeAt(0), 16777619) >>> 0;
			}
			vector[hash % DIMENSIONS] += (hash & 0x10000 ? 1 : -1) / Math.sqrt(parts.length);
		}
	}
	return vector.some((value) => value !== 0) ? vector : vector.fill(1);
}

/** Paragraphs, table rows and list items of the documents. */
function readChunks() {
	const inFolder = fs.readdirSync(path.join(ROOT, 'docs')).map((name) => `docs/${name}`);
	const files = ['README.md', 'CHANGELOG.md', ...inFolder].filter((name) => name.endsWith('.md'));
	return files.flatMap((document) => fs.readFileSync(path.join(ROOT, document), 'utf8')
		.split(/\n\s*\n|\n(?=[|*-])/)
		.map((text) => text.trim())
		.filter((text) => text.length >= CHUNK_LENGTH_MIN)
		.map((text) => ({ document, text })));
}

const instance = await DuckDBInstance.create(':memory:', { allow_unsigned_extensions: 'true' });
const connection = await instance.connect();
await connection.run(`LOAD '${options.extension}'`);
await connection.run(
	`CREATE TABLE chunks (id INTEGER, document VARCHAR, text VARCHAR, embedding FLOAT[${DIMENSIONS}])`);
const appender = await connection.createAppender('chunks');
readChunks().forEach(({ document, text }, id) => {
	appender.appendInteger(id);
	appender.appendVarchar(document);
	appender.appendVarchar(text);
	appender.appendArray(duckdb.arrayValue(embed(text)), VECTOR);
	appender.endRow();
});
appender.closeSync();
await connection.run(`CREATE INDEX chunks_idx ON chunks USING LM_DISKANN (embedding) WITH (metric = 'cosine')`);
// Full text: every word of every chunk, how often it is there and how long the chunk is.
await connection.run(`CREATE TABLE terms AS
	SELECT id, term, count(*) AS frequency, any_value(size) AS size
	FROM (SELECT id, len(list) AS size, unnest(list) AS term
	      FROM (SELECT id, regexp_extract_all(lower(text), '[a-z0-9_]{2,}') AS list FROM chunks))
	GROUP BY id, term`);

const HYBRID = `
WITH near AS (
	SELECT id, row_number() OVER (ORDER BY distance, id) AS place FROM (
		SELECT id, array_cosine_distance(embedding, $1::FLOAT[${DIMENSIONS}]) AS distance FROM chunks
		WHERE $3 IS NULL OR document = $3
		ORDER BY array_cosine_distance(embedding, $1::FLOAT[${DIMENSIONS}]) LIMIT ${CANDIDATES})),
wanted AS (SELECT DISTINCT unnest(regexp_extract_all(lower($2), '[a-z0-9_]{2,}')) AS term),
weights AS (
	SELECT term, ln(1 + ((SELECT count(*) FROM chunks) - count(*) + 0.5) / (count(*) + 0.5)) AS weight
	FROM terms JOIN wanted USING (term) GROUP BY term),
matching AS (
	SELECT id, row_number() OVER (ORDER BY score DESC, id) AS place FROM (
		SELECT id, sum(weight * frequency * 2.2 / (frequency + 1.2 * (0.25 + 0.75 * size / (SELECT avg(len) FROM
			(SELECT any_value(size) AS len FROM terms GROUP BY id))))) AS score
		FROM terms JOIN weights USING (term) JOIN chunks USING (id)
		WHERE $3 IS NULL OR document = $3
		GROUP BY id ORDER BY score DESC, id LIMIT ${CANDIDATES}))
SELECT id, document, text, near.place AS near_place, matching.place AS text_place,
       coalesce(1.0 / (${RANK_CONSTANT} + near.place), 0)
       + coalesce(1.0 / (${RANK_CONSTANT} + matching.place), 0) AS score
FROM near FULL JOIN matching USING (id) JOIN chunks USING (id)
ORDER BY score DESC, id LIMIT 5`;

/** The five best chunks for a question, in one document or in all. */
export async function search(question, document = null) {
	const statement = await connection.prepare(HYBRID);
	statement.bindArray(1, duckdb.arrayValue(embed(question)), VECTOR);
	statement.bindVarchar(2, question);
	if (document === null) {
		statement.bindNull(3);
	} else {
		statement.bindVarchar(3, document);
	}
	return (await statement.runAndReadAll()).getRowObjectsJson();
}

const found = await search(options.query, options.document);
console.log(`"${options.query}"${options.document ? ` in ${options.document}` : ''}`);
for (const row of found) {
	const places = `near ${row.near_place ?? '-'}, text ${row.text_place ?? '-'}`;
	const text = row.text.replace(/\s+/g, ' ').slice(0, 90);
	console.log(`  ${Number(row.score).toFixed(4)}  ${row.document} (${places})  ${text}`);
}
if (found.length !== 5 || found.some((row) => options.document && row.document !== options.document)) {
	throw new Error('five chunks of the document were expected');
}
connection.closeSync();
instance.closeSync();
