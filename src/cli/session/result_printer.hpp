#pragma once

#include "autoexec/view.hpp"
#include "cli/session/batch_outcome.hpp"
#include "queue/queue_folder.hpp"

#include <boost/json/object.hpp>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <map>
#include <string>

namespace autoexec::cli {

/// Finds the results of executions and runs that other processes run, and prints them as `run`
/// does.
class ResultPrinter {
public:
    /// Whether results of the queue count as printed: `autoexec wait --all` prints each once.
    enum class Use { final, preview };

    ResultPrinter(std::filesystem::path root, bool as_json, Use use = Use::final);

    /// Prints the result of an execution that is neither in the view nor waits in the queue, or
    /// that is interrupted. False: it is not known yet.
    bool print(const std::string& execution_id, bool is_interrupted);

    /// Prints how a run has ended.
    void print(const RunEntry& run);

    [[nodiscard]] std::size_t count() const noexcept { return count_; }
    [[nodiscard]] int exit_code() const { return outcome_.exit_code(); }

private:
    bool print_queued(const std::string& execution_id);
    void print_line(const ExecutionResult& result, const boost::json::object& line,
                    bool is_internal_error);

    std::filesystem::path root_;
    bool as_json_;
    Use use_;
    queue::QueueFolder folder_;
    ModelPrices prices_;
    std::size_t count_ = 0;
    std::map<std::string, std::chrono::steady_clock::time_point> missing_since_;
    BatchOutcome outcome_;
};

}  // namespace autoexec::cli
