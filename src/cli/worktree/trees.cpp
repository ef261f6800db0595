#include "cli/worktree/trees.hpp"

#include "cli/session/output.hpp"
#include "cli/session/project.hpp"
#include "cli/workflow/runs.hpp"
#include "text/text.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include <algorithm>
#include <csignal>
#include <exception>
#include <utility>
#include <variant>

namespace autoexec::cli {
namespace {

TreeRun tree_run(const workflow::RunRecord& run)
{
    TreeRun known;
    known.run_id = run.run_id;
    known.state = state_of(run);
    known.parent = run.parent_run;
    known.branch = run.branch;
    known.transitions = run.transitions.size();
    // A transition records each worktree when it is created.
    for (const auto& entry : run.transitions) {
        known.last = entry.time.value_or(known.last);
        if (const auto* const it = std::get_if<protocol::StepStarted>(&entry.transition);
            it && it->tree)
            known.trees.insert(it->tree->name);
        if (const auto* const it = std::get_if<protocol::StepPrepared>(&entry.transition)) {
            known.trees.insert(it->tree.name);
            known.branches.insert(it->branch);
        }
    }
    return known;
}

// The prefix of the names of a run's worktrees, unless they were shortened.
std::string prefix_of(const TreeRun& run)
{
    return "workflow-" + run.run_id + "-";
}

/// Cancels the calls of git at the first signal, kills them at the second.
class SignalWatch {
public:
    SignalWatch(asio::io_context& ctx, std::shared_ptr<git::Interrupt> interrupt,
                std::shared_ptr<Clock> clock)
        : signals_(ctx, SIGINT, SIGTERM), interrupt_(std::move(interrupt)), clock_(std::move(clock))
    {
        wait();
    }

    void stop() { signals_.cancel(); }
    [[nodiscard]] bool interrupted() const noexcept { return count_ > 0; }

private:
    void wait()
    {
        signals_.async_wait([this](error_code ec, int) {
            if (!ec) interrupt();
        });
    }

    void interrupt()
    {
        if (++count_ == 1) {
            print_message("Cancelling: git has {} s to end. Press Ctrl-C again to kill it.\n",
                          git::cancel_grace.count());
            interrupt_->cancel(*clock_, asio::cancellation_type::partial);
            return wait();
        }
        interrupt_->cancel(*clock_, asio::cancellation_type::terminal);
        signals_.clear();  // the default action handles a third one
    }

    asio::signal_set signals_;
    std::shared_ptr<git::Interrupt> interrupt_;
    std::shared_ptr<Clock> clock_;
    int count_ = 0;
};

asio::awaitable<int> open_and_work(
    git::RepositoryOptions options, const char* subcommand,
    std::function<asio::awaitable<int>(std::shared_ptr<git::Repository>)> work)
{
    auto opening = git::Repository::open(std::move(options));
    const auto opened = co_await std::move(opening);
    if (!opened.problem.empty()) {
        print_message("autoexec {}: {}\n", subcommand, text::printable(opened.problem, true));
        co_return exit_invalid;
    }
    auto working = work(opened.repository);
    co_return co_await std::move(working);
}

}  // namespace

std::vector<TreeRun> runs_with_trees(const std::filesystem::path& root)
{
    std::vector<TreeRun> runs;
    for (const auto& id : workflow::list_runs(root)) {
        std::string ignored;
        const auto run = workflow::read_run(root, id, ignored);
        if (!run) continue;
        auto known = tree_run(*run);
        if (!known.trees.empty()) runs.push_back(std::move(known));
    }
    return runs;
}

const TreeRun* owner_of(const git::TreeInfo& tree, const std::vector<TreeRun>& runs)
{
    const auto find = [&runs](auto is_owner) -> const TreeRun* {
        const auto found = std::find_if(runs.begin(), runs.end(), is_owner);
        return found == runs.end() ? nullptr : &*found;
    };
    if (const auto* const run =
            find([&](const TreeRun& one) { return one.trees.contains(tree.name); }))
        return run;
    // Worktrees of conflicts are in no journal, and older ones do not name their run.
    return find([&](const TreeRun& one) {
        return tree.run_id.empty() ? tree.name.starts_with(prefix_of(one))
                                   : tree.run_id == one.run_id;
    });
}

bool has_branch(const TreeRun& run, const std::string& branch)
{
    return run.branches.contains(branch) ||
           branch.starts_with(std::string(git::own_branches) + prefix_of(run));
}

git::RepositoryOptions repository_options(const std::filesystem::path& root)
{
    git::RepositoryOptions options;
    options.project_root = root;
    options.spawner = supervised_spawner();
    options.clock = system_clock();
    return options;
}

int with_repository(git::RepositoryOptions options, const char* subcommand,
                    std::function<asio::awaitable<int>(std::shared_ptr<git::Repository>)> work)
{
    asio::io_context ctx{1};
    options.interrupt = std::make_shared<git::Interrupt>();
    SignalWatch signals(ctx, options.interrupt, options.clock);
    int code = exit_internal;
    asio::co_spawn(ctx, open_and_work(std::move(options), subcommand, std::move(work)),
                   [&](std::exception_ptr failure, int result) {
                       signals.stop();
                       if (failure) std::rethrow_exception(failure);
                       code = result;
                   });
    try {
        ctx.run();
    } catch (Failure& failure) {
        if (signals.interrupted()) failure.code = exit_cancelled;
        throw;
    }
    return signals.interrupted() ? exit_cancelled : code;
}

}  // namespace autoexec::cli
