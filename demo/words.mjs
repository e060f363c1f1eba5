// Words as vectors: hashed character n-grams, so that words that are spelled alike are near each other. Deterministic.

export const WORD_DIMENSIONS = 256;
const NGRAM_SIZES = [1, 2, 3, 4];

//! 32-bit FNV-1a.
function hash(text) {
	let value = 0x811c9dc5;
	for (let i = 0; i < text.length; i++) {
		value = Math.imul(value ^ text.charCodeAt(i), 0x01000193) >>> 0;
	}
	return value;
}

//! Each n-gram of "^word$" adds +1 or -1 to one dimension; the sum has unit length.
export function wordVector(word) {
	const vector = new Float64Array(WORD_DIMENSIONS);
	const text = `^${word.toLowerCase()}$`;
	for (const size of NGRAM_SIZES) {
		for (let i = 0; i + size <= text.length; i++) {
			const value = hash(text.slice(i, i + size));
			vector[value % WORD_DIMENSIONS] += (value >>> 16) & 1 ? 1 : -1;
		}
	}
	const length = Math.hypot(...vector) || 1;
	return Array.from(vector, (value) => Math.fround(value / length));
}

//! One slip of the fingers, chosen by `seed`: a letter dropped, doubled, or swapped with the next.
export function misspell(word, seed) {
	const position = 1 + (hash(`${seed}`) % Math.max(1, word.length - 2));
	switch (seed % 3) {
		case 0:
			return word.slice(0, position) + word.slice(position + 1);
		case 1:
			return word.slice(0, position) + (word[position] ?? '') + word.slice(position);
		default: {
			const swapped = (word[position + 1] ?? '') + (word[position] ?? '');
			return word.slice(0, position) + swapped + word.slice(position + 2);
		}
	}
}
