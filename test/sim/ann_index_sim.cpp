#include "sim/ann_index_sim.hpp"

namespace lm_diskann {

const std::vector<AnnIndexSim::Step> AnnIndexSim::STEPS = {
    {20, &AnnIndexSim::Append}, {10, &AnnIndexSim::Replace},    {6, &AnnIndexSim::RevertAndReuse},
    {15, &AnnIndexSim::Delete}, {18, &AnnIndexSim::Publish},    {10, &AnnIndexSim::Confirm},
    {14, &AnnIndexSim::Merge},  {6, &AnnIndexSim::Compact},     {4, &AnnIndexSim::Shrink},
    {12, &AnnIndexSim::Search}, {3, &AnnIndexSim::ReadAll},     {8, &AnnIndexSim::InjectFault},
    {3, &AnnIndexSim::Heal},    {3, &AnnIndexSim::ResizeCache}, {5, &AnnIndexSim::Restart},
};

AnnIndexSim::AnnIndexSim(uint64_t seed)
    : random(seed), source(RandomConfiguration(random), random()), host(random(), source.Configuration()) {
}

SimTotals AnnIndexSim::Run(size_t step_count_p) {
	Create();
	while (step_count < step_count_p) {
		TakeStep();
	}
	Restart();
	SimTotals totals = host.Totals();
	totals.seeds = 1;
	totals.steps = step_count;
	return totals;
}

void AnnIndexSim::Create() {
	if (random() % 3 == 0) {
		InjectFault();
	}
	const std::vector<HostRow> rows = source.MakeRun(0, random() % 8 == 0 ? random() % 4 : random() % 250);
	const HostChange appended {false, source.MakeRun(int64_t(rows.size()), random() % 5)};
	if (!host.Create(rows, appended)) {
		host.Disk().Heal();
		host.EraseDisk();
		Require(host.Create(rows, appended), "an index is created where nothing fails");
	}
	host.CheckAll();
}

void AnnIndexSim::TakeStep() {
	step_count++;
	uint64_t weight_sum = 0;
	for (const Step &step : STEPS) {
		weight_sum += step.weight;
	}
	uint64_t choice = random() % weight_sum;
	const Step *step = STEPS.data();
	while (choice >= step->weight) {
		choice -= step->weight;
		step++;
	}
	(this->*step->run)();
	// A host degrades an unhealthy index; nothing but opening it again helps.
	if (!host.Index()->IsHealthy() && random() % 3 != 0) {
		Restart();
	}
}

void AnnIndexSim::Append() {
	host.Change({false, source.MakeRun(int64_t(host.Rows().CoveredRows()), 1 + random() % 20)});
}

void AnnIndexSim::Replace() {
	HostChange change;
	std::set<RowId> row_ids;
	for (uint64_t i = 0; i < 1 + random() % 5; i++) {
		row_ids.insert(RowId(AnyRow().value % int64_t(host.Rows().CoveredRows() + 1)));
	}
	for (const RowId row_id : row_ids) {
		change.rows.push_back(source.Make(row_id));
	}
	host.Change(change);
}

void AnnIndexSim::RevertAndReuse() {
	// A commit that fails late: its rows are appended, deleted again, and their ids given to other rows.
	const auto first = int64_t(host.Rows().CoveredRows());
	const size_t count = 1 + random() % 8;
	host.Change({false, source.MakeRun(first, count)});
	host.Change({true, source.MakeRun(first, count)});
	host.Change({false, source.MakeRun(first, 1 + random() % count)});
}

void AnnIndexSim::Delete() {
	HostChange change {true, {}};
	for (uint64_t i = 0; i < 1 + random() % 10; i++) {
		change.rows.push_back({AnyRow(), std::nullopt});
	}
	host.Change(change);
}

std::function<bool()> AnnIndexSim::AnyStop() {
	const uint64_t questions = random() % 4 == 0 ? random() % 30 : UINT64_MAX;
	return [questions, asked = uint64_t(0)]() mutable { return ++asked > questions; };
}

void AnnIndexSim::Merge() {
	host.Merge(1 + random() % 40, AnyStop());
}

void AnnIndexSim::Compact() {
	host.Compact(AnyStop());
}

void AnnIndexSim::Shrink() {
	host.Shrink(AnyStop());
}

void AnnIndexSim::Publish() {
	host.Publish(random() % 3 != 0);
}

void AnnIndexSim::Confirm() {
	host.Confirm(Generation(1 + random() % host.Named().value));
}

void AnnIndexSim::Search() {
	host.Search(source.MakeQuery(), 1 + random() % 30, uint32_t(1 + random() % 400));
}

void AnnIndexSim::ReadAll() {
	host.ReadAll(source.MakeQuery());
}

void AnnIndexSim::InjectFault() {
	host.Disk().Inject(RandomFault(random, 40));
}

void AnnIndexSim::Heal() {
	host.Disk().Heal();
}

void AnnIndexSim::ResizeCache() {
	host.Cache().SetBudget(AnyCacheBytes());
}

void AnnIndexSim::Restart() {
	const IndexHost::End end = random() % 3 == 0 ? IndexHost::End::CLOSE : IndexHost::End::CRASH;
	host.Restart(end, random() % 6 == 0, AnyCacheBytes());
}

RowId AnnIndexSim::AnyRow() {
	const uint64_t covered_rows = host.Rows().CoveredRows();
	return RowId(int64_t(random() % 20 == 0 ? covered_rows + random() % 100 : random() % (covered_rows + 1)));
}

uint64_t AnnIndexSim::AnyCacheBytes() {
	static constexpr uint64_t BYTES[] = {0, 5000, 20000, 100000, 1 << 20};
	return BYTES[random() % std::size(BYTES)];
}

} // namespace lm_diskann
