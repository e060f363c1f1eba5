#include "index/options.hpp"

#include "base/error.hpp"
#include "graph/node.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

namespace lm_diskann {

namespace {

constexpr uint32_t BLOCK_STEP = 4096;
//! Degree that a block must have room for before a richer code is taken (algorithms: bits before degree).
constexpr uint32_t DEGREE_WANTED_BELOW_512 = 36, DEGREE_WANTED = 32;
constexpr uint32_t DEGREE_FILLED_MAX = 96;
constexpr uint32_t CONFIGURATION_VERSION = 1;
constexpr double TARGET_RECALL_UNITS = 10000;

//! On disk: all numbers little-endian, fixed order.
struct StoredConfiguration {
	uint32_t version;
	uint8_t metric;
	uint8_t element_type;
	uint8_t vectors;
	uint8_t codes;
	uint32_t dims;
	uint32_t max_degree;
	uint32_t l_build;
	uint32_t l_search;
	double alpha;
	int64_t seed;
	uint32_t page_size;
	uint32_t target_recall;
};
static_assert(sizeof(StoredConfiguration) == 48);

std::string LowerCase(std::string text) {
	std::transform(text.begin(), text.end(), text.begin(),
	               [](char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; });
	return text;
}

std::string FormatNumber(double value) {
	char text[32];
	std::snprintf(text, sizeof(text), "%.15g", value);
	return text;
}

[[noreturn]] void ThrowOption(const std::string &name, const std::string &allowed, const std::string &found) {
	throw UsageError("option \"" + name + "\" must be " + allowed + ", found \"" + found + "\"");
}

double ParseNumber(const std::string &name, const std::string &allowed, const std::string &text) {
	try {
		size_t end = 0;
		const double value = std::stod(text, &end);
		if (end == text.size() && std::isfinite(value)) {
			return value;
		}
	} catch (const std::logic_error &) { // std::stod found no number, or one out of range
	}
	ThrowOption(name, allowed, text);
}

uint32_t ParseCount(const std::string &name, uint32_t min, uint32_t max, const std::string &text) {
	const std::string allowed = "a whole number between " + std::to_string(min) + " and " + std::to_string(max);
	const double value = ParseNumber(name, allowed, text);
	if (value != std::floor(value) || value < min || value > max) {
		ThrowOption(name, allowed, text);
	}
	return uint32_t(value);
}

int64_t ParseSeed(const std::string &text) {
	try {
		size_t end = 0;
		const int64_t value = std::stoll(text, &end);
		if (end == text.size()) {
			return value;
		}
	} catch (const std::logic_error &) { // std::stoll found no number, or one out of range
	}
	ThrowOption("seed", "a BIGINT", text);
}

template <class ENUM>
struct Name {
	const char *text;
	ENUM value;
};

constexpr Name<Metric> METRICS[] = {{"l2sq", Metric::L2SQ}, {"cosine", Metric::COSINE}, {"ip", Metric::IP}};
constexpr Name<CodeFamily> CODES[] = {{"ternary", CodeFamily::TERNARY},
                                      {"1bit", CodeFamily::ONE_BIT},
                                      {"2bit", CodeFamily::TWO_BIT},
                                      {"4bit", CodeFamily::FOUR_BIT}};
constexpr Name<VectorStorage> STORAGES[] = {
    {"native", VectorStorage::NATIVE}, {"f16", VectorStorage::F16}, {"int8", VectorStorage::INT8}};

template <class ENUM, size_t COUNT>
const char *NameOf(const Name<ENUM> (&names)[COUNT], ENUM value) {
	for (const Name<ENUM> &name : names) {
		if (name.value == value) {
			return name.text;
		}
	}
	throw InternalError("a name was asked of an unknown value");
}

template <class ENUM, size_t COUNT>
ENUM ParseName(const Name<ENUM> (&names)[COUNT], const std::string &option, const char *also, const std::string &text) {
	std::string allowed = "one of " + std::string(also);
	for (const Name<ENUM> &name : names) {
		if (LowerCase(text) == name.text) {
			return name.value;
		}
		allowed += (allowed.back() == ' ' ? "'" : ", '") + std::string(name.text) + "'";
	}
	ThrowOption(option, allowed, text);
}

bool HasRoom(const IndexConfiguration &configuration, uint32_t page_size, CodeFamily codes, uint32_t degree) {
	return NodeLayout::DegreeThatFits(page_size, configuration.dims, configuration.element_type, configuration.vectors,
	                                  codes) >= degree;
}

//! Codes from the richest to the poorest; ternary is taken only when asked for (2bit has the same size and less error).
constexpr CodeFamily RICHEST_FIRST[] = {CodeFamily::FOUR_BIT, CodeFamily::TWO_BIT, CodeFamily::ONE_BIT};

//! The poorest code that decides the size of the block.
CodeFamily PoorestWanted(uint32_t dims) {
	return dims < 1536 ? CodeFamily::TWO_BIT : CodeFamily::ONE_BIT;
}

//! Sets page size and codes as far as the options leave them open; returns the degree that then fits a block.
uint32_t ChooseBlock(const IndexOptions &options, IndexConfiguration &configuration) {
	const uint32_t dims = configuration.dims;
	const uint32_t wanted = options.max_degree.value_or(dims < 512 ? DEGREE_WANTED_BELOW_512 : DEGREE_WANTED);
	const CodeFamily sizing_code = options.codes.value_or(PoorestWanted(dims));
	uint32_t page_size = options.block_size.value_or(PAGE_SIZE_MIN);
	while (!options.block_size && page_size < PAGE_SIZE_MAX &&
	       !HasRoom(configuration, page_size, sizing_code, wanted)) {
		page_size += BLOCK_STEP;
	}
	configuration.page_size = page_size;
	configuration.codes = options.codes.value_or(CodeFamily::ONE_BIT);
	for (const CodeFamily codes : RICHEST_FIRST) {
		if (!options.codes && HasRoom(configuration, page_size, codes, wanted)) {
			configuration.codes = codes;
			break;
		}
	}
	return NodeLayout::DegreeThatFits(page_size, dims, configuration.element_type, configuration.vectors,
	                                  configuration.codes);
}

} // namespace

IndexOptions ParseOptions(const std::vector<std::pair<std::string, std::string>> &pairs) {
	IndexOptions options;
	for (const auto &[original_name, value] : pairs) {
		const std::string name = LowerCase(original_name);
		if (name == "metric") {
			options.metric = ParseName(METRICS, name, "", value);
		} else if (name == "r") {
			options.max_degree = ParseCount("R", MAX_DEGREE_MIN, MAX_DEGREE_MAX, value);
		} else if (name == "l_build") {
			options.l_build = ParseCount("L_build", L_BUILD_MIN, L_BUILD_MAX, value);
		} else if (name == "l_search") {
			options.l_search = ParseCount("L_search", L_SEARCH_MIN, L_SEARCH_MAX, value);
		} else if (name == "alpha") {
			const std::string allowed = "a number between 1.0 and 2.0";
			options.alpha = ParseNumber(name, allowed, value);
			if (options.alpha < ALPHA_MIN || options.alpha > ALPHA_MAX) {
				ThrowOption(name, allowed, value);
			}
		} else if (name == "codes") {
			if (LowerCase(value) != "auto") {
				options.codes = ParseName(CODES, name, "'auto'", value);
			}
		} else if (name == "vectors") {
			options.vectors = ParseName(STORAGES, name, "", value);
		} else if (name == "block_size") {
			options.block_size = ParseCount(name, PAGE_SIZE_MIN, PAGE_SIZE_MAX, value);
			if (*options.block_size % BLOCK_STEP != 0) {
				ThrowOption(name, "a multiple of 4096 between 4096 and 65536", value);
			}
		} else if (name == "target_recall") {
			const std::string allowed = "a number between 0.5 and 0.999";
			options.target_recall = ParseNumber(name, allowed, value);
			if (options.target_recall < TARGET_RECALL_MIN || options.target_recall > TARGET_RECALL_MAX) {
				ThrowOption(name, allowed, value);
			}
		} else if (name == "seed") {
			options.seed = ParseSeed(value);
		} else {
			throw UsageError("unknown option \"" + original_name +
			                 "\"; the options are metric, R, L_build, L_search, alpha, codes, vectors, block_size, "
			                 "target_recall, seed");
		}
	}
	return options;
}

IndexConfiguration Configure(const IndexOptions &options, ElementType element_type, uint32_t dims) {
	if (dims < DIMENSIONS_MIN || dims > DIMENSIONS_MAX) {
		throw UsageError("the vectors must have between 1 and 16384 dimensions, found " + std::to_string(dims));
	}
	IndexConfiguration configuration;
	configuration.metric = options.metric;
	configuration.element_type = element_type;
	configuration.vectors = element_type == ElementType::INT8 ? VectorStorage::NATIVE : options.vectors;
	configuration.dims = dims;
	configuration.l_build = options.l_build;
	configuration.l_search = options.l_search;
	configuration.alpha = options.alpha;
	configuration.target_recall = TargetRecallUnits(options.target_recall);
	configuration.seed = options.seed;

	const uint32_t needed = options.max_degree.value_or(MAX_DEGREE_MIN);
	uint32_t room = ChooseBlock(options, configuration);
	// Beyond about 15,000 dimensions no block holds a native vector; the host re-ranks what a lossy form finds.
	if (room < needed && element_type == ElementType::FLOAT32 && configuration.vectors == VectorStorage::NATIVE) {
		configuration.vectors = VectorStorage::F16;
		room = ChooseBlock(options, configuration);
	}
	if (room < needed) {
		throw UsageError("a block of " + std::to_string(configuration.page_size) + " bytes has room for " +
		                 std::to_string(room) + " neighbors of a vector with " + std::to_string(dims) +
		                 " dimensions and codes '" + CodeFamilyName(configuration.codes) + "', but " +
		                 std::to_string(needed) +
		                 " are needed; use a larger block_size, a smaller R, poorer codes or vectors = 'int8'");
	}
	configuration.max_degree = options.max_degree.value_or(std::min(room, DEGREE_FILLED_MAX));
	return configuration;
}

uint32_t TargetRecallUnits(double share) {
	return uint32_t(std::lround(share * TARGET_RECALL_UNITS));
}

double TargetRecallShare(uint32_t units) {
	return double(units) / TARGET_RECALL_UNITS;
}

std::vector<uint8_t> SerializeConfiguration(const IndexConfiguration &configuration) {
	StoredConfiguration stored = {};
	stored.version = CONFIGURATION_VERSION;
	stored.metric = uint8_t(configuration.metric);
	stored.element_type = uint8_t(configuration.element_type);
	stored.vectors = uint8_t(configuration.vectors);
	stored.codes = uint8_t(configuration.codes);
	stored.dims = configuration.dims;
	stored.max_degree = configuration.max_degree;
	stored.l_build = configuration.l_build;
	stored.l_search = configuration.l_search;
	stored.alpha = configuration.alpha;
	stored.seed = configuration.seed;
	stored.page_size = configuration.page_size;
	stored.target_recall = configuration.target_recall;
	std::vector<uint8_t> bytes(sizeof(stored));
	std::memcpy(bytes.data(), &stored, sizeof(stored));
	return bytes;
}

IndexConfiguration DeserializeConfiguration(ConstByteSpan bytes) {
	StoredConfiguration stored = {};
	if (bytes.size() != sizeof(stored)) {
		throw CorruptionError("the configuration must have " + std::to_string(sizeof(stored)) + " bytes, found " +
		                      std::to_string(bytes.size()));
	}
	std::memcpy(&stored, bytes.data(), sizeof(stored));
	const auto check = [](bool is_sound, const char *name, double found) {
		if (!is_sound) {
			throw CorruptionError(std::string("the configuration holds ") + name + " " + FormatNumber(found));
		}
	};
	const auto is_within = [](double value, double min, double max) { return value >= min && value <= max; };
	check(stored.version == CONFIGURATION_VERSION, "version", stored.version);
	check(stored.metric <= uint8_t(Metric::IP), "metric", stored.metric);
	check(stored.element_type <= uint8_t(ElementType::INT8), "element type", stored.element_type);
	check(stored.vectors <= uint8_t(VectorStorage::INT8), "vector storage", stored.vectors);
	check(stored.codes <= uint8_t(CodeFamily::FOUR_BIT), "code family", stored.codes);
	check(is_within(stored.dims, DIMENSIONS_MIN, DIMENSIONS_MAX), "dimensions", stored.dims);
	check(is_within(stored.max_degree, MAX_DEGREE_MIN, MAX_DEGREE_MAX), "R", stored.max_degree);
	check(is_within(stored.l_build, L_BUILD_MIN, L_BUILD_MAX), "L_build", stored.l_build);
	check(is_within(stored.l_search, L_SEARCH_MIN, L_SEARCH_MAX), "L_search", stored.l_search);
	check(is_within(stored.alpha, ALPHA_MIN, ALPHA_MAX), "alpha", stored.alpha);
	check(is_within(stored.page_size, PAGE_SIZE_MIN, PAGE_SIZE_MAX) && stored.page_size % BLOCK_STEP == 0, "block size",
	      stored.page_size);
	check(stored.target_recall == 0 || is_within(stored.target_recall, TargetRecallUnits(TARGET_RECALL_MIN),
	                                             TargetRecallUnits(TARGET_RECALL_MAX)),
	      "target recall", stored.target_recall);

	IndexConfiguration configuration;
	configuration.metric = Metric(stored.metric);
	configuration.element_type = ElementType(stored.element_type);
	configuration.vectors = VectorStorage(stored.vectors);
	configuration.codes = CodeFamily(stored.codes);
	configuration.dims = stored.dims;
	configuration.max_degree = stored.max_degree;
	configuration.l_build = stored.l_build;
	configuration.l_search = stored.l_search;
	configuration.alpha = stored.alpha;
	configuration.seed = stored.seed;
	configuration.page_size = stored.page_size;
	configuration.target_recall = stored.target_recall;
	check(HasRoom(configuration, stored.page_size, configuration.codes, stored.max_degree), "R", stored.max_degree);
	return configuration;
}

std::string DescribeDifference(const IndexConfiguration &expected, const IndexConfiguration &found) {
	std::string text;
	const auto compare = [&](const char *name, const auto &wanted, const auto &present, auto format) {
		if (text.empty() && wanted != present) {
			text = std::string(name) + " must be " + format(wanted) + ", found " + format(present);
		}
	};
	const auto count = [](auto value) { return std::to_string(value); };
	compare("metric", expected.metric, found.metric, MetricName);
	compare("element type", expected.element_type, found.element_type, ElementTypeName);
	compare("vector storage", expected.vectors, found.vectors, VectorStorageName);
	compare("code family", expected.codes, found.codes, CodeFamilyName);
	compare("dimensions", expected.dims, found.dims, count);
	compare("R", expected.max_degree, found.max_degree, count);
	compare("L_build", expected.l_build, found.l_build, count);
	compare("L_search", expected.l_search, found.l_search, count);
	compare("alpha", expected.alpha, found.alpha, FormatNumber);
	compare("block size", expected.page_size, found.page_size, count);
	compare("target recall", expected.target_recall, found.target_recall, count);
	compare("seed", expected.seed, found.seed, count);
	return text;
}

const char *MetricName(Metric metric) {
	return NameOf(METRICS, metric);
}

const char *CodeFamilyName(CodeFamily family) {
	return NameOf(CODES, family);
}

const char *VectorStorageName(VectorStorage storage) {
	return NameOf(STORAGES, storage);
}

const char *ElementTypeName(ElementType type) {
	return type == ElementType::FLOAT32 ? "FLOAT32" : "INT8";
}

} // namespace lm_diskann
