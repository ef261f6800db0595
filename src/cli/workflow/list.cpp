#include "cli/subcommand.hpp"
#include "cli/workflow/runs.hpp"

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace autoexec::cli {
namespace {

struct WorkflowListOptions : CommonOptions {
    std::size_t limit = 20;
};

void print(const RunEntry& run, std::size_t depth)
{
    const auto duration = duration_of(run);
    const auto after_id = run.waits_for ? waiting_words(run)
                                        : text::printable(depth > 0 ? run.parent_step : run.name);
    print_state_line(
        fmt::format("{:{}}  ", text::shown_time(run.started_at), text::shown_time_size),
        state_of(run), 11,
        fmt::format(" {:>7} {:>5}  {:{}}{}{}{}", duration ? text::format_duration(*duration) : "-",
                    fmt::format("{}/{}", count_ended(run), run.steps.size()), "", 2 * depth,
                    text::printable(run.run_id), after_id.empty() ? "" : "  ", after_id));
}

/// Child runs below their parent runs, which are older.
class RunList {
public:
    RunList(const WorkflowListOptions& options, const std::vector<std::string>& ids)
        : options_(options), ids_(ids.begin(), ids.end())
    {}

    /// Newest first.
    void add(RunEntry run)
    {
        const bool is_child = run.parent_run != run.run_id && ids_.contains(run.parent_run);
        if (is_child)
            children_[run.parent_run].push_back(std::move(run));
        else
            print_all(std::move(run));
    }

    [[nodiscard]] bool is_full() const { return options_.limit > 0 && shown_ == options_.limit; }
    [[nodiscard]] bool is_empty() const { return shown_ == 0; }

private:
    // Each is printed once, whatever journals say about each other.
    void print_all(RunEntry first)
    {
        ++shown_;
        std::vector<std::pair<RunEntry, std::size_t>> open;
        open.emplace_back(std::move(first), 0);
        while (!open.empty()) {
            const auto [run, depth] = std::move(open.back());
            open.pop_back();
            if (options_.json)
                print_json(to_json(run));
            else
                print(run, depth);
            auto found = children_.extract(run.run_id);
            if (found.empty()) continue;
            for (auto& child : found.mapped()) open.emplace_back(std::move(child), depth + 1);
        }
    }

    const WorkflowListOptions& options_;
    std::set<std::string> ids_;
    std::map<std::string, std::vector<RunEntry>> children_;
    std::size_t shown_ = 0;
};

int list_runs(const WorkflowListOptions& options)
{
    ProjectReaderOptions what;
    what.project_root = project_root(options);
    const ProjectReader project(std::move(what));
    const auto ids = project.run_ids();
    RunList list(options, ids);
    for (const auto& id : ids) {
        if (list.is_full()) break;
        std::string problem;
        auto run = project.read_run(id, problem);
        if (!run) {  // not readable, or just removed
            print_message("{}: {}\n", text::printable(id), text::printable(problem));
            continue;
        }
        list.add(*std::move(run));
    }
    if (list.is_empty() && !options.json) print_message("No workflow runs found.\n");
    return exit_completed;
}

void define_workflow_list(CLI::App& app, WorkflowListOptions& o)
{
    add_common(app, o);
    add_limit(app, o.limit);
}

}  // namespace

extern const Subcommand workflow_list_subcommand =
    subcommand("workflow list", "List runs, newest first", define_workflow_list, list_runs);

}  // namespace autoexec::cli
