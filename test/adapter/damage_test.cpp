// The damage matrix: whatever happens to an index file, the database opens, every answer is DuckDB's exact one, the
// reason is readable, nothing is rebuilt where that is switched off, and otherwise the next query heals the index so
// that it stays healed. The databases are built once and copied for each case.
#include "host.hpp"

#include "base/checksum.hpp"
#include "storage/format.hpp"

#include <cstring>

namespace {

using namespace lmd_test; // NOLINT

constexpr size_t PAGE_BYTES = 4096;
constexpr int64_t K = 60;

//! Changes the one index file, which is closed.
using DamageFile = std::function<void(const std::filesystem::path &file)>;

//! Whether the file can still be used.
enum class Outcome { DEGRADED, READY, EITHER };

class Damage : public testing::Test {
protected:
	static void SetUpTestSuite() {
		base = std::make_unique<Host>();
		Execute(*base, "CREATE TABLE t AS " + SomeRows(0, 120));
		Execute(*base, "UPDATE t SET v = NULL WHERE id % 7 = 3"); // gaps give the row map pages of its own
		Execute(*base, "CREATE INDEX t_idx ON t USING LM_DISKANN (v) WITH (R = 8, block_size = 4096)");
		for (int64_t step = 0; step < 6; step++) {
			if (step == 1) {
				Execute(*base, "CHECKPOINT");
				older = std::make_unique<Host>(Host::CopyOf(base->Path()));
			}
			Execute(*base, "INSERT INTO t " + SomeRows(120 + step * 10, 10));
			Execute(*base, "INSERT INTO t VALUES (999, NULL)");
			Execute(*base, "DELETE FROM t WHERE id IN (" + std::to_string(step * 5) + ", " +
			                   std::to_string(120 + step * 10) + ")");
			Execute(*base, "CHECKPOINT");
		}
		ExpectSound(*base);
		answer = ExpectExactAnswer(*base, K);
		base->Close();
	}
	static void TearDownTestSuite() {
		base.reset();
		older.reset();
	}

	//! Opens `host`, whose `file` is damaged, without and with healing. `reason`: what state_reason must say beside the
	//! file's path; only for DEGRADED.
	static void ExpectRecovers(Host &host, const std::filesystem::path &file, Outcome outcome,
	                           const std::string &reason) {
		host.Open();
		EnableLog(host);
		const auto files = host.IndexFiles();
		Execute(host, "SET lm_diskann_auto_rebuild = false");
		const auto expected = ExpectExactAnswer(host, K);
		ExpectExactAnswer(host, K);
		Execute(host, "FROM lm_diskann_verify('t_idx')"); // finds what no search comes across
		const bool is_degraded = Info(host, "state") == "needs_rebuild";
		EXPECT_EQ(host.IndexFiles(), files) << "something was rebuilt";
		EXPECT_TRUE(outcome == Outcome::EITHER || is_degraded == (outcome == Outcome::DEGRADED))
		    << Info(host, "state, state_reason");
		if (is_degraded) {
			const auto found = Info(host, "state_reason");
			EXPECT_NE(found.find(file.string()), std::string::npos) << found;
			EXPECT_NE(found.find(reason), std::string::npos) << found;
			const auto warnings = Warnings(host);
			EXPECT_NE(warnings.find(found), std::string::npos) << warnings;
			EXPECT_EQ(warnings.find('\n'), std::string::npos) << "logged more than once: " << warnings;
		}
		Execute(host, "SET lm_diskann_auto_rebuild = true");
		EXPECT_EQ(ExpectExactAnswer(host, K), expected);
		ExpectSound(host);
		EXPECT_EQ(Info(host, "file_path") == file.string(), !is_degraded);
		Execute(host, "INSERT INTO t " + SomeRows(300, 10));
		Execute(host, "DELETE FROM t WHERE id = 301");

		host.Open();
		ExpectSound(host);
		ExpectExactAnswer(host, K);
		EXPECT_EQ(host.IndexFileCount(), 1U);
	}
	static void ExpectHeals(const DamageFile &damage, Outcome outcome, const std::string &reason = "") {
		Host host = Host::CopyOf(base->Path());
		const auto file = host.IndexFile();
		damage(file);
		ExpectRecovers(host, file, outcome, reason);
	}

	static std::unique_ptr<Host> base;
	//! The same database at the second of seven generations.
	static std::unique_ptr<Host> older;
	static std::string answer;
};
std::unique_ptr<Host> Damage::base;
std::unique_ptr<Host> Damage::older;
std::string Damage::answer;

void Overwrite(const std::filesystem::path &file, size_t offset, const std::string &bytes) {
	std::fstream stream(file, std::ios::binary | std::ios::in | std::ios::out);
	stream.seekp(std::streamoff(offset));
	stream << bytes;
}

//===--------------------------------------------------------------------===//
// The file as a whole
//===--------------------------------------------------------------------===//
TEST_F(Damage, NoneIsHarmless) {
	ExpectHeals([](const std::filesystem::path &) {}, Outcome::READY);
}

TEST_F(Damage, AMissingFileHeals) {
	ExpectHeals([](const std::filesystem::path &file) { std::filesystem::remove(file); }, Outcome::DEGRADED,
	            "is missing");
	ExpectHeals([](const std::filesystem::path &file) { std::filesystem::remove_all(file.parent_path()); },
	            Outcome::DEGRADED, "is missing");
}

TEST_F(Damage, AFolderInstead) {
	ExpectHeals(
	    [](const std::filesystem::path &file) {
		    std::filesystem::remove(file);
		    std::filesystem::create_directory(file);
	    },
	    Outcome::DEGRADED, "is missing");
}

TEST_F(Damage, ALinkToNowhereInstead) {
	ExpectHeals(
	    [](const std::filesystem::path &file) {
		    std::filesystem::remove(file);
		    std::filesystem::create_symlink(file.parent_path() / "nowhere", file);
	    },
	    Outcome::DEGRADED, "is missing");
}

TEST_F(Damage, AnotherIndexesFileHeals) {
	Host other;
	MakeTable(other, 120, "(R = 8, block_size = 4096)");
	other.Close();
	const auto bytes = ReadBytes(other.IndexFile());
	ExpectHeals([&](const std::filesystem::path &file) { WriteBytes(file, bytes); }, Outcome::DEGRADED,
	            "identity of the file must be ");
}

TEST_F(Damage, AForeignFileHeals) {
	ExpectHeals([](const std::filesystem::path &file) { WriteBytes(file, std::string(100000, 'x')); },
	            Outcome::DEGRADED, "does not begin as an LM_DISKANN file");
}

TEST_F(Damage, AnOlderFileHeals) {
	ExpectHeals(
	    [](const std::filesystem::path &file) {
		    std::filesystem::copy_file(older->IndexFile(), file, std::filesystem::copy_options::overwrite_existing);
	    },
	    Outcome::DEGRADED, "the file is older than the database (restored backup?)");
}

TEST_F(Damage, ANewerFileHeals) {
	Host host = Host::CopyOf(older->Path());
	const auto file = host.IndexFile();
	std::filesystem::copy_file(base->IndexFile(), file, std::filesystem::copy_options::overwrite_existing);
	ExpectRecovers(host, file, Outcome::DEGRADED, "the file is newer than the database (restored backup?)");
}

TEST_F(Damage, AFileThatMayNotBeOpenedHeals) {
	Host host = Host::CopyOf(base->Path());
	// A folder without the right to write: no privilege is above a hook.
	host.hooks->Fail({FileCall::OPEN, FileCall::MOVE, FileCall::REMOVE}, ".lmdiskann");
	host.Open();
	for (int query = 0; query < 2; query++) {
		EXPECT_EQ(ExpectExactAnswer(host, K), answer);
		EXPECT_EQ(Info(host, "state"), "needs_rebuild");
	}
	Execute(host, "INSERT INTO t " + SomeRows(300, 10));
	Execute(host, "CHECKPOINT");
	ExecuteError(host, "PRAGMA lm_diskann_rebuild('t_idx')");
	host.hooks->Set(nullptr);
	host.Open();
	ExpectExactAnswer(host, K);
	ExpectSound(host);
	host.Open();
	ExpectSound(host);
	EXPECT_EQ(host.IndexFileCount(), 1U);
}

//===--------------------------------------------------------------------===//
// Its pages
//===--------------------------------------------------------------------===//
TEST_F(Damage, ATruncatedFileHeals) {
	const auto size = std::filesystem::file_size(base->IndexFile());
	for (size_t length = 0; length < size; length += PAGE_BYTES) {
		SCOPED_TRACE("cut to " + std::to_string(length) + " of " + std::to_string(size) + " bytes");
		// The last slots may be free.
		ExpectHeals([&](const std::filesystem::path &file) { std::filesystem::resize_file(file, length); },
		            length < size / 2 ? Outcome::DEGRADED : Outcome::EITHER,
		            length < lm_diskann::FILE_HEAD_SIZE ? "found" : "slots");
	}
}

TEST_F(Damage, AFileCutInsideAPageHeals) {
	const auto size = std::filesystem::file_size(base->IndexFile());
	for (const size_t length : {size_t(1), size_t(100), PAGE_BYTES * 4 + 1, size_t(size) - 1}) {
		SCOPED_TRACE("cut to " + std::to_string(length) + " of " + std::to_string(size) + " bytes");
		ExpectHeals([&](const std::filesystem::path &file) { std::filesystem::resize_file(file, length); },
		            Outcome::EITHER);
	}
}

TEST_F(Damage, APageOfZerosHeals) {
	const auto size = std::filesystem::file_size(base->IndexFile());
	for (size_t offset = 0; offset < size; offset += PAGE_BYTES) {
		SCOPED_TRACE("zeros at " + std::to_string(offset) + " of " + std::to_string(size) + " bytes");
		const auto sector = offset / PAGE_BYTES;
		const auto outcome = sector == 0 ? Outcome::DEGRADED : sector < 4 ? Outcome::READY : Outcome::EITHER;
		ExpectHeals([&](const std::filesystem::path &file) { Overwrite(file, offset, std::string(PAGE_BYTES, '\0')); },
		            outcome);
	}
}

TEST_F(Damage, RandomBytesHeal) {
	const auto size = std::filesystem::file_size(base->IndexFile());
	for (uint64_t seed = 0; seed < 60; seed++) {
		SCOPED_TRACE("seed " + std::to_string(seed));
		ExpectHeals(
		    [&](const std::filesystem::path &file) {
			    std::mt19937_64 random(seed);
			    for (uint64_t place = random() % 4 + 1; place > 0; place--) {
				    std::string bytes(random() % 64 + 1, '\0');
				    for (char &byte : bytes) {
					    byte = char(random());
				    }
				    Overwrite(file, random() % (size - bytes.size()), bytes);
			    }
		    },
		    Outcome::EITHER);
	}
}

//===--------------------------------------------------------------------===//
// Its head
//===--------------------------------------------------------------------===//
struct HeadField {
	const char *name;
	size_t offset;
	size_t size;
	//! With a valid checksum: what the reason then says; empty if the field means nothing.
	const char *reason;
};

//! The configuration behind FileHead is 48 bytes (docs/FORMAT.md).
constexpr size_t CONFIGURATION = sizeof(lm_diskann::FileHead);
const HeadField HEAD_FIELDS[] = {
    {"checksum", offsetof(lm_diskann::FileHead, checksum), 8, ""},
    {"magic", offsetof(lm_diskann::FileHead, magic), 8, "does not begin as an LM_DISKANN file"},
    {"format version", offsetof(lm_diskann::FileHead, format_version), 4, "format version must be 1, found"},
    {"page size", offsetof(lm_diskann::FileHead, page_size), 4, "page size must be a multiple of 4096"},
    {"uuid", offsetof(lm_diskann::FileHead, uuid), 16, "identity of the file must be"},
    {"size of the configuration", offsetof(lm_diskann::FileHead, configuration_size), 4,
     "size of the configuration must be at most 2048, found"},
    {"reserved", offsetof(lm_diskann::FileHead, reserved), 4, ""},
    {"version of the configuration", CONFIGURATION, 4, "the configuration holds version"},
    {"metric", CONFIGURATION + 4, 1, "the configuration holds metric"},
    {"element type", CONFIGURATION + 5, 1, "the configuration holds element type"},
    {"own vectors", CONFIGURATION + 6, 1, "the configuration holds vector storage"},
    {"codes", CONFIGURATION + 7, 1, "the configuration holds code family"},
    {"dimensions", CONFIGURATION + 8, 4, "the configuration holds dimensions"},
    {"R", CONFIGURATION + 12, 4, "the configuration holds R"},
    {"L_build", CONFIGURATION + 16, 4, "the configuration holds L_build"},
    {"L_search", CONFIGURATION + 20, 4, "the configuration holds L_search"},
    {"alpha", CONFIGURATION + 24, 8, "the configuration holds alpha"},
    {"seed", CONFIGURATION + 32, 8, "another configuration than the database names: seed must be"},
    {"page size of the configuration", CONFIGURATION + 40, 4, "the configuration holds block size"},
    {"first byte behind the configuration", CONFIGURATION + 48, 1, ""},
};

//! Flips every bit of the field.
std::string WithFlipped(std::string bytes, const HeadField &field) {
	for (size_t i = 0; i < field.size; i++) {
		bytes[field.offset + i] = char(~bytes[field.offset + i]);
	}
	return bytes;
}

TEST_F(Damage, EachFieldOfTheHeadIsGuardedByItsChecksum) {
	const auto bytes = ReadBytes(base->IndexFile());
	for (const auto &field : HEAD_FIELDS) {
		SCOPED_TRACE(field.name);
		ExpectHeals([&](const std::filesystem::path &file) { WriteBytes(file, WithFlipped(bytes, field)); },
		            Outcome::DEGRADED, field.offset == 8 || field.offset == 16 ? field.reason : "checksum of the head");
	}
}

TEST_F(Damage, EachFieldOfTheHeadIsChecked) {
	const auto bytes = ReadBytes(base->IndexFile());
	for (const auto &field : HEAD_FIELDS) {
		SCOPED_TRACE(field.name);
		auto changed = WithFlipped(bytes, field);
		const lm_diskann::ConstByteSpan summed(reinterpret_cast<const uint8_t *>(changed.data()) + 8,
		                                       lm_diskann::SECTOR_SIZE - 8);
		const uint64_t checksum = lm_diskann::Checksum(summed, 0);
		std::memcpy(&changed[0], &checksum, sizeof(checksum));
		const bool means_nothing = *field.reason == '\0';
		ExpectHeals([&](const std::filesystem::path &file) { WriteBytes(file, changed); },
		            means_nothing ? Outcome::READY : Outcome::DEGRADED, field.reason);
	}
}

//===--------------------------------------------------------------------===//
// Read-only
//===--------------------------------------------------------------------===//
TEST_F(Damage, AReadOnlyDatabaseAnswersAndChangesNothing) {
	const auto size = std::filesystem::file_size(base->IndexFile());
	const std::vector<std::pair<std::string, DamageFile>> damages = {
	    {"is missing", [](const std::filesystem::path &file) { std::filesystem::remove(file); }},
	    {"does not begin", [](const std::filesystem::path &file) { WriteBytes(file, std::string(100000, 'x')); }},
	    {"slots", [&](const std::filesystem::path &file) { std::filesystem::resize_file(file, size / 3); }},
	    {"older", [](const std::filesystem::path &file) {
		     std::filesystem::copy_file(older->IndexFile(), file, std::filesystem::copy_options::overwrite_existing);
	     }}};
	for (const auto &[reason, damage] : damages) {
		SCOPED_TRACE(reason);
		Host host = Host::CopyOf(base->Path());
		damage(host.IndexFile());
		const auto files = host.IndexFiles();
		const auto bytes = files.empty() ? "" : ReadBytes(files[0]);
		host.Open(HostOptions::ReadOnly());
		EnableLog(host);
		for (int query = 0; query < 2; query++) {
			EXPECT_EQ(ExpectExactAnswer(host, K), answer);
			EXPECT_EQ(Info(host, "state"), "read_only_degraded");
			EXPECT_NE(Info(host, "state_reason").find(reason), std::string::npos) << Info(host, "state_reason");
		}
		EXPECT_EQ(Warnings(host).find('\n'), std::string::npos) << Warnings(host);
		EXPECT_NE(ExecuteError(host, "PRAGMA lm_diskann_rebuild('t_idx')").find("read-only"), std::string::npos);
		host.Close();
		EXPECT_EQ(host.IndexFiles(), files);
		EXPECT_TRUE(files.empty() || ReadBytes(files[0]) == bytes);
		host.Open();
		EXPECT_EQ(ExpectExactAnswer(host, K), answer);
		ExpectSound(host);
	}
}

TEST_F(Damage, AReadOnlyDatabaseUsesASoundIndex) {
	Host host = Host::CopyOf(base->Path());
	const auto bytes = ReadBytes(host.IndexFile());
	host.Open(HostOptions::ReadOnly());
	ExpectSound(host);
	EXPECT_EQ(ExpectExactAnswer(host, K), answer);
	host.Close();
	EXPECT_TRUE(ReadBytes(host.IndexFile()) == bytes);
}

//===--------------------------------------------------------------------===//
// While it is open
//===--------------------------------------------------------------------===//
TEST_F(Damage, DamageOfAnOpenFileIsFoundByASearchAndHealsWithTheNext) {
	Host host = Host::CopyOf(base->Path());
	host.Open();
	EXPECT_EQ(Info(host, "state"), "ready");
	const auto file = host.IndexFile();
	const auto size = std::filesystem::file_size(file);
	for (size_t offset = PAGE_BYTES * 4; offset < size; offset += PAGE_BYTES) {
		Overwrite(file, offset + 40, "damage");
	}
	EXPECT_EQ(ExpectExactAnswer(host, K), answer);
	EXPECT_EQ(Info(host, "state"), "needs_rebuild");
	EXPECT_NE(Info(host, "state_reason").find("checksum"), std::string::npos) << Info(host, "state_reason");
	EXPECT_EQ(ExpectExactAnswer(host, K), answer);
	ExpectSound(host);
	host.Open();
	ExpectSound(host);
	EXPECT_EQ(host.IndexFileCount(), 1U);
}

} // namespace
