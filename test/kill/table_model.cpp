#include "kill/table_model.hpp"

#include <sstream>

namespace kill_test {

std::string SetupSql() {
	const auto dims = std::to_string(DIMS);
	// The cast comes last because DuckDB has no CASE over arrays.
	return "CREATE TEMP MACRO vec(id, version) AS (CASE WHEN version % " + std::to_string(NULL_VERSION_MODULUS) +
	       " = 0 THEN NULL ELSE list_transform(range(" + dims +
	       "), lambda x: (hash(id::BIGINT * 1000003 + version::BIGINT * 4099 + x) % 20000)::FLOAT / 10000 - 1) "
	       "END)::FLOAT[" +
	       dims + "]";
}

std::string Change::Sql() const {
	const auto value_text = std::to_string(value);
	const auto end = std::to_string(first + count);
	const auto is_chosen = " WHERE id >= " + std::to_string(first) + " AND id < " + end + " AND (id - " +
	                       std::to_string(first) + ") % " + std::to_string(stride) + " = 0";
	const auto rows = "SELECT id, " + value_text + ", 0, vec(id, " + value_text + ") FROM range(" +
	                  std::to_string(first) + ", " + end + ", " + std::to_string(stride) + ") r(id)";
	switch (kind) {
	case ChangeKind::INSERT:
		return "INSERT INTO t " + rows;
	case ChangeKind::REMOVE:
		return "DELETE FROM t" + is_chosen;
	case ChangeKind::UPDATE_VECTOR:
		return "UPDATE t SET version = " + value_text + ", v = vec(id, " + value_text + ")" + is_chosen;
	case ChangeKind::UPDATE_TAG:
		return "UPDATE t SET tag = " + value_text + is_chosen;
	case ChangeKind::UPSERT:
		return "INSERT INTO t " + rows + " ON CONFLICT (id) DO UPDATE SET version = EXCLUDED.version, v = EXCLUDED.v";
	case ChangeKind::CREATE_INDEX:
		return std::string("CREATE INDEX ") + INDEX_KINDS[value].name + " ON t USING LM_DISKANN (v) WITH (" +
		       INDEX_KINDS[value].options + ")";
	case ChangeKind::DROP_INDEX:
		return std::string("DROP INDEX ") + INDEX_KINDS[value].name;
	}
	return "";
}

std::string Change::ToText() const {
	std::ostringstream text;
	text << int(kind) << ' ' << first << ' ' << count << ' ' << stride << ' ' << value;
	return text.str();
}

Change Change::FromText(const std::string &text) {
	std::istringstream stream(text);
	Change change;
	int kind = 0;
	stream >> kind >> change.first >> change.count >> change.stride >> change.value;
	change.kind = ChangeKind(kind);
	return change;
}

void Contents::Apply(const Change &change) {
	if (change.kind == ChangeKind::CREATE_INDEX) {
		indexes.insert(INDEX_KINDS[change.value].name);
		return;
	}
	if (change.kind == ChangeKind::DROP_INDEX) {
		indexes.erase(INDEX_KINDS[change.value].name);
		return;
	}
	for (auto id = change.first; id < change.first + change.count; id += change.stride) {
		switch (change.kind) {
		case ChangeKind::INSERT:
			rows[id] = {change.value, 0};
			break;
		case ChangeKind::REMOVE:
			rows.erase(id);
			break;
		case ChangeKind::UPSERT:
			rows[id].version = change.value;
			break;
		default:
			if (const auto row = rows.find(id); row != rows.end()) {
				(change.kind == ChangeKind::UPDATE_TAG ? row->second.tag : row->second.version) = change.value;
			}
			break;
		}
	}
}

std::string Contents::Difference(const Contents &other) const {
	constexpr int LISTED_MAX = 10;
	std::ostringstream text;
	int count = 0;
	auto list = [&](int64_t id, const Row *expected, const Row *found) {
		if (++count > LISTED_MAX) {
			return;
		}
		text << "  row " << id << ": expected ";
		expected ? text << expected->version << "/" << expected->tag : text << "none";
		text << ", found ";
		found ? text << found->version << "/" << found->tag : text << "none";
		text << "\n";
	};
	for (const auto &[id, row] : rows) {
		const auto found = other.rows.find(id);
		if (found == other.rows.end() || !(found->second == row)) {
			list(id, &row, found == other.rows.end() ? nullptr : &found->second);
		}
	}
	for (const auto &[id, row] : other.rows) {
		if (rows.count(id) == 0) {
			list(id, nullptr, &row);
		}
	}
	text << "  " << count << " rows differ\n";
	for (const auto *names : {&indexes, &other.indexes}) {
		text << (names == &indexes ? "  indexes expected:" : "  found:");
		for (const auto &name : *names) {
			text << ' ' << name;
		}
	}
	return text.str();
}

} // namespace kill_test
