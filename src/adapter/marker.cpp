#include "adapter/marker.hpp"

#include "adapter/index_files.hpp"

#include "base/error.hpp"

#include "duckdb/common/exception.hpp"

namespace duckdb {

namespace {

//! Version of the set of keys; a marker of a later version is not understood.
constexpr int64_t MARKER_VERSION = 1;

//! Reads keys and remembers the first that is missing or of a wrong type.
class MarkerReader {
public:
	explicit MarkerReader(const case_insensitive_map_t<Value> &options_p) : options(options_p) {
	}

	template <class T>
	T Get(const char *key) {
		auto entry = options.find(key);
		if (entry == options.end() || entry->second.IsNull()) {
			Fail(key);
			return T();
		}
		try {
			return entry->second.GetValue<T>();
		} catch (const Exception &) {
			Fail(key);
			return T();
		}
	}
	//! A key that markers may lack.
	template <class T>
	T GetOr(const char *key, T absent) {
		return options.find(key) == options.end() ? absent : Get<T>(key);
	}
	//! For enums: values above `last` do not exist.
	template <class ENUM>
	ENUM GetEnum(const char *key, ENUM last) {
		const auto value = Get<uint8_t>(key);
		if (value > uint8_t(last)) {
			Fail(key);
			return ENUM(0);
		}
		return ENUM(value);
	}
	void Fail(const char *key) {
		if (failed_key.empty()) {
			failed_key = key;
		}
	}

	string failed_key;

private:
	const case_insensitive_map_t<Value> &options;
};

void WriteConfiguration(const lm_diskann::IndexConfiguration &configuration, case_insensitive_map_t<Value> &options) {
	options["metric"] = Value::UTINYINT(uint8_t(configuration.metric));
	options["element_type"] = Value::UTINYINT(uint8_t(configuration.element_type));
	options["vectors"] = Value::UTINYINT(uint8_t(configuration.vectors));
	options["codes"] = Value::UTINYINT(uint8_t(configuration.codes));
	options["dimensions"] = Value::UINTEGER(configuration.dims);
	options["max_degree"] = Value::UINTEGER(configuration.max_degree);
	options["l_build"] = Value::UINTEGER(configuration.l_build);
	options["l_search"] = Value::UINTEGER(configuration.l_search);
	options["alpha"] = Value::DOUBLE(configuration.alpha);
	options["page_size"] = Value::UINTEGER(configuration.page_size);
	if (configuration.target_recall > 0) {
		options["target_recall"] = Value::UINTEGER(configuration.target_recall);
	}
	options["seed"] = Value::BIGINT(configuration.seed);
}

lm_diskann::IndexConfiguration ReadConfiguration(MarkerReader &reader) {
	lm_diskann::IndexConfiguration configuration;
	configuration.metric = reader.GetEnum("metric", lm_diskann::Metric::IP);
	configuration.element_type = reader.GetEnum("element_type", lm_diskann::ElementType::INT8);
	configuration.vectors = reader.GetEnum("vectors", lm_diskann::VectorStorage::INT8);
	configuration.codes = reader.GetEnum("codes", lm_diskann::CodeFamily::FOUR_BIT);
	configuration.dims = reader.Get<uint32_t>("dimensions");
	configuration.max_degree = reader.Get<uint32_t>("max_degree");
	configuration.l_build = reader.Get<uint32_t>("l_build");
	configuration.l_search = reader.Get<uint32_t>("l_search");
	configuration.alpha = reader.Get<double>("alpha");
	configuration.page_size = reader.Get<uint32_t>("page_size");
	configuration.target_recall = reader.GetOr<uint32_t>("target_recall", 0);
	configuration.seed = reader.Get<int64_t>("seed");
	return configuration;
}

} // namespace

IndexStorageInfo WriteMarker(const string &index_name, const IndexMarker &marker) {
	IndexStorageInfo info(index_name);
	info.root = marker.state.generation.value;
	auto &options = info.options;
	options["version"] = Value::BIGINT(MARKER_VERSION);
	options["uuid"] = Value(UuidToString(marker.state.uuid));
	options["file"] = Value(marker.file_name);
	options["generation"] = Value::UBIGINT(marker.state.generation.value);
	options["meta_slot"] = Value::UINTEGER(marker.state.meta_slot.value);
	options["checksum"] = Value::UBIGINT(marker.state.meta_checksum);
	options["covered_rows"] = Value::UBIGINT(marker.covered_rows);
	options["iteration"] = Value::UBIGINT(marker.iteration);
	options["valid"] = Value::BOOLEAN(marker.is_valid);
	options["reason"] = Value(marker.reason);
	WriteConfiguration(marker.configuration, options);
	// DuckDB's debug builds take an info without allocators for an empty one (lifecycle trap 19).
	FixedSizeAllocatorInfo allocator;
	allocator.segment_size = 1;
	info.allocator_infos.push_back(std::move(allocator));
	return info;
}

std::optional<IndexMarker> ReadMarker(const IndexStorageInfo &info, string &reason) {
	if (info.options.find("uuid") == info.options.end()) {
		reason = "the database holds no configuration for it (imported or copied without the index file); drop it and "
		         "create it again";
		return std::nullopt;
	}
	MarkerReader reader(info.options);
	IndexMarker marker;
	if (reader.Get<int64_t>("version") != MARKER_VERSION) {
		reader.Fail("version");
	}
	if (!UuidFromString(reader.Get<string>("uuid"), marker.state.uuid)) {
		reader.Fail("uuid");
	}
	marker.file_name = reader.Get<string>("file");
	// The name is joined to a folder: it must not lead out of it, nor to what is not ours.
	if (!IsIndexFileName(marker.file_name)) {
		reader.Fail("file");
	}
	marker.state.generation = lm_diskann::Generation(reader.Get<uint64_t>("generation"));
	marker.state.meta_slot = lm_diskann::Slot(reader.Get<uint32_t>("meta_slot"));
	marker.state.meta_checksum = reader.Get<uint64_t>("checksum");
	marker.covered_rows = reader.Get<uint64_t>("covered_rows");
	marker.iteration = reader.Get<uint64_t>("iteration");
	marker.is_valid = reader.Get<bool>("valid");
	marker.reason = reader.Get<string>("reason");
	marker.configuration = ReadConfiguration(reader);
	if (!reader.failed_key.empty()) {
		reason = "the marker in the database has no usable value for \"" + reader.failed_key +
		         "\" (written by another version of the extension?); drop the index and create it again";
		return std::nullopt;
	}
	try {
		// Healing builds with it, so it must be one that CREATE INDEX could have made.
		const auto bytes = lm_diskann::SerializeConfiguration(marker.configuration);
		lm_diskann::DeserializeConfiguration(lm_diskann::ConstByteSpan(bytes.data(), bytes.size()));
	} catch (const lm_diskann::CorruptionError &error) {
		reason = string("in the marker in the database ") + error.what() + "; drop the index and create it again";
		return std::nullopt;
	}
	return marker;
}

} // namespace duckdb
