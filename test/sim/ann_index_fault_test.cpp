// Property: whichever operation of the file fails, once or from there on, a call throws what it may throw or is right,
// and the index that opens afterwards is whole. One short script a flow; every operation of it fails in turn.
#include "sim/index_host.hpp"
#include "sim/row_source.hpp"

#include <gtest/gtest.h>

namespace lm_diskann {
namespace {

constexpr uint64_t SEED = 11;
//! No flow has as many operations; a loop that gets here does not end.
constexpr uint64_t OPERATION_COUNT_MAX = 2000;

struct FaultCase {
	Fault::Kind kind;
	bool is_lasting;
};

std::string Describe(const FaultCase &fault, uint64_t failing) {
	static const char *const NAMES[] = {"EIO", "ENOSPC", "short read", "flipped bit"};
	return std::string(NAMES[size_t(fault.kind)]) + (fault.is_lasting ? " from operation " : " at operation ") +
	       std::to_string(failing) + ", seed " + std::to_string(SEED);
}

class EveryOperationFails : public testing::TestWithParam<FaultCase> {
protected:
	EveryOperationFails() : base(SEED, Configuration()) {
		const HostChange appended {false, Source().MakeRun(80, 3)};
		EXPECT_TRUE(base.Create(Source().MakeRun(0, 80), appended));
	}

	static IndexConfiguration Configuration() {
		IndexOptions options;
		options.max_degree = 8;
		options.l_build = 20;
		options.codes = CodeFamily::TWO_BIT;
		return Configure(options, ElementType::FLOAT32, 8);
	}
	static RowSource Source() {
		return RowSource(Configuration(), SEED);
	}
	static void Inject(IndexHost &host, uint64_t failing) {
		Fault fault;
		fault.kind = GetParam().kind;
		fault.countdown = failing;
		fault.is_lasting = GetParam().is_lasting;
		host.Disk().Inject(fault);
	}

	//! Calls `run(failing)`, which says whether the fault was met, for each operation that there is.
	template <class RUN>
	static void FailEach(const RUN &run) {
		bool is_hit = true;
		for (uint64_t failing = 0; is_hit; failing++) {
			SCOPED_TRACE(Describe(GetParam(), failing));
			ASSERT_LT(failing, OPERATION_COUNT_MAX);
			ASSERT_NO_THROW(is_hit = run(failing));
		}
	}

	//! Runs `flow` with a fault, ends the process, and runs it again where nothing fails.
	template <class FLOW>
	bool RunTwice(const FLOW &flow, uint64_t failing) const {
		IndexHost host = base.Fork(SEED + failing);
		Inject(host, failing);
		flow(host);
		const uint64_t faults = host.Totals().faults;
		if (failing % 2 == 0 && host.Index()->IsHealthy()) {
			host.CheckAll();
		}
		host.Disk().Heal();
		const IndexHost::End end = failing % 3 == 0 ? IndexHost::End::CLOSE : IndexHost::End::CRASH;
		host.Restart(end, failing % 5 == 0, failing % 2 == 0 ? 0 : 1 << 20);
		flow(host);
		host.CheckAll();
		return faults > 0;
	}
	template <class FLOW>
	void RunFlow(const FLOW &flow) {
		FailEach([&](uint64_t failing) { return RunTwice(flow, failing); });
	}

	IndexHost base;
};

TEST_P(EveryOperationFails, WhileAnIndexIsCreated) {
	FailEach([](uint64_t failing) {
		IndexHost host(SEED + failing, Configuration());
		const std::vector<HostRow> rows = Source().MakeRun(0, 40);
		const HostChange appended {false, Source().MakeRun(40, 3)};
		Inject(host, failing);
		if (!host.Create(rows, appended)) {
			host.EraseDisk();
			Require(host.Create(rows, appended), "an index is created where nothing fails");
		}
		host.CheckAll();
		host.Restart(IndexHost::End::CRASH, false, 0);
		return host.Totals().faults > 0;
	});
}

TEST_P(EveryOperationFails, WhileRowsAreAppended) {
	RunFlow([](IndexHost &host) {
		RowSource source = Source();
		host.Change({false, source.MakeRun(int64_t(host.Rows().CoveredRows()), 20)});
		host.Change({false, source.MakeRun(10, 6)}); // Rows of the graph: the row map is read.
		host.Publish(true);
		host.Change({false, source.MakeRun(int64_t(host.Rows().CoveredRows()), 20)});
		host.Publish(false);
	});
}

TEST_P(EveryOperationFails, WhileRowsAreDeleted) {
	RunFlow([](IndexHost &host) {
		RowSource source = Source();
		host.Change({true, source.MakeRun(5, 10)});
		host.Publish(true);
		host.Change({true, source.MakeRun(79, 10)}); // Rows of the graph, of the delta, and unknown ones.
		host.Change({false, source.MakeRun(83, 2)});
		host.Publish(true);
	});
}

TEST_P(EveryOperationFails, WhileRowsAreMergedAndTakenOut) {
	RunFlow([](IndexHost &host) {
		RowSource source = Source();
		const auto never = [] { return false; };
		host.Change({false, source.MakeRun(int64_t(host.Rows().CoveredRows()), 20)});
		host.Change({false, source.MakeRun(10, 6)}); // Rows that have a node already.
		host.Merge(16, never);
		host.Change({true, source.MakeRun(30, 12)});
		host.Publish(true);
		host.Merge(100, never);
		host.Compact(never);
		host.Publish(true);
		host.Confirm(host.Named());
		host.Change({false, source.MakeRun(int64_t(host.Rows().CoveredRows()), 10)});
		host.Merge(100, never);
		host.Publish(false);
	});
}

TEST_P(EveryOperationFails, WhileAnIndexIsOpened) {
	RunFlow([](IndexHost &host) { host.Restart(IndexHost::End::CLOSE, false, 0); });
}

TEST_P(EveryOperationFails, WhileAnIndexIsSearched) {
	RunFlow([](IndexHost &host) {
		RowSource source = Source();
		host.Cache().SetBudget(20000);
		host.Search(source.MakeQuery(), 10, 20);
		host.Search(source.MakeQuery(), 10, 20);
		host.ReadAll(source.MakeQuery());
	});
}

TEST_P(EveryOperationFails, WhileSlotsAreUsedAgain) {
	RunFlow([](IndexHost &host) {
		RowSource source = Source();
		for (int64_t round = 0; round < 4; round++) {
			host.Change({false, source.MakeRun(int64_t(host.Rows().CoveredRows()), 10)});
			host.Change({true, source.MakeRun(round * 10, 8)});
			host.Publish(round != 1);
			host.Confirm(host.Named());
		}
	});
}

INSTANTIATE_TEST_SUITE_P(
    Sim, EveryOperationFails,
    testing::Values(FaultCase {Fault::Kind::IO_ERROR, false}, FaultCase {Fault::Kind::IO_ERROR, true},
                    FaultCase {Fault::Kind::NO_SPACE, false}, FaultCase {Fault::Kind::NO_SPACE, true},
                    FaultCase {Fault::Kind::SHORT_READ, false}, FaultCase {Fault::Kind::FLIPPED_BIT, false}));

} // namespace
} // namespace lm_diskann
