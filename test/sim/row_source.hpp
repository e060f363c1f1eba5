// Random index configurations, and random rows with what real tables have: clusters, copies, NULLs, NaN and zeros.
#pragma once

#include "sim/row_model.hpp"

#include <random>

namespace lm_diskann {

//! Any metric, element type, code family and form of vectors; 8 to 32 dimensions, small degrees and lists.
IndexConfiguration RandomConfiguration(std::mt19937_64 &random);

class RowSource {
public:
	RowSource(const IndexConfiguration &configuration_p, uint64_t seed);

	const IndexConfiguration &Configuration() const {
		return configuration;
	}
	//! A row with a vector, now and then one that cannot be indexed or none.
	HostRow Make(RowId row_id);
	std::vector<HostRow> MakeRun(int64_t first, size_t count);
	//! Can be asked for: finite and not all zero.
	std::vector<float> MakeQuery();

private:
	std::vector<float> MakeVector();

	IndexConfiguration configuration;
	std::mt19937_64 random;
	float scale;
	std::vector<std::vector<float>> centers;
	std::vector<float> last;
};

} // namespace lm_diskann
