// What the phases of one CREATE INDEX share.
#pragma once

#include "adapter/create_index.hpp"
#include "adapter/table_build.hpp"

#include "duckdb/common/atomic.hpp"

namespace duckdb {

struct CreateIndexSinkState : public GlobalSinkState {
	CreateIndexSinkState(ClientContext &context, const PhysicalCreateLmDiskann &op);

	TableBuild build;
	atomic<bool> is_building {false};
};

//! The event that runs the build with all threads and then calls op.Register.
shared_ptr<Event> MakeBuildEvent(Pipeline &pipeline, const PhysicalCreateLmDiskann &op, CreateIndexSinkState &state);

} // namespace duckdb
