// The options of an index: parsed and validated from text once, stored in the file, never guessed.
#pragma once

#include "base/types.hpp"
#include "vector/vector_types.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace lm_diskann {

static constexpr uint32_t DIMENSIONS_MIN = 1, DIMENSIONS_MAX = 16384;
static constexpr uint32_t MAX_DEGREE_MIN = 4, MAX_DEGREE_MAX = 256;
static constexpr uint32_t L_BUILD_MIN = 10, L_BUILD_DEFAULT = 100, L_BUILD_MAX = 2000;
static constexpr uint32_t L_SEARCH_MIN = 1, L_SEARCH_DEFAULT = 100, L_SEARCH_MAX = 10000;
static constexpr double ALPHA_MIN = 1.0, ALPHA_DEFAULT = 1.2, ALPHA_MAX = 2.0;
static constexpr double TARGET_RECALL_MIN = 0.5, TARGET_RECALL_MAX = 0.999;
static constexpr int64_t SEED_DEFAULT = 42;

//! What CREATE INDEX ... WITH (...) asks for; unset where the index decides (product contract, section 1).
struct IndexOptions {
	Metric metric = Metric::L2SQ;
	std::optional<uint32_t> max_degree;
	uint32_t l_build = L_BUILD_DEFAULT;
	uint32_t l_search = L_SEARCH_DEFAULT;
	double alpha = ALPHA_DEFAULT;
	std::optional<CodeFamily> codes;
	VectorStorage vectors = VectorStorage::NATIVE;
	std::optional<uint32_t> block_size;
	//! 0: none, searches use l_search.
	double target_recall = 0;
	int64_t seed = SEED_DEFAULT;
};

//! Options with nothing left open, and the column: all that the layout of a file depends on.
struct IndexConfiguration {
	Metric metric = Metric::L2SQ;
	ElementType element_type = ElementType::FLOAT32;
	VectorStorage vectors = VectorStorage::NATIVE;
	CodeFamily codes = CodeFamily::TERNARY;
	uint32_t dims = 0;
	uint32_t max_degree = 0;
	uint32_t l_build = L_BUILD_DEFAULT;
	uint32_t l_search = L_SEARCH_DEFAULT;
	double alpha = ALPHA_DEFAULT;
	uint32_t page_size = 0;
	//! In ten-thousandths; 0: none.
	uint32_t target_recall = 0;
	int64_t seed = SEED_DEFAULT;
};

//! Reads (name, value) pairs; names in any case. Throws UsageError naming the option, what was found and what is
//! allowed.
IndexOptions ParseOptions(const std::vector<std::pair<std::string, std::string>> &options);

//! Decides what the options leave open (algorithms: codes before degree, smallest suitable block). Throws UsageError
//! when no block of the allowed size holds one node.
IndexConfiguration Configure(const IndexOptions &options, ElementType element_type, uint32_t dims);

//! What IndexConfiguration::target_recall holds for a share.
uint32_t TargetRecallUnits(double share);
double TargetRecallShare(uint32_t units);

//! Byte form for the file head, and back (CorruptionError for anything out of range).
std::vector<uint8_t> SerializeConfiguration(const IndexConfiguration &configuration);
IndexConfiguration DeserializeConfiguration(ConstByteSpan bytes);

//! The first field in which two configurations differ, with both values; empty when they are equal.
std::string DescribeDifference(const IndexConfiguration &expected, const IndexConfiguration &found);

//! Names as users write them: "l2sq", "ternary", "native", ...
const char *MetricName(Metric metric);
const char *CodeFamilyName(CodeFamily family);
const char *VectorStorageName(VectorStorage storage);
const char *ElementTypeName(ElementType type); // "FLOAT32", "INT8"

} // namespace lm_diskann
