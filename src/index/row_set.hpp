#pragma once

#include "base/types.hpp"

#include <functional>
#include <memory>
#include <vector>

namespace lm_diskann {

//! A compressed set of row ids (CRoaring). Not thread-safe.
class RowSet {
public:
	RowSet();
	RowSet(RowSet &&) noexcept;
	RowSet &operator=(RowSet &&) noexcept;
	~RowSet();

	//! True when the row was not in the set. Throws std::bad_alloc.
	bool Insert(RowId row_id);
	//! Many at once, cheap for ids that are near each other.
	void Insert(Span<const RowId> row_ids);
	//! Adds every row of `other`.
	void Merge(const RowSet &other);
	//! True when the row was in the set.
	bool Erase(RowId row_id);
	bool Contains(RowId row_id) const;
	uint64_t Count() const;
	//! Ascending. The set stays as it is meanwhile.
	void ForEach(const std::function<void(RowId)> &visit) const;
	uint64_t MemoryBytes() const;

	std::vector<uint8_t> Serialize() const;
	//! Throws CorruptionError.
	static RowSet Deserialize(ConstByteSpan bytes);

private:
	struct Bitmap;
	std::unique_ptr<Bitmap> bitmap;
};

} // namespace lm_diskann
