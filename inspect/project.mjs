// Points in many dimensions as points on a page: their two principal components.

const ITERATIONS = 40;

const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);

function normalized(vector) {
	const length = Math.sqrt(dot(vector, vector)) || 1;
	return vector.map((value) => value / length);
}

/** Power iteration on the covariance; `without` is orthogonal to the result. */
function component(points, without) {
	let axis = normalized(points[0].map((_, i) => Math.sin(i + 1)));
	for (let round = 0; round < ITERATIONS; round++) {
		const next = points[0].map(() => 0);
		for (const point of points) {
			const share = dot(point, axis);
			point.forEach((value, i) => { next[i] += share * value; });
		}
		if (without) {
			const share = dot(next, without);
			without.forEach((value, i) => { next[i] -= share * value; });
		}
		axis = normalized(next);
	}
	return axis;
}

/** [x, y] for each point, in -1..1. `isCosine`: only directions count. */
export function project(vectors, isCosine) {
	const points = isCosine ? vectors.map(normalized) : vectors;
	const mean = points[0].map((_, i) => points.reduce((sum, point) => sum + point[i], 0) / points.length);
	const centered = points.map((point) => point.map((value, i) => value - mean[i]));
	const first = component(centered);
	const second = component(centered, first);
	const places = centered.map((point) => [dot(point, first), dot(point, second)]);
	const scale = Math.max(1e-12, ...places.flat().map(Math.abs));
	return places.map((place) => place.map((value) => value / scale));
}
