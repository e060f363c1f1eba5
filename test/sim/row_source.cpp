#include "sim/row_source.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lm_diskann {

IndexConfiguration RandomConfiguration(std::mt19937_64 &random) {
	IndexOptions options;
	options.metric = Metric(random() % 3);
	options.max_degree = uint32_t(4 + random() % 21);
	options.l_build = uint32_t(L_BUILD_MIN + random() % 30);
	options.seed = int64_t(random() % 1000);
	if (random() % 4 != 0) {
		options.codes = CodeFamily(random() % 4);
	}
	if (random() % 3 == 0) {
		options.vectors = VectorStorage(random() % 3);
	}
	if (random() % 3 == 0) {
		options.block_size = uint32_t(4096 * (1 + random() % 4));
	}
	const ElementType element_type = random() % 3 == 0 ? ElementType::INT8 : ElementType::FLOAT32;
	return Configure(options, element_type, uint32_t(8 + random() % 25));
}

RowSource::RowSource(const IndexConfiguration &configuration_p, uint64_t seed)
    : configuration(configuration_p), random(seed), scale(std::pow(10.0F, float(random() % 5) - 2)) {
	for (size_t i = 0; i < 1 + random() % 8; i++) {
		std::vector<float> &center = centers.emplace_back(configuration.dims);
		for (float &value : center) {
			value = float(random() % 2001) / 1000.0F - 1;
		}
	}
}

std::vector<float> RowSource::MakeVector() {
	std::vector<float> vector = centers[random() % centers.size()];
	for (float &value : vector) {
		value += float(random() % 2001) / 5000.0F - 0.2F;
		value = configuration.element_type == ElementType::INT8 ? std::clamp(std::round(value * 60), -128.0F, 127.0F)
		                                                        : value * scale;
	}
	return vector;
}

HostRow RowSource::Make(RowId row_id) {
	const uint64_t choice = random() % 40;
	if (choice == 0) {
		return {row_id, std::nullopt};
	}
	if (choice == 1) {
		return {row_id, std::vector<float>(configuration.dims)};
	}
	if (choice < 5 && !last.empty()) {
		return {row_id, last};
	}
	last = MakeVector();
	HostRow row {row_id, last};
	if (choice == 5 && configuration.element_type == ElementType::FLOAT32) {
		(*row.vector)[random() % configuration.dims] =
		    random() % 2 == 0 ? std::numeric_limits<float>::quiet_NaN() : -std::numeric_limits<float>::infinity();
	}
	return row;
}

std::vector<HostRow> RowSource::MakeRun(int64_t first, size_t count) {
	std::vector<HostRow> rows;
	for (size_t i = 0; i < count; i++) {
		rows.push_back(Make(RowId(first + int64_t(i))));
	}
	return rows;
}

std::vector<float> RowSource::MakeQuery() {
	std::vector<float> query = MakeVector();
	query[0] += query[0] == 0 ? 1.0F : 0.0F;
	return query;
}

} // namespace lm_diskann
