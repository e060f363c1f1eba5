// Line plots as SVG, side by side, with a logarithmic x axis.

const WIDTH = 300, HEIGHT = 220, LEFT = 52, RIGHT = 12, TOP = 30, BOTTOM = 42, TICKS = 4;

const format = (value) => (value >= 10 ? value.toFixed(0) : Number(value.toPrecision(2)).toString());

function drawPlot({ title, x, y, points }, offset) {
	const [xs, ys] = [0, 1].map((at) => points.map((point) => point[at]));
	const toScale = Math.log;
	const [xMin, xMax] = [toScale(Math.min(...xs)), toScale(Math.max(...xs))];
	const yMax = Math.max(...ys), yMin = Math.min(...ys) > yMax / 2 ? Math.min(...ys) : 0;
	const placeX = (value) => offset + LEFT + ((toScale(value) - xMin) / (xMax - xMin || 1)) * (WIDTH - LEFT - RIGHT);
	const placeY = (value) => HEIGHT - BOTTOM - ((value - yMin) / (yMax - yMin || 1)) * (HEIGHT - TOP - BOTTOM);
	const text = (px, py, content, anchor = 'middle', more = '') =>
		`<text x="${px.toFixed(1)}" y="${py.toFixed(1)}" text-anchor="${anchor}"${more}>${content}</text>`;
	const parts = [text(offset + (WIDTH + LEFT) / 2, 18, title, 'middle', ' font-weight="bold"'),
		text(offset + (WIDTH + LEFT) / 2, HEIGHT - 8, x),
		`<text transform="translate(${offset + 12} ${HEIGHT / 2}) rotate(-90)" text-anchor="middle">${y}</text>`];
	for (let i = 0; i <= TICKS; i++) {
		const value = yMin + ((yMax - yMin) * i) / TICKS;
		const from = `M${offset + LEFT} ${placeY(value).toFixed(1)}`;
		parts.push(`<path d="${from}H${offset + WIDTH - RIGHT}" stroke="#dde3ea"/>`,
			text(offset + LEFT - 5, placeY(value) + 4, format(value), 'end'));
	}
	xs.filter((_, i) => i % Math.ceil(xs.length / 6) === 0).forEach((value) =>
		parts.push(text(placeX(value), HEIGHT - BOTTOM + 15, format(value))));
	const places = points.map(([px, py]) => [placeX(px).toFixed(1), placeY(py).toFixed(1)]);
	const line = places.map((place, i) => `${i === 0 ? 'M' : 'L'}${place.join(' ')}`);
	parts.push(`<path d="${line.join('')}" fill="none" stroke="#1f6feb" stroke-width="2"/>`);
	places.forEach(([cx, cy]) => parts.push(`<circle cx="${cx}" cy="${cy}" r="3" fill="#1f6feb"/>`));
	return parts.join('\n');
}

/** One SVG with all plots: [{title, x, y, points: [[x, y], ...]}]. */
export function drawPlots(plots) {
	return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH * plots.length} ${HEIGHT}" `
		+ `font-family="sans-serif" font-size="11" fill="#1c2430">\n<rect width="100%" height="100%" fill="#fff"/>\n`
		+ `${plots.map((plot, i) => drawPlot(plot, i * WIDTH)).join('\n')}\n</svg>\n`;
}
