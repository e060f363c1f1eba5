// Options: every range and name is checked with a message that names option, found and allowed; what is left open is
// decided as the algorithms ask; the stored form comes back whole or is refused.
#include "index/options.hpp"

#include "base/error.hpp"
#include "graph/node.hpp"

#include <gtest/gtest.h>
#include <random>

namespace lm_diskann {
namespace {

std::string MessageOf(const std::vector<std::pair<std::string, std::string>> &options) {
	try {
		ParseOptions(options);
	} catch (const UsageError &error) {
		return error.what();
	}
	return "";
}

TEST(Options, NamesAreCaseInsensitive) {
	const IndexOptions options = ParseOptions({{"METRIC", "Cosine"}, {"r", "48"}, {"l_SEARCH", "7"}, {"Alpha", "1.5"}});
	EXPECT_EQ(options.metric, Metric::COSINE);
	EXPECT_EQ(options.max_degree, 48U);
	EXPECT_EQ(options.l_search, 7U);
	EXPECT_EQ(options.alpha, 1.5);
}

TEST(Options, EachWrongValueIsNamed) {
	EXPECT_EQ(MessageOf({{"metric", "l1"}}), "option \"metric\" must be one of 'l2sq', 'cosine', 'ip', found \"l1\"");
	EXPECT_EQ(MessageOf({{"R", "1000"}}), "option \"R\" must be a whole number between 4 and 256, found \"1000\"");
	EXPECT_EQ(MessageOf({{"R", "8.5"}}), "option \"R\" must be a whole number between 4 and 256, found \"8.5\"");
	EXPECT_EQ(MessageOf({{"L_build", "x"}}),
	          "option \"L_build\" must be a whole number between 10 and 2000, found \"x\"");
	EXPECT_EQ(MessageOf({{"L_search", "0"}}),
	          "option \"L_search\" must be a whole number between 1 and 10000, found \"0\"");
	EXPECT_EQ(MessageOf({{"alpha", "2.5"}}), "option \"alpha\" must be a number between 1.0 and 2.0, found \"2.5\"");
	EXPECT_EQ(MessageOf({{"codes", "pq"}}),
	          "option \"codes\" must be one of 'auto', 'ternary', '1bit', '2bit', '4bit', found \"pq\"");
	EXPECT_EQ(MessageOf({{"vectors", "f8"}}),
	          "option \"vectors\" must be one of 'native', 'f16', 'int8', found \"f8\"");
	EXPECT_EQ(MessageOf({{"block_size", "5000"}}),
	          "option \"block_size\" must be a multiple of 4096 between 4096 and 65536, found \"5000\"");
	EXPECT_EQ(MessageOf({{"target_recall", "1"}}),
	          "option \"target_recall\" must be a number between 0.5 and 0.999, found \"1\"");
	EXPECT_EQ(MessageOf({{"seed", "1.5"}}), "option \"seed\" must be a BIGINT, found \"1.5\"");
	EXPECT_NE(MessageOf({{"M", "16"}}).find("unknown option \"M\"; the options are metric, R,"), std::string::npos);
}

//! Bytes of the file a vector takes, in parts of its floats.
double SizeShare(uint32_t dims, const char *vectors) {
	const IndexConfiguration configuration =
	    Configure(ParseOptions({{"vectors", vectors}}), ElementType::FLOAT32, dims);
	const NodeLayout layout = NodeLayout::Create(configuration.page_size, dims, ElementType::FLOAT32,
	                                             configuration.vectors, configuration.max_degree, configuration.codes);
	return double(configuration.page_size) / layout.nodes_per_page / (dims * sizeof(float));
}

TEST(Options, ABlockIsSoManyTimesItsVector) {
	EXPECT_EQ(SizeShare(128, "native"), 8.0);
	EXPECT_EQ(SizeShare(384, "native"), 8192.0 / 1536);
	EXPECT_EQ(SizeShare(768, "native"), 4.0);
	EXPECT_NEAR(SizeShare(1536, "native"), 2.67, 0.01);
	EXPECT_EQ(SizeShare(128, "int8"), 8.0);
	EXPECT_NEAR(SizeShare(768, "int8"), 2.67, 0.01);
	EXPECT_NEAR(SizeShare(1536, "int8"), 1.33, 0.01);
}

TEST(Options, AutomaticChoicesFollowTheRule) {
	const auto automatic = [](uint32_t dims) { return Configure(IndexOptions(), ElementType::FLOAT32, dims); };
	EXPECT_EQ(automatic(128).page_size, 4096U);
	EXPECT_EQ(automatic(128).codes, CodeFamily::FOUR_BIT);
	EXPECT_GE(automatic(128).max_degree, 36U);
	EXPECT_EQ(automatic(384).page_size, 8192U);
	EXPECT_EQ(automatic(384).codes, CodeFamily::TWO_BIT);
	EXPECT_EQ(automatic(768).page_size, 12288U);
	EXPECT_GE(automatic(768).max_degree, 32U);
	EXPECT_EQ(automatic(1536).codes, CodeFamily::ONE_BIT);
	for (uint32_t dims = 1; dims <= DIMENSIONS_MAX; dims = dims < 300 ? dims + 1 : dims + 97) {
		for (const ElementType type : {ElementType::FLOAT32, ElementType::INT8}) {
			const IndexConfiguration configuration = Configure(IndexOptions(), type, dims);
			EXPECT_GE(configuration.max_degree, MAX_DEGREE_MIN) << dims;
			EXPECT_LE(configuration.page_size, 65536U) << dims;
		}
	}
	EXPECT_EQ(automatic(16384).vectors, VectorStorage::F16);
}

TEST(Options, BlockWithoutRoomIsRefused) {
	IndexOptions options;
	options.block_size = 4096;
	EXPECT_THROW(Configure(options, ElementType::FLOAT32, 4096), UsageError);
	options.block_size.reset();
	options.max_degree = 256;
	options.codes = CodeFamily::FOUR_BIT;
	EXPECT_THROW(Configure(options, ElementType::FLOAT32, 2048), UsageError);
}

TEST(Options, StoredFormComesBackOrIsRefused) {
	const IndexConfiguration configuration =
	    Configure(ParseOptions({{"metric", "ip"}, {"R", "20"}, {"seed", "-5"}}), ElementType::INT8, 100);
	std::vector<uint8_t> bytes = SerializeConfiguration(configuration);
	EXPECT_EQ(SerializeConfiguration(DeserializeConfiguration(bytes)), bytes);
	EXPECT_THROW(DeserializeConfiguration(ConstByteSpan(bytes.data(), bytes.size() - 1)), CorruptionError);
	std::mt19937 random(1);
	for (int i = 0; i < 10000; i++) {
		std::vector<uint8_t> changed = bytes;
		changed[random() % changed.size()] = uint8_t(random());
		try {
			const IndexConfiguration read = DeserializeConfiguration(changed);
			EXPECT_GE(read.max_degree, MAX_DEGREE_MIN);
		} catch (const CorruptionError &) {
			continue;
		}
	}
}

} // namespace
} // namespace lm_diskann
