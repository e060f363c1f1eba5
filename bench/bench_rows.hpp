// What programs that measure builds and changes share: rows made or read, exact answers, a file that counts, the
// processor's time, and hnswlib to compare with.
#pragma once

#include "made_vectors.hpp"

#include "index/ann_index.hpp"

#include <atomic>
#include <memory>
#include <string>
#include <vector>

namespace lm_diskann {

//! A file of the operating system that counts what is written. It has no name: it is gone when it is closed.
class CountedFile final : public File {
public:
	CountedFile(const std::string &path, std::atomic<uint64_t> &bytes_written_p);
	~CountedFile() override;

	void Read(uint64_t offset, ByteSpan target) const override;
	void Write(uint64_t offset, ConstByteSpan source) override;
	void Resize(uint64_t size_bytes) override;
	void Sync() override;
	uint64_t Size() const override;

private:
	int handle;
	std::atomic<uint64_t> &bytes_written;
};

//! Of all threads: other work on the machine hardly shows in it.
double CpuSeconds();

//! The rows, the queries, and the exact answers.
class BenchRows {
public:
	static constexpr size_t QUERIES = 200, K = 10;

	//! Rows are made (made_vectors.hpp) when `rows_path` is empty, else the first of a file of float32. Then there are
	//! no queries when `queries_path` is empty.
	BenchRows(Metric metric_p, size_t count_p, size_t dims_p, const std::string &rows_path,
	          const std::string &queries_path);

	void Vector(size_t row, float *vector) const;
	//! Calls `take(batch)` for rows first .. first + count - 1, at most `batch_rows` at a time; row ids are positions.
	void ForEachBatch(size_t first, size_t count, size_t batch_rows,
	                  const std::function<void(const VectorBatch &batch)> &take) const;

	//! recall@K of `search(query)`, which returns row numbers.
	double Recall(const std::function<std::vector<size_t>(const float *query)> &search) const;
	//! That of the index; `blocks` gets the blocks that a query visits.
	double Recall(AnnIndex &index, uint32_t list_size, double &blocks) const;

	Metric metric;
	size_t count;
	size_t dims;
	std::vector<float> queries;

private:
	void FindExact();

	std::unique_ptr<MadeVectors> made;
	std::vector<float> values;
	std::vector<std::vector<size_t>> exact;
};

//! Works until `builder` has finished, on `thread_count` threads.
void RunPhases(IndexBuilder &builder, size_t thread_count);

//! hnswlib with M = 16 and ef_construction = 200, compiled for this machine, as its users do.
class HnswlibGraph {
public:
	//! Null: hnswlib was not there when this program was built.
	static std::unique_ptr<HnswlibGraph> Create(Metric metric, size_t row_max, size_t dims);

	virtual ~HnswlibGraph() = default;
	virtual void Add(size_t row, const float *vector) = 0;
	virtual std::vector<size_t> Search(const float *query, size_t k, size_t ef) = 0;
};

} // namespace lm_diskann
