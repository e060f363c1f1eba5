// Property: AnnIndex::Verify finds what does not fit between the parts of an index. Each test publishes a generation
// whose pages are all sound, but whose roots or row sets contradict each other, as no sequence of calls would.
#include "base/error.hpp"
#include "index/delta.hpp"
#include "index/index_state.hpp"
#include "index/row_set.hpp"
#include "sim/sim_file.hpp"
#include "unit/index_rows.hpp"
#include "unit/test_vectors.hpp"

#include <gmock/gmock.h>

#include <cstring>

namespace lm_diskann {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr uint32_t DIMS = 8;
constexpr int64_t GRAPH_ROWS = 50;
//! A row without a vector, and one in the delta.
constexpr RowId NULL_ROW = RowId(GRAPH_ROWS), DELTA_ROW = RowId(GRAPH_ROWS + 1);

std::vector<uint8_t> Serialized(const std::vector<RowId> &row_ids) {
	RowSet rows;
	for (const RowId row_id : row_ids) {
		rows.Insert(row_id);
	}
	return rows.Serialize();
}

//! A sound index, of which a test publishes a generation that is not.
struct Fixture {
	Fixture() {
		std::shared_ptr<AnnIndex> index;
		WithRows(vectors, DIMS, 0, GRAPH_ROWS, [&](const VectorBatch &rows) {
			index = BuildIndex(configuration, rows, disk->OpenFile(), cache);
			index->AppendNull(Span<const RowId>(&NULL_ROW, 1));
			VectorBatch later = rows;
			later.row_ids = &DELTA_ROW;
			later.count = 1;
			index->Append(later);
		});
		marker = index->Publish();
	}

	//! What Verify says after `change` was made to the roots of the next generation.
	template <class CHANGE>
	std::vector<std::string> VerifyAfter(const CHANGE &change) {
		const auto file = PageFile::Open(disk->OpenFile(), marker);
		StoredRoots roots = ReadRoots(file->Roots());
		change(*file, roots);
		const ConstByteSpan bytes(reinterpret_cast<const uint8_t *>(&roots), sizeof(roots));
		return AnnIndex::Open(disk->OpenFile(), file->Publish(bytes), configuration, cache)->Verify();
	}
	//! The same with another content of one blob.
	std::vector<std::string> VerifyWith(BlobRef StoredRoots::*blob, const std::vector<uint8_t> &bytes) {
		return VerifyAfter([&](PageFile &file, StoredRoots &roots) {
			file.FreeBlob(roots.*blob);
			roots.*blob = file.WriteBlob(bytes);
		});
	}
	//! The same with a delta of this row in place of the present one.
	std::vector<std::string> VerifyWithDelta(RowId row_id) {
		return VerifyAfter([&](PageFile &file, StoredRoots &roots) {
			for (const BlobRef &chunk :
			     Delta::Deserialize(file.ReadBlob(roots.delta), ElementType::FLOAT32, DIMS, nullptr).Blobs()) {
				file.FreeBlob(chunk);
			}
			file.FreeBlob(roots.delta);
			Delta delta(ElementType::FLOAT32, DIMS, nullptr);
			delta.Put(row_id, vectors.data());
			DeltaSnapshot snapshot = delta.TakeSnapshot();
			snapshot.chunks[0].blob = file.WriteBlob(snapshot.chunks[0].vectors);
			roots.delta = file.WriteBlob(snapshot.Serialize());
		});
	}

	IndexConfiguration configuration = Configure(IndexOptions(), ElementType::FLOAT32, DIMS);
	std::vector<float> vectors = MakeClusteredVectors(GRAPH_ROWS, DIMS, 1);
	std::shared_ptr<SimDisk> disk = SimDisk::Make(1);
	std::shared_ptr<PageCache> cache = std::make_shared<PageCache>(1 << 20);
	Marker marker;
};

TEST(IndexVerify, ASoundIndexHasNoViolation) {
	Fixture fixture;
	EXPECT_THAT(fixture.VerifyAfter([](PageFile &, StoredRoots &) {}), IsEmpty());
	EXPECT_THAT(fixture.VerifyWith(&StoredRoots::tombstones, Serialized({RowId(3)})), IsEmpty());
}

TEST(IndexVerify, AForgottenBlobIsLost) {
	Fixture fixture;
	EXPECT_THAT(fixture.VerifyAfter(
	                [](PageFile &file, StoredRoots &) { file.WriteBlob(ConstByteSpan(Serialized({RowId(1)}))); }),
	            ElementsAre(HasSubstr("1 slots from slot")));
	EXPECT_THAT(fixture.VerifyAfter([](PageFile &, StoredRoots &roots) { roots.unindexed = BlobRef(); }),
	            ElementsAre(HasSubstr("are neither free nor reached")));
}

TEST(IndexVerify, ARowIsInOnePlaceOnly) {
	Fixture fixture;
	EXPECT_THAT(fixture.VerifyWithDelta(RowId(7)), ElementsAre(HasSubstr("of row 7 is in the delta too")));
	EXPECT_THAT(fixture.VerifyWithDelta(NULL_ROW),
	            ElementsAre(HasSubstr("row 50 of the delta is among the rows without a vector too")));
	EXPECT_THAT(fixture.VerifyWith(&StoredRoots::unindexed, Serialized({RowId(9)})),
	            ElementsAre(HasSubstr("of row 9 is among the rows without a vector too")));
}

TEST(IndexVerify, TombstonesNameRowsOfTheGraph) {
	Fixture fixture;
	EXPECT_THAT(fixture.VerifyWith(&StoredRoots::tombstones, Serialized({DELTA_ROW})),
	            ElementsAre(HasSubstr("the tombstone of row 51 is beyond the rows of the graph")));
}

TEST(IndexVerify, CoveredRowsBoundEveryRow) {
	Fixture fixture;
	EXPECT_THAT(fixture.VerifyWith(&StoredRoots::unindexed, Serialized({RowId(60)})),
	            ElementsAre(HasSubstr("row 60 without a vector is not covered")));
	const auto open_with = [&](uint64_t covered_rows) {
		fixture.VerifyAfter([&](PageFile &, StoredRoots &roots) { roots.covered_rows = covered_rows; });
	};
	EXPECT_THAT([&] { open_with(GRAPH_ROWS - 1); },
	            testing::ThrowsMessage<CorruptionError>(HasSubstr("at most the 49 covered rows, found 50")));
	EXPECT_THAT([&] { open_with(DELTA_ROW.value); },
	            testing::ThrowsMessage<CorruptionError>(HasSubstr("the 51 covered rows, found row 51")));
}

TEST(IndexVerify, AGraphHasAnEntryForEachReference) {
	Fixture fixture;
	const std::vector<uint8_t> none(4, 0xFF), too_many(8, 0xFF);
	EXPECT_THAT(fixture.VerifyWith(&StoredRoots::entries, none),
	            ElementsAre(HasSubstr("a graph of 50 nodes has no entry")));
	EXPECT_THAT(
	    [&] { fixture.VerifyWith(&StoredRoots::entries, too_many); },
	    testing::ThrowsMessage<CorruptionError>(HasSubstr("size of the entries must be 4 bytes, found 8 bytes")));
}

TEST(IndexVerify, TheRowMapNamesEveryNode) {
	Fixture fixture;
	EXPECT_THAT(fixture.VerifyAfter([](PageFile &file, StoredRoots &roots) {
		const uint64_t row = 5;
		RadixMap row_map(RowMapSpace(file), roots.row_map);
		row_map.Erase(Span<const uint64_t>(&row, 1));
		roots.row_map = row_map.Root();
	}),
	            ElementsAre(HasSubstr("of row 5 is not what the row map names"), HasSubstr("holds 49 rows of 50")));
}

} // namespace
} // namespace lm_diskann
