#include "queries/query_generator.hpp"

#include <vector>

namespace query_test {

namespace {

std::string Text(int64_t value) {
	return std::to_string(value);
}

} // namespace

std::string QueryGenerator::Vector() {
	if (OneIn(60)) {
		return "NULL::FLOAT[8]";
	}
	// A few clusters, and now and then the very same vector again.
	const auto center = Below(6);
	const bool is_center = OneIn(10);
	std::string text = "[";
	for (int64_t i = 0; i < 8; i++) {
		const auto offset = is_center ? 0 : Below(200) - 100;
		text += (i > 0 ? ", " : "") + Text((center * 7 + i * 3) % 11) + "::FLOAT + " + Text(offset) + " / 100";
	}
	return text + "]::FLOAT[8]";
}

std::string QueryGenerator::Rows(int64_t count) {
	std::string text;
	for (int64_t i = 0; i < count; i++) {
		text += (i > 0 ? ", (" : "(") + Text(next_id) + ", " + Text(Below(10)) + ", " + (OneIn(3) ? "true" : "false") +
		        ", 'row " + Text(next_id) + "', " + Vector() + ")";
		next_id++;
	}
	return text;
}

std::string QueryGenerator::MakeTables(int64_t row_count) {
	std::string sql = "CREATE TABLE t(id BIGINT, g INTEGER, flag BOOLEAN, name VARCHAR, v FLOAT[8]);"
	                  "CREATE TABLE q(id BIGINT, g INTEGER, v FLOAT[8]);"
	                  "CREATE VIEW w AS SELECT id AS key, g AS kind, v AS embedding FROM t;"
	                  "INSERT INTO t VALUES " +
	                  Rows(row_count) + ";";
	for (int64_t i = 0; i < 8; i++) {
		sql += "INSERT INTO q VALUES (" + Text(i) + ", " + Text(Below(10)) + ", " + Vector() + ");";
	}
	sql += "INSERT INTO q SELECT id + 100, g, v FROM q WHERE id < 3;";
	return sql + "CREATE INDEX t_idx ON t USING LM_DISKANN (v)";
}

std::string QueryGenerator::Change() {
	const auto some = "id % " + Text(7 + Below(40)) + " = " + Text(Below(7));
	switch (Below(6)) {
	case 0:
		return "DELETE FROM t WHERE " + some;
	case 1:
		return "UPDATE t SET v = " + Vector() + " WHERE id = " + Text(Below(next_id));
	case 2:
		return "UPDATE t SET g = " + Text(Below(10)) + " WHERE " + some;
	default:
		return "INSERT INTO t VALUES " + Rows(1 + Below(30));
	}
}

std::string QueryGenerator::Condition(const std::string &table) {
	const auto column = [&](const std::string &name) { return table + "." + name; };
	switch (Below(12)) {
	case 0:
		return column("g") + " = " + Text(Below(10));
	case 1:
		return column("g") + " <> " + Text(Below(10));
	case 2:
		return column("g") + " IN (" + Text(Below(10)) + ", " + Text(Below(10)) + ")";
	case 3:
		return column("id") + " % " + Text(2 + Below(30)) + " = 1";
	case 4:
		return column("name") + " LIKE '%" + Text(Below(10)) + "'";
	case 5:
		return column("flag");
	case 6:
		return column("id") + " BETWEEN " + Text(Below(200)) + " AND " + Text(100 + Below(400));
	case 7:
		return column("v") + " IS NOT NULL";
	case 8:
		return "(" + column("flag") + " OR " + column("g") + " > " + Text(Below(10)) + ")";
	case 9:
		return column("g") + " IN (SELECT g FROM q WHERE q.id < " + Text(Below(9)) + ")";
	case 10:
		return column("id") + " < 0";
	default:
		return "NOT (" + column("flag") + " AND " + column("id") + " % 2 = 0)";
	}
}

std::string QueryGenerator::Where(const std::string &table) {
	if (OneIn(3)) {
		return "";
	}
	return " WHERE " + Condition(table) + (OneIn(3) ? " AND " + Condition(table) : "");
}

std::string QueryGenerator::Distance(const std::string &table, const std::string &query) {
	const auto column = table + ".v";
	return "array_distance(" + (OneIn(4) ? query + ", " + column : column + ", " + query) + ")";
}

std::string QueryGenerator::Limit() {
	const std::vector<int64_t> counts {1, 1, 3, 10, 10, 10, 40, 300, 2000};
	return " LIMIT " + Text(counts[size_t(Below(int64_t(counts.size())))]) +
	       (OneIn(4) ? " OFFSET " + Text(Below(30)) : "");
}

GeneratedQuery QueryGenerator::TopK() {
	GeneratedQuery query;
	const auto where = Where("t");
	const auto vector = Vector();
	const auto distance = Distance("t", vector);
	const auto limit = Limit();
	query.universe = "SELECT t.id, " + distance + " AS d FROM t" + where;
	switch (Below(9)) {
	case 0:
		query.shape = "every column";
		query.universe = "SELECT t.* EXCLUDE (v), " + distance + " AS d FROM t" + where;
		query.sql = "SELECT * EXCLUDE (v, d), d FROM (SELECT *, " + distance + " AS d FROM t" + where + " ORDER BY " +
		            distance + limit + ")";
		break;
	case 1:
		query.shape = "CTE";
		query.sql = "WITH c AS (SELECT * FROM t" + where + ") SELECT c.id, " + Distance("c", vector) +
		            " AS d FROM c ORDER BY d" + limit;
		break;
	case 2:
		query.shape = "prepared";
		query.preparation = "PREPARE near AS SELECT t.id, array_distance(t.v, $1::FLOAT[8]) AS d FROM t" + where +
		                    " ORDER BY array_distance(t.v, $1::FLOAT[8])" + limit;
		query.sql = "EXECUTE near(" + vector + ")";
		break;
	case 3: {
		query.shape = "vector of another row";
		const auto other = Distance("t", "(SELECT v FROM q WHERE q.id = " + Text(Below(8)) + ")");
		query.universe = "SELECT t.id, " + other + " AS d FROM t" + where;
		query.sql = query.universe + " ORDER BY d" + limit;
		break;
	}
	case 4:
		query.shape = "view";
		query.universe = "SELECT key, array_distance(embedding, " + vector + ") AS d FROM w WHERE kind < 8";
		query.sql = query.universe + " ORDER BY d" + limit;
		break;
	case 5:
		query.shape = "min_by";
		query.universe = "SELECT {'id': t.id}, " + distance + " AS d FROM t" + where;
		query.sql = "SELECT {'id': r.x.id}, r.x.d FROM (SELECT unnest(min_by({'id': t.id, 'd': " + distance + "}, " +
		            distance + ", " + Text(1 + Below(20)) + ")) AS x FROM t" + where + ") r";
		break;
	case 6:
		query.shape = "join above";
		query.universe = "SELECT t.id, t.name, " + distance + " AS d FROM t" + where;
		query.sql = "SELECT n.id, t.name, n.d FROM (SELECT t.id, t.rowid AS place, " + distance + " AS d FROM t" +
		            where + " ORDER BY d" + limit + ") n JOIN t ON t.rowid = n.place";
		break;
	default:
		query.shape = where.empty() ? "plain" : "filter";
		query.sql = query.universe + " ORDER BY " + distance + limit;
		break;
	}
	return query;
}

GeneratedQuery QueryGenerator::Range() {
	GeneratedQuery query;
	const auto distance = Distance("t", Vector());
	const auto radius = Text(Below(900)) + " / 100";
	const auto condition = OneIn(3)   ? radius + (OneIn(2) ? " > " : " >= ") + distance
	                       : OneIn(4) ? distance + " BETWEEN 0.5 AND " + radius
	                                  : distance + (OneIn(2) ? " < " : " <= ") + radius;
	const auto where = " WHERE " + condition + (OneIn(3) ? " AND " + Condition("t") : "");
	query.universe = "SELECT t.id, " + distance + " AS d FROM t" + where;
	query.has_fixed_count = false;
	switch (Below(4)) {
	case 0:
		query.shape = "range with LIMIT";
		query.sql = query.universe + " ORDER BY " + distance + Limit();
		break;
	case 1:
		query.shape = "range of a join";
		query.universe = "SELECT q.rowid, t.id, " + distance + " AS d FROM t JOIN q ON q.g = t.g" + where;
		query.sql = query.universe;
		break;
	default:
		query.shape = "range";
		query.sql = query.universe;
		break;
	}
	return query;
}

GeneratedQuery QueryGenerator::Join() {
	GeneratedQuery query;
	query.is_join = true;
	const auto limit = " LIMIT " + Text(1 + Below(8)) + (OneIn(4) ? " OFFSET " + Text(Below(3)) : "");
	const std::string left =
	    OneIn(3) ? "(SELECT rowid AS r, * FROM t WHERE t.id % 61 = 3)" : "(SELECT rowid AS r, * FROM q)";
	auto where = Where("t");
	if (OneIn(3)) {
		where += where.empty() ? " WHERE " : " AND ";
		where += OneIn(2) ? "t.id <> l.id" : "t.g <= l.g";
	}
	const auto distance = Distance("t", "l.v");
	query.universe =
	    "SELECT l.r, t.id, " + distance + " AS d FROM " + left + " l, LATERAL (SELECT * FROM t" + where + ") t";
	switch (Below(4)) {
	case 0:
		query.shape = "left join";
		query.sql = "SELECT l.r, n.id, n.d FROM " + left + " l LEFT JOIN LATERAL (SELECT t.id, " + distance +
		            " AS d FROM t" + where + " ORDER BY " + distance + limit + ") n ON true";
		break;
	case 1:
		query.shape = "scalar subquery";
		query.sql = "SELECT r, n.id, n.d FROM (SELECT l.r, (SELECT {'id': t.id, 'd': " + distance + "} FROM t" + where +
		            " ORDER BY " + distance + " LIMIT 1) AS n FROM " + left + " l) WHERE n IS NOT NULL";
		break;
	default:
		query.shape = "lateral";
		query.sql = "SELECT l.r, n.id, n.d FROM " + left + " l, LATERAL (SELECT t.id, " + distance + " AS d FROM t" +
		            where + " ORDER BY d" + limit + ") n";
		break;
	}
	return query;
}

GeneratedQuery QueryGenerator::Query() {
	const auto kind = Below(10);
	if (kind < 6) {
		return TopK();
	}
	return kind < 9 ? Range() : Join();
}

} // namespace query_test
