// What the table of a kill test holds, and the changes that a worker makes to it.
//
// A vector follows from its row's id and version (`SetupSql` defines how), so a row is three numbers, and the parent
// knows the whole table from the changes that the worker reports.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace kill_test {

constexpr int DIMS = 16;
//! Every version with this remainder stands for a NULL vector.
constexpr int NULL_VERSION_MODULUS = 13;

//! One index of each metric may exist on the column.
struct IndexKind {
	const char *name;
	const char *options;
	const char *distance;
};
constexpr IndexKind INDEX_KINDS[] = {
    {"by_l2", "metric = 'l2sq', R = 8, L_build = 20", "array_distance"},
    {"by_cosine", "metric = 'cosine', codes = '1bit'", "array_cosine_distance"},
    {"by_product", "metric = 'ip', block_size = 8192", "array_negative_inner_product"},
};
constexpr size_t INDEX_KIND_COUNT = sizeof(INDEX_KINDS) / sizeof(INDEX_KINDS[0]);

//! Run in every connection: the macro `vec(id, version)` lives in the session, not in the database.
std::string SetupSql();

struct Row {
	int64_t version = 0;
	int64_t tag = 0;
	bool operator==(const Row &other) const {
		return version == other.version && tag == other.tag;
	}
};

enum class ChangeKind : int { INSERT, REMOVE, UPDATE_VECTOR, UPDATE_TAG, UPSERT, CREATE_INDEX, DROP_INDEX };

//! `value` is the version or tag given to the ids first, first + stride, ... below first + count; of an index its
//! place in INDEX_KINDS.
struct Change {
	ChangeKind kind = ChangeKind::INSERT;
	int64_t first = 0;
	int64_t count = 0;
	int64_t stride = 1;
	int64_t value = 0;

	std::string Sql() const;
	//! One line without its end.
	std::string ToText() const;
	static Change FromText(const std::string &text);
};

struct Contents {
	std::map<int64_t, Row> rows;
	std::set<std::string> indexes;

	void Apply(const Change &change);
	bool operator==(const Contents &other) const {
		return rows == other.rows && indexes == other.indexes;
	}
	//! The first differences from `other`, for a message.
	std::string Difference(const Contents &other) const;
};

} // namespace kill_test
