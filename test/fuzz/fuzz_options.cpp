// Property: options from any text and any column give a configuration whose nodes fit their blocks and which comes back
// from its stored form, or a UsageError; a stored form of any bytes gives such a configuration or a CorruptionError.
#include "base/error.hpp"
#include "fuzz/fuzz_input.hpp"
#include "graph/node.hpp"
#include "index/options.hpp"

#include <string>

namespace lm_diskann::fuzz {

namespace {

void CheckConfiguration(const IndexConfiguration &configuration) {
	const NodeLayout layout =
	    NodeLayout::Create(configuration.page_size, configuration.dims, configuration.element_type,
	                       configuration.vectors, configuration.max_degree, configuration.codes);
	LMD_CHECK(layout.nodes_per_page > 0, "a node fits its block");
	LMD_CHECK(sizeof(PageHead) + uint64_t(layout.nodes_per_page) * layout.node_bytes <= configuration.page_size,
	          "the nodes of a block fit it");
	const std::vector<uint8_t> bytes = SerializeConfiguration(configuration);
	LMD_CHECK(SerializeConfiguration(DeserializeConfiguration(bytes)) == bytes, "the stored form comes back");
}

//! Lines of "name=value".
std::vector<std::pair<std::string, std::string>> SplitOptions(const std::string &text) {
	std::vector<std::pair<std::string, std::string>> options;
	for (size_t begin = 0; begin < text.size();) {
		const size_t end = std::min(text.find('\n', begin), text.size());
		const std::string line = text.substr(begin, end - begin);
		const size_t equals = std::min(line.find('='), line.size());
		options.emplace_back(line.substr(0, equals), equals < line.size() ? line.substr(equals + 1) : "");
		begin = end + 1;
	}
	return options;
}

} // namespace

} // namespace lm_diskann::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	using namespace lm_diskann;
	fuzz::FuzzInput input(data, size);
	const auto element_type = ElementType(input.Take<uint8_t>() % 2);
	const auto dims = input.Take<uint16_t>();
	const ConstByteSpan rest = input.TakeBytes(size);
	try {
		const IndexOptions options = ParseOptions(fuzz::SplitOptions(std::string(rest.begin(), rest.end())));
		fuzz::CheckConfiguration(Configure(options, element_type, dims));
	} catch (const UsageError &) {
	}
	try {
		fuzz::CheckConfiguration(DeserializeConfiguration(rest));
	} catch (const CorruptionError &) {
	}
	return 0;
}
