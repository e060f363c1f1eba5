// What the figures of one run come to: a table for the terminal, and a page with the curves.
import fs from 'node:fs';
import path from 'node:path';

const HERE = path.dirname(new URL(import.meta.url).pathname);
const RECALLS = [0.9, 0.95, 0.99];
//! Peers whose vectors are not rounded: their best is what the goals are measured by.
const EXACT_PEERS = ['hnswlib', 'faiss', 'usearch_f32', 'usearch_f16'];
const COLORS = {
	lm_diskann: '#c00',
	hnswlib: '#06c',
	faiss: '#083',
	usearch_f32: '#808',
	usearch_f16: '#c6c',
	usearch_i8: '#999',
};

/** The value of `field` where the curve reaches `recall`, between two points on a logarithmic scale; or undefined. */
export function atRecall(points, recall, field) {
	for (let i = 0; i < points.length; i++) {
		if (points[i].recall < recall) {
			continue;
		}
		const [low, high] = [points[i - 1], points[i]];
		if (!low || high.recall === low.recall) {
			return high[field];
		}
		const share = (recall - low.recall) / (high.recall - low.recall);
		return Math.exp(Math.log(low[field]) * (1 - share) + Math.log(high[field]) * share);
	}
	return undefined;
}

const round = (value, digits = 0) => (value === undefined ? '-' : value.toFixed(digits));

/** Rows of text: one for each index, then what the goals ask. */
function tables(result) {
	const header = ['index', 'built/cpu s', 'bytes/vector', 'peak RSS MiB', ...RECALLS.map((r) => `q/s @${r}`)];
	const rows = result.warm.map(({ name, points }) => {
		const build = result.builds.find((entry) => entry.name === name);
		return [
			name,
			round(build.vectors_per_cpu_second),
			round(build.index_bytes / build.rows),
			round(build.peak_rss_bytes / 2 ** 20),
			...RECALLS.map((recall) => round(atRecall(points, recall, 'queries_per_cpu_second'))),
		];
	});
	const ours = result.warm[0].points;
	const facts = RECALLS.map((recall) => {
		const own = atRecall(ours, recall, 'queries_per_cpu_second');
		const others = result.warm
			.filter(({ name }) => EXACT_PEERS.includes(name))
			.map(({ points }) => atRecall(points, recall, 'queries_per_cpu_second') ?? 0);
		const blocks = atRecall(result.cold[0].points, recall, 'blocks_read');
		const hops = atRecall(ours, recall, 'hops');
		return `recall ${recall}: ${round(own / Math.max(...others), 2)} x the best of the others; ` +
			`cold ${round(blocks, 1)} blocks read, warm ${round(hops, 1)} hops`;
	});
	for (const [i, { points }] of result.cold.entries()) {
		const speed = atRecall(points, 0.95, 'queries_per_second');
		const limit = result.devices[i].reads_per_second / atRecall(points, 0.95, 'blocks_read');
		facts.push(`cold, ${result.devices[i].threads} threads: ${round(speed)} q/s at 0.95, ` +
			`${round((100 * speed) / limit)} % of what the device's ${round(result.devices[i].reads_per_second)} ` +
			`reads/s of ${result.block_size} bytes allow`);
	}
	if (result.sql) {
		const { sql } = result;
		facts.push(`SQL at recall ${round(sql.recall, 3)} (L ${sql.list_size}): ` +
			`p50 ${round(sql.prepared.p50_ms, 2)} ms prepared, ${round(sql.unprepared.p50_ms, 2)} ms not; ` +
			`SELECT 1 ${round(sql.select_1.p50_ms, 2)} ms, ` +
			`ten rows by rowid ${round(sql.ten_rows.p50_ms, 2)} ms, exact scan ${round(sql.exact_scan.p50_ms, 1)} ms`);
	}
	if (result.libsql) {
		const { libsql } = result;
		facts.push(`libSQL: recall ${round(libsql.recall, 3)}, ${round(libsql.queries_per_second)} q/s, ` +
			`${round(libsql.pages_read_per_query, 1)} pages (${round(libsql.kilobytes_read_per_query)} KiB) a query, ` +
			`${round(libsql.bytes_per_vector)} bytes a vector`);
	}
	return { header, rows, facts };
}

export function summarize(result) {
	const { header, rows, facts } = tables(result);
	const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i].length)));
	const line = (cells) => cells.map((cell, i) => cell.padStart(widths[i])).join('  ');
	return [`\n${result.set}`, line(header), ...rows.map(line), ...facts, ''].join('\n');
}

/** x: recall on all lists of points together; one series an index. */
function chart(result) {
	const curves = [...result.warm, { name: 'lm_diskann cold', points: result.cold[0].points }];
	const xs = [...new Set(curves.flatMap(({ points }) => points.map((point) => point.recall)))].sort((a, b) => a - b);
	const series = curves.map(({ name, points }) => ({
		label: name,
		color: COLORS[name] ?? '#e80',
		values: xs.map((x) => points.find((point) => point.recall === x)?.queries_per_second ?? null),
	}));
	return { xs, series };
}

const escape = (text) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;');

export function writeReport(report, target) {
	const library = path.join(HERE, 'node_modules/uplot/dist');
	const sections = report.results.map((result, i) => {
		const { header, rows, facts } = tables(result);
		const cells = (row, tag) => `<tr>${row.map((cell) => `<${tag}>${escape(cell)}</${tag}>`).join('')}</tr>`;
		return `<h2>${escape(result.set)}</h2><div id="chart${i}"></div>
<table>${cells(header, 'th')}${rows.map((row) => cells(row, 'td')).join('')}</table>
<ul>${facts.map((fact) => `<li>${escape(fact)}</li>`).join('')}</ul>`;
	});
	const script = `
const charts = ${JSON.stringify(report.results.map(chart))};
charts.forEach(({ xs, series }, i) => new uPlot({
	width: 900, height: 420,
	scales: { x: { time: false }, y: { distr: 3 } },
	axes: [{ label: 'recall@10' }, { label: 'queries a second' }],
	series: [{ label: 'recall@10' }, ...series.map(({ label, color }) => ({ label, stroke: color, spanGaps: true }))],
}, [xs, ...series.map(({ values }) => values)], document.getElementById('chart' + i)));`;
	fs.writeFileSync(target, `<!doctype html><meta charset="utf-8"><title>lm_diskann: benchmark</title>
<style>${fs.readFileSync(path.join(library, 'uPlot.min.css'), 'utf8')}
body { font-family: sans-serif; margin: 2em; } td, th { padding: 0 1em; text-align: right; }</style>
<h1>lm_diskann: benchmark</h1>
<p>${escape(report.date)}, ${escape(report.machine.cpu)}, ${report.machine.cpus} processors. One thread unless said
otherwise; the tables' q/s are by processor time, the curves' by the clock, best of ${report.rounds} runs.</p>
${sections.join('\n')}
<script>${fs.readFileSync(path.join(library, 'uPlot.iife.min.js'), 'utf8')}</script><script>${script}</script>
`);
}
