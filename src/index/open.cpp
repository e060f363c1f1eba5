// Opening an index: everything that is read here was written by someone, and nobody has vouched for it yet. Each count
// and id is compared with what it counts or names before anything is sized or looked up by it.
#include "base/error.hpp"
#include "index/index_state.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace lm_diskann {

namespace {

//! Opening reads so much of the delta; searches read the rest.
constexpr uint64_t DELTA_LOADED_BYTES_MAX = uint64_t(16) << 20;
constexpr uint64_t COVERED_ROWS_MAX = INT64_MAX;

[[noreturn]] void ThrowCorruption(const std::string &object, const std::string &expected, const std::string &found) {
	throw CorruptionError(object + " must be " + expected + ", found " + found);
}

void CheckConfiguration(const PageFile &file, const IndexConfiguration &expected) {
	// What the database names may be damaged as well: the layout is derived from a configuration that was checked.
	const IndexConfiguration found = DeserializeConfiguration(file.Configuration());
	const std::string difference = DescribeDifference(expected, found);
	if (!difference.empty()) {
		throw CorruptionError("the file was made with another configuration than the database names: " + difference);
	}
	if (file.PageSize() != found.page_size) {
		ThrowCorruption("page size of the file", std::to_string(found.page_size), std::to_string(file.PageSize()));
	}
}

void CheckRoots(const StoredRoots &roots, PageFile &file) {
	if (roots.covered_rows > COVERED_ROWS_MAX) {
		ThrowCorruption("count of covered rows", "at most " + std::to_string(COVERED_ROWS_MAX),
		                std::to_string(roots.covered_rows));
	}
	if (roots.graph_row_end > roots.covered_rows) {
		ThrowCorruption("end of the graph's rows",
		                "at most the " + std::to_string(roots.covered_rows) + " covered rows",
		                std::to_string(roots.graph_row_end));
	}
	if (roots.row_map.key_end > roots.graph_row_end) {
		ThrowCorruption("end of the row map", "at most " + std::to_string(roots.graph_row_end),
		                std::to_string(roots.row_map.key_end));
	}
	if (!std::isfinite(roots.norm_max) || roots.norm_max < 0) {
		ThrowCorruption("length of the longest vector", "a number from 0 on", std::to_string(roots.norm_max));
	}
	// Its constructor checks the rest of the root.
	const RadixMap row_map(RowMapSpace(file), roots.row_map);
}

Quantizer ReadQuantizer(const PageFile &file, const StoredRoots &roots, const IndexConfiguration &configuration) {
	const std::vector<uint8_t> bytes = file.ReadBlob(roots.quantizer);
	Quantizer quantizer = Quantizer::Deserialize(bytes);
	if (quantizer.GetMetric() != configuration.metric || quantizer.Family() != configuration.codes ||
	    quantizer.Dims() != configuration.dims || quantizer.Seed() != uint64_t(configuration.seed)) {
		throw CorruptionError("the quantizer in the file does not belong to the configuration");
	}
	return quantizer;
}

ExtentSet ReadPageIds(const PageFile &file, const BlobRef &blob, const char *name) {
	const std::vector<uint8_t> bytes = ReadOptionalBlob(file, blob);
	ExtentSet extents;
	if (bytes.size() % sizeof(Extent) != 0) {
		throw CorruptionError(std::string("the ") + name + " have " + std::to_string(bytes.size()) + " bytes");
	}
	for (size_t at = 0; at < bytes.size(); at += sizeof(Extent)) {
		Extent extent = {};
		std::memcpy(&extent, bytes.data() + at, sizeof(extent));
		if (extent.count == 0 || !extents.Add(extent)) {
			throw CorruptionError(std::string("the ") + name + " hold page " + std::to_string(extent.first) +
			                      " twice, or none at all");
		}
		if (!file.ArePagesInUse(PageId(extent.first), extent.count)) {
			throw CorruptionError(std::string("the ") + name + " hold " + std::to_string(extent.count) +
			                      " pages from page " + std::to_string(extent.first) + ", not all of them in use");
		}
	}
	return extents;
}

//! The numbers that nodes can have.
struct NodePlaces {
	const ExtentSet &pages;
	uint32_t nodes_per_page;

	bool Contains(uint64_t number) const {
		return number < NO_NODE.value && pages.Contains(uint32_t(number / nodes_per_page));
	}
};

std::vector<NodeId> ReadEntries(const PageFile &file, const BlobRef &blob, size_t count, const NodePlaces &places) {
	const std::vector<uint8_t> bytes = ReadOptionalBlob(file, blob);
	std::vector<NodeId> entries(count);
	if (bytes.size() != entries.size() * sizeof(uint32_t)) {
		ThrowCorruption("size of the entries", std::to_string(entries.size() * sizeof(uint32_t)) + " bytes",
		                std::to_string(bytes.size()) + " bytes");
	}
	for (size_t i = 0; i < entries.size(); i++) {
		std::memcpy(&entries[i].value, bytes.data() + i * sizeof(uint32_t), sizeof(uint32_t));
		if (entries[i] != NO_NODE && !places.Contains(entries[i].value)) {
			throw CorruptionError("entry node " + std::to_string(entries[i].value) + " does not exist");
		}
	}
	return entries;
}

RowSet ReadClearedNodes(const PageFile &file, const BlobRef &blob, const NodePlaces &places) {
	RowSet nodes = RowSet::Deserialize(ReadOptionalBlob(file, blob));
	nodes.ForEach([&](RowId node) {
		if (!places.Contains(uint64_t(node.value))) {
			throw CorruptionError("cleared node " + std::to_string(node.value) + " does not exist");
		}
	});
	return nodes;
}

Delta ReadDelta(const PageFile &file, const StoredRoots &roots, const IndexConfiguration &configuration) {
	Delta delta = Delta::Deserialize(ReadOptionalBlob(file, roots.delta), configuration.element_type,
	                                 configuration.dims, [&file](const BlobRef &blob) { return file.ReadBlob(blob); });
	int64_t row_max = -1;
	delta.ForEachRow([&](RowId row_id) { row_max = std::max(row_max, row_id.value); });
	if (row_max >= int64_t(roots.covered_rows)) {
		ThrowCorruption("last row of the delta", "one of the " + std::to_string(roots.covered_rows) + " covered rows",
		                "row " + std::to_string(row_max));
	}
	delta.Load(DELTA_LOADED_BYTES_MAX);
	return delta;
}

} // namespace

std::vector<uint8_t> ReadOptionalBlob(const PageFile &file, const BlobRef &blob) {
	return blob.size_bytes > 0 ? file.ReadBlob(blob) : std::vector<uint8_t>();
}

StoredRoots ReadRoots(ConstByteSpan bytes) {
	StoredRoots roots = {};
	if (bytes.size() < sizeof(roots.version)) {
		throw CorruptionError("the index roots have " + std::to_string(bytes.size()) + " bytes");
	}
	std::memcpy(&roots.version, bytes.data(), sizeof(roots.version));
	if (roots.version < 1 || roots.version > ROOTS_VERSION) {
		ThrowCorruption("version of the index roots", "from 1 to " + std::to_string(ROOTS_VERSION),
		                std::to_string(roots.version));
	}
	const size_t size = roots.version == 1 ? ROOTS_SIZE_V1 : sizeof(roots);
	if (bytes.size() != size) {
		ThrowCorruption("size of the index roots", std::to_string(size) + " bytes",
		                std::to_string(bytes.size()) + " bytes");
	}
	std::memcpy(&roots, bytes.data(), size);
	// What is written from here on has every part.
	roots.version = ROOTS_VERSION;
	return roots;
}

std::vector<BlobRef> BlobsOf(const StoredRoots &roots, const PageFile &file, const IndexConfiguration &configuration) {
	std::vector<BlobRef> blobs = {roots.quantizer,     roots.entries,       roots.delta,
	                              roots.tombstones,    roots.unindexed,     roots.node_pages,
	                              roots.retired_pages, roots.cleared_nodes, roots.calibration};
	const Delta delta = Delta::Deserialize(ReadOptionalBlob(file, roots.delta), configuration.element_type,
	                                       configuration.dims, nullptr);
	const std::vector<BlobRef> chunks = delta.Blobs();
	blobs.insert(blobs.end(), chunks.begin(), chunks.end());
	return blobs;
}

std::shared_ptr<AnnIndex> AnnIndex::Open(std::unique_ptr<File> file, const Marker &marker,
                                         const IndexConfiguration &expected, std::shared_ptr<PageCache> cache) {
	auto page_file = PageFile::Open(std::move(file), marker);
	CheckConfiguration(*page_file, expected);
	const StoredRoots roots = ReadRoots(page_file->Roots());
	CheckRoots(roots, *page_file);
	Quantizer quantizer = ReadQuantizer(*page_file, roots, expected);
	auto impl = std::make_unique<Impl>(expected, std::move(page_file), std::move(quantizer), std::move(cache));
	const PageFile &opened = *impl->file;
	Graph &graph = impl->graph;
	impl->stored = roots;
	impl->node_pages = ReadPageIds(opened, roots.node_pages, "pages of nodes");
	RetiredPages retired;
	retired.pages = ReadPageIds(opened, roots.retired_pages, "retired pages");
	for (const auto &[first, count] : retired.pages.All()) {
		if (impl->node_pages.Overlaps({first, count})) {
			throw CorruptionError("the retired pages from page " + std::to_string(first) + " are pages of nodes");
		}
	}
	if (!retired.pages.All().empty()) {
		impl->retired.push_back(std::move(retired));
	}
	if (roots.node_count > impl->node_pages.Count() * graph.layout.nodes_per_page) {
		throw CorruptionError("the file names " + std::to_string(roots.node_count) +
		                      " nodes, more than its pages hold");
	}
	graph.norm_max = roots.norm_max;
	graph.node_end = std::min<uint64_t>(NO_NODE.value, uint64_t(opened.PageIdEnd()) * graph.layout.nodes_per_page);
	const NodePlaces places {impl->node_pages, graph.layout.nodes_per_page};
	graph.entries = ReadEntries(opened, roots.entries, graph.quantizer.ReferenceCount(), places);
	impl->delta = ReadDelta(opened, roots, expected);
	impl->tombstones = RowSet::Deserialize(ReadOptionalBlob(opened, roots.tombstones));
	impl->unindexed = RowSet::Deserialize(ReadOptionalBlob(opened, roots.unindexed));
	impl->cleared_nodes = ReadClearedNodes(opened, roots.cleared_nodes, places);
	const std::vector<uint8_t> calibration = ReadOptionalBlob(opened, roots.calibration);
	impl->calibration = Calibration::Deserialize(ConstByteSpan(calibration.data(), calibration.size()));
	return std::shared_ptr<AnnIndex>(new AnnIndex(std::move(impl)));
}

} // namespace lm_diskann
