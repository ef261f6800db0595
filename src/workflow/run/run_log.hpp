#pragma once

#include "workflow/journal/journal.hpp"
#include "workflow/run/run_context.hpp"
#include "workflow/run/run_state.hpp"

#include <cstddef>
#include <functional>
#include <optional>
#include <string>

namespace autoexec::workflow {

/// What a run reports: transitions to its journal, markers for scripts, events for the caller.
class RunLog {
public:
    /// All must outlive it.
    RunLog(const RunContext& context, const RunInputs& inputs) : context_(context), inputs_(inputs)
    {}

    void use(Journal journal) { journal_.emplace(std::move(journal)); }
    [[nodiscard]] Journal& journal() { return *journal_; }
    [[nodiscard]] const std::string& run_id() const { return journal_->run_id(); }
    /// Nothing more is written after the first one.
    [[nodiscard]] error_code error() const noexcept { return error_; }
    /// Says that the journal cannot be written.
    [[nodiscard]] std::string error_sentence() const;

    /// False if the journal cannot be written, now or since an earlier call. `on_error` is called
    /// once.
    bool record(const protocol::Transition& transition);
    /// `base` and `branch`: of the run in git, or empty.
    void record_start(const std::string& base, const std::string& branch);
    /// Also in its marker, unless the work is discarded. `late`: it had completed.
    void record_end(const RunState& state, std::size_t i, bool discarded = false,
                    bool late = false);

    /// What the journal keeps of its output; empty: nothing uses it.
    [[nodiscard]] std::string used_output(std::size_t i, const StepResult& result) const;

    /// Replaces the marker of a step.
    void mark(const RunState& state, std::size_t i) const;
    void remove_markers_of(const StepRun& step) const;

    void notify(WorkflowEvent event) const;
    void notify(WorkflowEvent::Type type, std::string message = {}) const;
    void notify(WorkflowEvent::Type type, const StepRun& step, std::string message = {}) const;
    void notify_expanded(const StepRun& step, std::size_t items) const;

    std::function<void()> on_error;

private:
    const RunContext& context_;
    const RunInputs& inputs_;
    std::optional<Journal> journal_;
    error_code error_;
};

}  // namespace autoexec::workflow
