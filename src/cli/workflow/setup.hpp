#pragma once

#include "autoexec/config.hpp"
#include "autoexec/diagnostic.hpp"
#include "autoexec/workflow.hpp"
#include "autoexec/workflow_executor.hpp"
#include "cli/cli.hpp"
#include "cli/session/agents.hpp"

#include <boost/json/object.hpp>

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

/// What several subcommands of `autoexec workflow` do before anything runs.
namespace autoexec::cli {

/// Of `run` and `resume`.
struct WorkflowFlags : CommonOptions {
    SessionFlags session;
    std::string agent;
    std::vector<std::string> params;  ///< NAME=VALUE
    std::vector<std::string> env;     ///< NAME=VALUE
    std::optional<std::string> prompt;
    std::optional<int> retry;
    std::optional<std::chrono::milliseconds> timeout;
    bool fail_fast = false;
    bool no_cache = false;
    bool lenient = false;           ///< Unknown keys of the workflow are warnings.
    std::optional<bool> automatic;  ///< Absent: as configured.
};

void add_workflow_flags(CLI::App& app, WorkflowFlags& flags);
CLI::Option* add_lenient(CLI::App& app, bool& lenient);
CLI::Option* add_run_id(CLI::App& app, const char* name, std::string& run, const char* help);

/// A workflow file and its problems, ordered by line, and then those of files that it uses.
struct WorkflowFile {
    std::optional<Workflow> workflow;  ///< Absent: it cannot be used.
    std::vector<Diagnostic> diagnostics;
    std::shared_ptr<const workflow::Plan> plan;
};

/// Calls `visit` with the steps of the workflow and of those that it uses, each once.
void for_all_steps(const Workflow& workflow, const std::function<void(const WorkflowStep&)>& visit);

/// Where the files must be that a workflow file uses: the project, or its own folder if it is not
/// in the project.
std::filesystem::path folder_of_used(const std::filesystem::path& file,
                                     const std::filesystem::path& root);

/// `strict`: warnings are errors.
WorkflowFile read_workflow_file(const std::string& path, bool strict,
                                const WorkflowReadOptions& options = {});

/// Prints the problems, the warnings unless `quiet`. Throws `Failure` if the file cannot be used.
void require_usable(const WorkflowFile& file, bool quiet);

using ParamWords = std::vector<std::pair<std::string, std::string>>;

/// Splits `--param` and `--prompt`. Throws `Failure` if one is invalid.
ParamWords parse_params(const WorkflowFlags& options);

/// Their values, of the types that the workflow declares. Without a declared type, `true`, `false`
/// and numbers are recognized, but a number that would be printed differently stays a text: `1.10`
/// is a version. Pure.
boost::json::object typed_params(const ParamWords& words, const boost::json::object& declared);

/// The options of the run except those about worktrees.
WorkflowRunOptions make_run_options(const WorkflowFlags& options);

/// Applies `--timeout` to the workflow and the configuration to `run`. Returns the agents; throws
/// `Failure` if a file is invalid.
Agents apply_configuration(const WorkflowFlags& options, AutoExecutionConfigManager& manager,
                           Workflow& workflow, WorkflowRunOptions& run);

}  // namespace autoexec::cli
