#pragma once

#include "base/types.hpp"

#include <algorithm>
#include <cstring>

namespace lm_diskann::fuzz {

//! Reads a fuzzer's bytes as numbers; behind their end everything is zero.
class FuzzInput {
public:
	FuzzInput(const uint8_t *data, size_t size) : rest(data, size) {
	}

	bool IsEmpty() const {
		return rest.empty();
	}
	template <class INTEGER>
	INTEGER Take() {
		INTEGER value = 0;
		const ConstByteSpan bytes = TakeBytes(sizeof(value));
		if (!bytes.empty()) {
			std::memcpy(&value, bytes.data(), bytes.size());
		}
		return value;
	}
	//! At most `count` bytes.
	ConstByteSpan TakeBytes(size_t count) {
		count = std::min(count, rest.size());
		const ConstByteSpan taken = rest.SubSpan(0, count);
		rest = rest.SubSpan(count, rest.size() - count);
		return taken;
	}

private:
	ConstByteSpan rest;
};

} // namespace lm_diskann::fuzz
