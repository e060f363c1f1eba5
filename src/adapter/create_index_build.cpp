// The parallel phase of CREATE INDEX, as an event of DuckDB's executor.

#include "adapter/create_index_state.hpp"

#include "duckdb/execution/executor.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/parallel/base_pipeline_event.hpp"
#include "duckdb/parallel/executor_task.hpp"
#include "duckdb/parallel/task_scheduler.hpp"

#include <thread>

namespace duckdb {

namespace {

class BuildEvent : public BasePipelineEvent {
public:
	BuildEvent(Pipeline &pipeline_p, const PhysicalCreateLmDiskann &op_p, CreateIndexSinkState &state_p)
	    : BasePipelineEvent(pipeline_p), op(op_p), state(state_p) {
	}

	void Schedule() override;
	void FinishEvent() override {
		op.Register(pipeline->GetClientContext(), state);
	}

	const PhysicalCreateLmDiskann &op;
	CreateIndexSinkState &state;
};

class BuildTask : public ExecutorTask {
public:
	BuildTask(BuildEvent &event_p, ClientContext &context_p)
	    : ExecutorTask(context_p, event_p.shared_from_this(), event_p.op), build(event_p.state.build),
	      client(context_p) {
	}

	//! One piece of work, so that an interrupt is seen soon and the thread that shows the progress bar gets to it.
	TaskExecutionResult ExecuteTask(TaskExecutionMode mode) override {
		while (true) {
			if (client.interrupted) {
				throw InterruptException();
			}
			if (executor.HasError()) {
				// Another worker failed; the event is never finished then.
				return TaskExecutionResult::TASK_FINISHED;
			}
			const auto work = build.Work();
			if (work == lm_diskann::WorkState::FINISHED) {
				event->FinishTask();
				return TaskExecutionResult::TASK_FINISHED;
			}
			if (work == lm_diskann::WorkState::WAITING) {
				std::this_thread::yield();
			}
			if (mode == TaskExecutionMode::PROCESS_PARTIAL) {
				return TaskExecutionResult::TASK_NOT_FINISHED;
			}
		}
	}
	string TaskType() const override {
		return "LmDiskannBuildTask";
	}

private:
	TableBuild &build;
	ClientContext &client;
};

void BuildEvent::Schedule() {
	auto &context = pipeline->GetClientContext();
	const auto thread_count = NumericCast<size_t>(TaskScheduler::GetScheduler(context).NumberOfThreads());
	vector<shared_ptr<Task>> tasks;
	for (size_t worker = 0; worker < thread_count; worker++) {
		tasks.push_back(make_uniq<BuildTask>(*this, context));
	}
	SetTasks(std::move(tasks));
}

} // namespace

shared_ptr<Event> MakeBuildEvent(Pipeline &pipeline, const PhysicalCreateLmDiskann &op, CreateIndexSinkState &state) {
	return make_shared_ptr<BuildEvent>(pipeline, op, state);
}

} // namespace duckdb
