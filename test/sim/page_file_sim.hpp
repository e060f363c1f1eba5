// A random script on a page file, beside a model of what it must hold.
//
// The model: the contents as they are, as they were at the last publish, and as of the last generation that the host
// named. Only a named generation may be confirmed, and only the last named one is opened after a loss of power.
#pragma once

#include "sim/sim_check.hpp"
#include "sim/sim_file.hpp"
#include "storage/page_file.hpp"

#include <map>
#include <optional>

namespace lm_diskann {

//! Every choice follows from the seed. Throws SimViolation.
class PageFileSim {
public:
	explicit PageFileSim(uint64_t seed);

	//! Four lives with faults, each but the last of which ends in a loss of power and a check.
	SimTotals RunLives();

	//! Runs up to `step_count` steps; stops when the file is poisoned. False if it is.
	bool RunSteps(int step_count);
	//! Loses power, opens what the host named and checks it. False: nothing was ever named.
	bool CrashAndReopen();
	SimDisk &Disk() {
		return *disk;
	}

private:
	//! What a generation holds: the seeds of page and blob contents.
	struct Contents {
		std::map<uint32_t, uint32_t> pages;
		std::map<uint32_t, std::pair<BlobRef, uint32_t>> blobs;
		uint32_t roots_seed = 0;
	};

	void Step();
	void Check() const;
	void CheckPage(PageId id) const;
	void WriteRun();
	void RewritePage();
	void FreePage();
	void WriteBlob();
	void FreeBlob();
	void Publish();
	//! A random page that has bytes.
	std::optional<uint32_t> AnyPage();

	std::mt19937_64 random;
	std::shared_ptr<SimDisk> disk;
	std::unique_ptr<PageFile> file;
	Contents now;
	Contents published;
	std::optional<std::pair<Marker, Contents>> named;
	uint32_t next_seed = 1;
	SimTotals totals;
};

} // namespace lm_diskann
