#pragma once
#include <cstddef>
#include <cstdint>

namespace lm_diskann {

//! What a call of Work did. WAITING: others still work on the present phase; call again (yield first).
enum class WorkState : uint8_t { WORKED, WAITING, FINISHED };

} // namespace lm_diskann
