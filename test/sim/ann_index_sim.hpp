// A random script of one index and its host: changes, publishes, searches, faults and ends of the process.
//
// To let the scripts do another thing, write a method and give it a weight in the table of ann_index_sim.cpp; what must
// hold of it belongs into IndexHost, where the fixed scripts of the tests find it too.
#pragma once

#include "sim/index_host.hpp"
#include "sim/row_source.hpp"

namespace lm_diskann {

//! Every choice follows from the seed. Throws SimViolation.
class AnnIndexSim {
public:
	explicit AnnIndexSim(uint64_t seed);

	//! Creates the index, takes `step_count` steps and checks everything.
	SimTotals Run(size_t step_count);

private:
	struct Step {
		uint32_t weight;
		void (AnnIndexSim::*run)();
	};
	static const std::vector<Step> STEPS;

	void Create();
	void TakeStep();
	void Append();
	void Replace();
	void RevertAndReuse();
	void Delete();
	void Merge();
	void Compact();
	void Shrink();
	void Publish();
	void Confirm();
	void Search();
	void ReadAll();
	void InjectFault();
	void Heal();
	void ResizeCache();
	void Restart();

	//! A row id that was given, or now and then one that was not.
	RowId AnyRow();
	uint64_t AnyCacheBytes();
	//! Stops after some questions, or never.
	std::function<bool()> AnyStop();

	std::mt19937_64 random;
	RowSource source;
	IndexHost host;
	uint64_t step_count = 0;
};

} // namespace lm_diskann
