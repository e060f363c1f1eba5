// The table of query shapes: does EXPLAIN show the index where it should, are there as many rows as the query asks
// for, and are they those of the exact plan when the search list covers the whole table?
//
//   node test/query_shapes.mjs EXTENSION
//
// Each shape is run with and without the index, in each strategy for filters. A shape is
//   [name, index scans in EXPLAIN, rows of the result, SQL, {args, before, after, set}]
// Q stands for a query vector; `args` makes it a prepared statement; `before` and `after` are statements around it.
import duckdb from '@duckdb/node-api';

const Q = '[0.1, -0.2, 0.3, 0.4, -0.5, 0.6, 0.7, -0.8]::FLOAT[8]';
const ROWS = 4000;
const STRATEGIES = ['auto', 'exact', 'graph', 'post'];

const SETUP = [
	`CREATE TABLE t(id INTEGER, name VARCHAR, label INTEGER, price DOUBLE, tags STRUCT(a INTEGER, b VARCHAR), v
		 FLOAT[8])`,
	`INSERT INTO t SELECT i, 'row ' || i, i % 50, (i * 7919) % 1000 / 10, {a: i % 7, b: 'b' || i % 3},
	 [sin(i * 1.1), cos(i * 1.3), sin(i * 0.7), cos(i * 0.31), sin(i * 2.9), cos(i * 3.7), sin(i * 0.17), cos(i *
		 0.59)]
	 FROM range(${ROWS}) r(i)`,
	`CREATE TABLE few(t_id INTEGER, weight INTEGER)`,
	`INSERT INTO few SELECT i * 13, i FROM range(200) r(i)`,
	`CREATE TABLE queries(id INTEGER, q FLOAT[8])`,
	`INSERT INTO queries VALUES (1, ${Q}), (2, [1, 1, 1, 1, 1, 1, 1, 1])`,
	`CREATE TABLE one(q FLOAT[8])`,
	`INSERT INTO one VALUES (${Q})`,
	`CREATE TABLE holes(id INTEGER, v FLOAT[8])`,
	`INSERT INTO holes SELECT id, v FROM t WHERE id < 300 AND id % 10 > 0`,
	`INSERT INTO holes SELECT id, NULL FROM t WHERE id < 300 AND id % 10 = 0`,
	`CREATE TABLE twins(id INTEGER, v FLOAT[8])`,
	`INSERT INTO twins SELECT id, (SELECT v FROM t b WHERE b.id = t.id % 40) FROM t`,
	`CREATE TABLE bytes(id INTEGER, v TINYINT[8])`,
	`INSERT INTO bytes SELECT id, list_transform(v, x -> (x * 100)::TINYINT)::TINYINT[8] FROM t WHERE id < 500`,
	`CREATE VIEW w AS SELECT id AS key, v AS embedding, label AS kind FROM t`,
	`CREATE VIEW cheap AS SELECT * FROM t WHERE price < 30`,
	`CREATE MACRO near(q) AS TABLE SELECT id FROM t ORDER BY array_distance(v, q) LIMIT 6`,
	...['t', 'holes', 'twins', 'bytes'].map((table) => `CREATE INDEX ${table}_l2 ON ${table} USING LM_DISKANN (v)`),
	`CREATE INDEX t_cos ON t USING LM_DISKANN (v) WITH (metric = 'cosine')`,
	`CREATE INDEX t_ip ON t USING LM_DISKANN (v) WITH (metric = 'ip')`,
	`DELETE FROM t WHERE id % 17 = 3`,
	`INSERT INTO t SELECT id + 10000, name, label, price, tags, list_transform(v, x -> x * 0.9)::FLOAT[8]
		 FROM t WHERE id < 100`,
	`UPDATE t SET v = list_transform(v, x -> x + 0.01)::FLOAT[8] WHERE id BETWEEN 200 AND 240`,
];

const D = `array_distance(v, ${Q})`;
const ALL_ROWS = 'SELECT count(*) FROM t';
const SHAPES = [
	// ---- plain ----
	['limit', 1, 5, `SELECT id FROM t ORDER BY ${D} LIMIT 5`],
	['limit and offset', 1, 5, `SELECT id FROM t ORDER BY ${D} LIMIT 5 OFFSET 7`],
	['arguments the other way', 1, 5, `SELECT id FROM t ORDER BY array_distance(${Q}, v) LIMIT 5`],
	['select star', 1, 5, `SELECT * FROM t ORDER BY ${D} LIMIT 5`],
	['distance as alias', 1, 5, `SELECT id, ${D} AS d FROM t ORDER BY d LIMIT 5`],
	['position as key', 1, 5, `SELECT ${D}, id FROM t ORDER BY 1 LIMIT 5`],
	['several distances', 1, 5,
		`SELECT id, ${D} AS d, array_cosine_distance(v, ${Q}) AS c, array_inner_product(v, ${Q}) FROM t
		 ORDER BY d LIMIT 5`],
	['extra expressions', 1, 5, `SELECT upper(name), price * 2, tags.b, rowid FROM t ORDER BY ${D} LIMIT 5`],
	['column not selected', 1, 5, `SELECT name FROM t ORDER BY ${D} LIMIT 5`],
	['only a constant', 1, 5, `SELECT 42 FROM t ORDER BY ${D} LIMIT 5`],
	['cast of the column', 1, 5, `SELECT id FROM t ORDER BY array_distance(v::FLOAT[8], ${Q}) LIMIT 5`],
	['cast to double', 1, 5, `SELECT id FROM t ORDER BY array_distance(v::DOUBLE[8], ${Q}::DOUBLE[8]) LIMIT 5`],
	['cast of the distance', 1, 5, `SELECT id FROM t ORDER BY ${D}::DOUBLE LIMIT 5`],
	['query cast from a list', 1, 5,
		`SELECT id FROM t ORDER BY array_distance(v, [1, 2, 3, 4, 5, 6, 7, 8]::FLOAT[8]) LIMIT 5`],
	['query from a function', 1, 5,
		`SELECT id FROM t ORDER BY array_distance(v, list_transform([1, 2, 3, 4, 5, 6, 7, 8], x -> x / 9)::FLOAT[8])
		 LIMIT 5`],
	['operator of lists', 1, 5, `SELECT id FROM t ORDER BY list_distance(v, ${Q}::FLOAT[]) LIMIT 5`],
	['int8 column', 1, 5,
		`SELECT id FROM bytes ORDER BY array_distance(v, [1, 2, 3, 4, 5, 6, 7, 8]::FLOAT[8]) LIMIT 5`],
	['cosine', 1, 5, `SELECT id FROM t ORDER BY array_cosine_distance(v, ${Q}) LIMIT 5`],
	['one minus similarity', 1, 5, `SELECT id FROM t ORDER BY 1 - array_cosine_similarity(v, ${Q}) LIMIT 5`],
	['similarity descending', 1, 5, `SELECT id FROM t ORDER BY array_cosine_similarity(v, ${Q}) DESC LIMIT 5`],
	['negative inner product', 1, 5, `SELECT id FROM t ORDER BY array_negative_inner_product(v, ${Q}) LIMIT 5`],
	['minus inner product', 1, 5, `SELECT id FROM t ORDER BY -array_inner_product(v, ${Q}) LIMIT 5`],
	['inner product descending', 1, 5, `SELECT id FROM t ORDER BY array_inner_product(v, ${Q}) DESC LIMIT 5`],
	['NULL vectors, few rows', 1, 20, `SELECT id FROM holes ORDER BY ${D} LIMIT 20`],
	['NULL vectors, all rows', 1, 300, `SELECT id IS NULL, v IS NULL FROM holes ORDER BY ${D} LIMIT 1000`],
	['k of all rows is sorted', 0, 3000, `SELECT id FROM t ORDER BY ${D} LIMIT 3000`],
	['k of all rows by the index', 1, 3000, `SELECT id FROM t ORDER BY ${D} LIMIT 3000`, { set: 'graph' }],
	['further key', 1, 100, `SELECT id FROM twins ORDER BY ${D}, id LIMIT 100`],
	['further keys, descending', 1, 7, `SELECT id FROM twins ORDER BY ${D}, id % 3 DESC, id DESC LIMIT 7`],
	['further key and filter', 1, 30, `SELECT id FROM twins WHERE id % 2 = 0 ORDER BY ${D}, id LIMIT 30`],
	// ---- prepared ----
	['typed parameter', 1, 5, `SELECT id FROM t ORDER BY array_distance(v, $1::FLOAT[8]) LIMIT 5`, { args: [Q] }],
	['untyped parameter', 1, 5, `SELECT id FROM t ORDER BY array_distance(v, ?) LIMIT 5`, { args: [Q] }],
	['parameter as LIMIT', 1, 6, `SELECT id FROM t ORDER BY ${D} LIMIT ?`, { args: [6] }],
	['parameters everywhere', 1, 6,
		`SELECT id FROM t WHERE label = $2 ORDER BY array_distance(v, $1::FLOAT[8]) LIMIT $3 OFFSET $4`,
		{ args: [Q, 3, 6, 2] }],
	// ---- query vectors from elsewhere ----
	['scalar subquery', 1, 5,
		`SELECT id FROM t ORDER BY array_distance(v, (SELECT q FROM queries WHERE id = 2)) LIMIT 5`],
	['scalar subquery, average', 1, 5,
		`SELECT id FROM t ORDER BY array_distance(v, (SELECT list(x
		 ORDER BY x)::FLOAT[8] FROM range(8) r(x))) LIMIT 5`],
	['scalar subquery without a row', 1, 1,
		`SELECT count(*) FROM (SELECT id FROM t
		 ORDER BY array_distance(v, (SELECT q FROM queries WHERE id = 9)) LIMIT 5), range(5)`],
	['scalar subquery in a projection', 1, 5,
		`SELECT id, array_distance(v, (SELECT q FROM queries WHERE id = 2)) AS d FROM t ORDER BY d LIMIT 5`],
	['vector of another row', 1, 5,
		`SELECT a.id FROM t a, t b WHERE b.id = 7 ORDER BY array_distance(a.v, b.v) LIMIT 5`],
	['other rows than this one', 1, 5,
		`SELECT a.id FROM t a, t b WHERE b.id = 7 AND a.id <> b.id ORDER BY array_distance(a.v, b.v) LIMIT 5`],
	['vector of a row by subquery', 1, 5,
		`SELECT id FROM t WHERE id <> 7 ORDER BY array_distance(v, (SELECT v FROM t WHERE id = 7)) LIMIT 5`],
	['cross join with one row', 1, 5,
		`SELECT t.id FROM t CROSS JOIN one ORDER BY array_distance(t.v, one.q) LIMIT 5`],
	['cross join, one row first', 1, 5, `SELECT t.id FROM one, t ORDER BY array_distance(one.q, t.v) LIMIT 5`],
	['one row of several', 1, 5,
		`SELECT t.id FROM t, queries s WHERE s.id = 1 AND t.label > s.id ORDER BY array_distance(t.v, s.q) LIMIT 5`],
	['a point condition of two rows', 1, 5,
		`SELECT t.id, s.q FROM t, queries s WHERE s.id % 1 = 0 AND t.id <> s.id
		 ORDER BY array_distance(t.v, s.q) LIMIT 5`],
	['CTE as query', 1, 5,
		`WITH c AS (SELECT q FROM queries WHERE id = 1) SELECT t.id FROM t, c ORDER BY array_distance(v, q) LIMIT 5`],
	// ---- around ----
	['subquery', 1, 5, `SELECT id FROM (SELECT id, ${D} AS d FROM t) ORDER BY d LIMIT 5`],
	['limit above the order', 1, 5, `SELECT id FROM (SELECT id FROM t ORDER BY ${D} LIMIT 9) ORDER BY id LIMIT 5`],
	['view', 1, 5, `SELECT key FROM w ORDER BY array_distance(embedding, ${Q}) LIMIT 5`],
	['view with a filter', 1, 5, `SELECT id FROM cheap ORDER BY ${D} LIMIT 5`],
	['table macro', 1, 6, `SELECT * FROM near(${Q})`],
	['CTE', 1, 5, `WITH c AS (SELECT * FROM t) SELECT id FROM c ORDER BY ${D} LIMIT 5`],
	['materialized CTE', 1, 5, `WITH c AS MATERIALIZED (SELECT id FROM t ORDER BY ${D} LIMIT 5) SELECT * FROM c`],
	['CTE used twice: DuckDB materializes it', 0, 10,
		`WITH c AS (SELECT * FROM t WHERE price > 5) (SELECT id FROM c ORDER BY ${D} LIMIT 5) UNION ALL
		 (SELECT id FROM c ORDER BY array_distance(v, [1,1,1,1,1,1,1,1]::FLOAT[8]) LIMIT 5)`],
	['union', 2, 10,
		`(SELECT id FROM t ORDER BY ${D} LIMIT 5) UNION ALL (SELECT id FROM holes ORDER BY ${D} LIMIT 5)`],
	['join above', 1, 5,
		`SELECT n.id, few.weight FROM (SELECT id FROM t ORDER BY ${D} LIMIT 5) n LEFT JOIN few ON n.id = t_id`],
	['aggregate above', 1, 1, `SELECT avg(price), count(*) FROM (SELECT price FROM t ORDER BY ${D} LIMIT 20)`],
	['IN of nearest', 1, 5, `SELECT name FROM t WHERE id IN (SELECT id FROM t ORDER BY ${D} LIMIT 5)`],
	['create table as', 0, 1, `SELECT 1`,
		{ before: [`CREATE TABLE copy AS SELECT id FROM t ORDER BY ${D} LIMIT 5`], after: ['DROP TABLE copy'] }],
	['correlated projection', 1, 5,
		`SELECT id, (SELECT max(weight) FROM few WHERE t_id = t.id) FROM t ORDER BY ${D} LIMIT 5`],
	['IN as a column', 1, 5, `SELECT id, id IN (SELECT t_id FROM few) FROM t ORDER BY ${D} LIMIT 5`],
	// ---- min_by ----
	['min_by', 1, 1, `SELECT min_by(id, ${D}) FROM t`],
	['min_by of several', 1, 1, `SELECT min_by(id, ${D}, 8) FROM t`],
	['arg_min', 1, 1, `SELECT arg_min(name, ${D}, 3) FROM t`],
	['min_by with a filter', 1, 1, `SELECT min_by(id, ${D}, 8) FROM t WHERE label < 10`],
	['min_by of NULLs', 1, 1, `SELECT min_by(nullif(id % 2, 0), ${D}, 8) FROM t`],
	['max_by of a similarity', 1, 1, `SELECT max_by(id, array_cosine_similarity(v, ${Q}), 4) FROM t`],
	['min_by by group', 0, 50, `SELECT label, min_by(id, ${D}) FROM t GROUP BY label`],
	['min_by beside another', 0, 1, `SELECT min_by(id, ${D}), count(*) FROM t`],
	// ---- filters ----
	['filter, most rows', 1, 5, `SELECT id FROM t WHERE price >= 20 ORDER BY ${D} LIMIT 5`],
	['filter, one of fifty', 1, 5, `SELECT id FROM t WHERE label = 3 ORDER BY ${D} LIMIT 5`],
	['filter, fewer rows than k', 1, 5, `SELECT id FROM t WHERE id < 5 OR id = 10001 ORDER BY ${D} LIMIT 9`],
	['filter, no row', 1, 0, `SELECT id FROM t WHERE price < -1 ORDER BY ${D} LIMIT 9`],
	['filter, all rows', 1, 9, `SELECT id FROM t WHERE id IS NOT NULL ORDER BY ${D} LIMIT 9`],
	['filter, constant', 1, 0, `SELECT id FROM t WHERE 1 = 2 ORDER BY ${D} LIMIT 9`],
	['filter of expressions', 1, 5,
		`SELECT id FROM t WHERE (id * 3 + label) % 4 = 2 AND length(name) > 5 ORDER BY ${D} LIMIT 5`],
	['filter with LIKE', 1, 5, `SELECT id FROM t WHERE name LIKE 'row 1%' ORDER BY ${D} LIMIT 5`],
	['filter with IN', 1, 5, `SELECT id FROM t WHERE label IN (1, 5, 7, 30, 49) ORDER BY ${D} LIMIT 5`],
	['filter with OR', 1, 5, `SELECT id FROM t WHERE label = 1 OR price > 90 ORDER BY ${D} LIMIT 5`],
	['filter on a struct', 1, 5, `SELECT id FROM t WHERE tags.a = 2 AND tags.b = 'b1' ORDER BY ${D} LIMIT 5`],
	['filter on the row id', 1, 5, `SELECT id FROM t WHERE rowid BETWEEN 100 AND 900 ORDER BY ${D} LIMIT 5`],
	['filter on the vector', 1, 5, `SELECT id FROM t WHERE v[1] > 0.5 ORDER BY ${D} LIMIT 5`],
	['filter on NULL vectors', 1, 9, `SELECT id FROM holes WHERE v IS NULL ORDER BY ${D} LIMIT 9`],
	['filter and NULL vectors', 1, 30, `SELECT v IS NULL FROM holes WHERE id < 30 ORDER BY ${D} LIMIT 40`],
	['filter above a projection', 1, 5,
		`SELECT x FROM (SELECT id + 1 AS x, v FROM t) WHERE x % 2 = 0 ORDER BY ${D} LIMIT 5`],
	['filter and offset', 1, 5, `SELECT id FROM t WHERE label < 5 ORDER BY ${D} LIMIT 5 OFFSET 30`],
	['filter, select star', 1, 5, `SELECT * FROM t WHERE label < 5 ORDER BY ${D} LIMIT 5`],
	['filter, many rows', 1, 300, `SELECT id FROM t WHERE label < 20 ORDER BY ${D} LIMIT 300`],
	['filter with a cosine', 1, 5,
		`SELECT id FROM t WHERE label < 5 ORDER BY array_cosine_distance(v, ${Q}) LIMIT 5`],
	['filter, similarity descending', 1, 5,
		`SELECT id FROM t WHERE label < 5 ORDER BY array_inner_product(v, ${Q}) DESC LIMIT 5`],
	['IN of a subquery', 1, 5, `SELECT id FROM t WHERE id IN (SELECT t_id FROM few) ORDER BY ${D} LIMIT 5`],
	['NOT IN of a subquery', 1, 5, `SELECT id FROM t WHERE id NOT IN (SELECT t_id FROM few) ORDER BY ${D} LIMIT 5`],
	['IN of a subquery and more', 1, 5,
		`SELECT id FROM t WHERE price > 10 AND id IN (SELECT t_id FROM few WHERE weight < 90) AND label <> 4
		 ORDER BY ${D} LIMIT 5`],
	['EXISTS', 1, 5,
		`SELECT id FROM t WHERE EXISTS (SELECT 1 FROM few WHERE t_id = t.id AND weight > 5) ORDER BY ${D} LIMIT 5`],
	['NOT EXISTS', 1, 5,
		`SELECT id FROM t WHERE NOT EXISTS (SELECT 1 FROM few WHERE t_id = t.id) ORDER BY ${D} LIMIT 5`],
	['semi join', 1, 5, `SELECT id FROM t SEMI JOIN few ON id = t_id ORDER BY ${D} LIMIT 5`],
	['anti join', 1, 5, `SELECT id FROM t ANTI JOIN few ON id = t_id ORDER BY ${D} LIMIT 5`],
	['semi join and filter', 1, 5,
		`SELECT id FROM t SEMI JOIN few ON id = t_id WHERE label > 9 ORDER BY ${D} LIMIT 5`],
	['comparison with a subquery', 1, 5,
		`SELECT id FROM t WHERE price > (SELECT avg(price) FROM t) ORDER BY ${D} LIMIT 5`],
	['correlated comparison', 1, 5,
		`SELECT id FROM t WHERE price > (SELECT max(weight) / 4 FROM few WHERE t_id % 50 = t.label)
		 ORDER BY ${D} LIMIT 5`],
	['semi join, subquery as query', 1, 5,
		`SELECT id FROM t WHERE id IN (SELECT t_id FROM few)
		 ORDER BY array_distance(v, (SELECT q FROM queries WHERE id = 2)) LIMIT 5`],
	// ---- transactions ----
	['own uncommitted rows', 1, 5, `SELECT id FROM t ORDER BY ${D} LIMIT 5`,
		{ before: ['BEGIN', `INSERT INTO t(id, v) VALUES (-1, ${Q})`], after: ['ROLLBACK'] }],
	['own uncommitted rows, filtered', 1, 5, `SELECT id FROM t WHERE label < 25 ORDER BY ${D} LIMIT 5`,
		{ before: ['BEGIN', `INSERT INTO t(id, label, v) VALUES (-1, 1, ${Q}), (-2, 30, ${Q})`], after: ['ROLLBACK']
		 }],
	['own deletes', 1, 5, `SELECT id FROM t WHERE label < 25 ORDER BY ${D} LIMIT 5`,
		{ before: ['BEGIN', 'DELETE FROM t WHERE id % 2 = 0'], after: ['ROLLBACK'] }],
	['own updates', 1, 5, `SELECT id FROM t WHERE label = 70 ORDER BY ${D} LIMIT 9`,
		{ before: ['BEGIN', 'UPDATE t SET label = 70 WHERE id IN (30, 40, 50, 60, 80)'], after: ['ROLLBACK'] }],
	['own rows, semi join', 1, 5, `SELECT id FROM t WHERE id IN (SELECT t_id FROM few) ORDER BY ${D} LIMIT 5`,
		{ before: ['BEGIN', `INSERT INTO t(id, v) VALUES (13, ${Q}), (14, ${Q})`], after: ['ROLLBACK'] }],
	['prepared subquery, run twice', 1, 1, `SELECT min(id) FROM (SELECT id FROM t WHERE label <> $1
		 ORDER BY array_distance(v, (SELECT q FROM queries WHERE id = 2)) LIMIT 5)`, { args: [3] }],
	// ---- exact plans ----
	['descending', 0, 5, `SELECT id FROM t ORDER BY ${D} DESC LIMIT 5`],
	['NULLs first', 0, 5, `SELECT id FROM holes ORDER BY ${D} NULLS FIRST, id LIMIT 5`],
	['another key first', 0, 5, `SELECT id FROM t ORDER BY label, ${D} LIMIT 5`],
	['no limit', 0, null, `SELECT id FROM t ORDER BY ${D}`],
	['limit of no row', 0, 0, `SELECT id FROM t ORDER BY ${D} LIMIT 0`],
	['limit in percent', 0, null, `SELECT id FROM t ORDER BY ${D} LIMIT 1%`],
	['no index of the metric', 0, 5, `SELECT id FROM twins ORDER BY array_cosine_distance(v, ${Q}), id LIMIT 5`],
	['volatile query', 0, 5,
		`SELECT 1 FROM t ORDER BY array_distance(v, [random(), 2, 3, 4, 5, 6, 7, 8]::FLOAT[8]) LIMIT 5`],
	['volatile filter', 0, 5, `SELECT 1 FROM t WHERE random() >= 0 ORDER BY ${D} LIMIT 5`],
	['distance of two columns', 0, 5, `SELECT id FROM t ORDER BY array_distance(v, v), id LIMIT 5`],
	['function of a distance', 0, 5, `SELECT id FROM t ORDER BY abs(${D} - 1) LIMIT 5`],
	['distinct', 0, 5, `SELECT DISTINCT id, ${D} AS d FROM t ORDER BY d LIMIT 5`],
	['sample', 0, null, `SELECT 1 FROM (SELECT * FROM t USING SAMPLE 100%) ORDER BY ${D} LIMIT 5`],
	['inner join below', 0, 5, `SELECT id FROM t JOIN few ON t_id = id ORDER BY ${D} LIMIT 5`],
	['join that multiplies', 0, 5,
		`SELECT t.id, queries.id FROM t, queries ORDER BY array_distance(v, ${Q}), queries.id LIMIT 5`],
];

const instance = await duckdb.DuckDBInstance.create(':memory:', { allow_unsigned_extensions: 'true' });
const connection = await instance.connect();
const run = (sql) => connection.run(sql);
const rows = async (sql) => (await connection.runAndReadAll(sql)).getRows().map((row) => row.map(String).join('|'));
const scans = async (sql) => (await rows(`EXPLAIN ${sql}`)).join('\n').split('LM_DISKANN_INDEX_SCAN').length - 1;

//! Statement to run, from the SQL of a shape.
async function prepare(sql, { args }) {
	if (!args) {
		return sql;
	}
	await run(`PREPARE shape AS ${sql}`);
	return `EXECUTE shape(${args.join(', ')})`;
}

async function check([name, scanCount, rowCount, sql, options = {}], strategy) {
	await run(`SET lm_diskann_filter_strategy = '${strategy}'`);
	for (const statement of options.before ?? []) {
		await run(statement);
	}
	const errors = [];
	await run('SET lm_diskann_enable_index_scan = true');
	const statement = await prepare(sql, options);
	const planned = await scans(statement);
	await rows(statement); // an execution leaves nothing behind
	const found = (await rows(statement)).sort();
	await run('SET lm_diskann_enable_index_scan = false');
	await prepare(sql, options);
	const exact = (await rows(statement)).sort();
	if (planned !== scanCount) {
		errors.push(`EXPLAIN shows ${planned} index scans, ${scanCount} were expected`);
	}
	if (rowCount !== null && found.length !== rowCount) {
		errors.push(`${found.length} rows, ${rowCount} were expected`);
	}
	if (JSON.stringify(found) !== JSON.stringify(exact)) {
		const at = found.findIndex((row, i) => row !== exact[i]);
		errors.push(`row ${at} is ${found[at]}, the exact plan has ${exact[at]}`);
	}
	for (const after of options.after ?? []) {
		await run(after);
	}
	return errors.map((error) => `${name} (${strategy}): ${error}\n    ${sql}`);
}

await run(`LOAD '${process.argv[2]}'`);
for (const statement of SETUP) {
	await run(statement);
}
await run('SET lm_diskann_l_search = 10000');
const failures = [];
for (const shape of SHAPES) {
	const fixed = shape[4]?.set;
	for (const strategy of fixed ? [fixed] : shape[1] === 0 ? ['auto'] : STRATEGIES) {
		failures.push(...(await check(shape, strategy).catch((error) => [`${shape[0]} (${strategy}): ${error}`])));
	}
}
console.log(failures.join('\n'));
console.log(`${SHAPES.length} shapes, ${failures.length} failures`);
process.exitCode = failures.length > 0 ? 1 : 0;
