// How many commands a second go through the executor, and what does one cost?
//
// The limit is a plain loop that does nothing but the least file operations of a hand-off: command
// and status, each written, read and removed.

#include "autoexec/executor.hpp"

#include "files/safe_files.hpp"
#include "light_agent.hpp"
#include "measure.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdlib>

using namespace autoexec;
using namespace autoexec::bench;

namespace {

using Trees = std::vector<std::filesystem::path>;

const std::string command_text(900, 'c');  // as long as ours are
const std::string status_text(400, 's');

void check(bool holds, const char* what)
{
    if (holds) return;
    say("failed: {}", what);
    std::exit(1);
}

void write_file(int folder, const char* name, const std::string& text, int lock = LOCK_UN)
{
    constexpr char temporary[] = ".cursor-skill-tmp.limit";
    const files::UniqueFd fd(
        ::openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    check((lock == LOCK_UN || ::flock(fd.get(), lock) == 0) &&
              ::write(fd.get(), text.data(), text.size()) > 0 &&
              ::renameat(folder, temporary, folder, name) == 0,
          "writing a file");
}

void read_file(int folder, const char* name)
{
    char text[4096];
    const files::UniqueFd fd(::openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    check(::read(fd.get(), text, sizeof text) > 0, "reading a file");
}

void plain_loop(const Trees& trees)
{
    for (const auto& tree : trees) {
        const files::UniqueFd folder(::open(tree.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        write_file(folder.get(), control_files::command, command_text);
        read_file(folder.get(), control_files::command);
        write_file(folder.get(), control_files::status, status_text);
        read_file(folder.get(), control_files::status);
        check(::unlinkat(folder.get(), control_files::command, 0) == 0 &&
                  ::unlinkat(folder.get(), control_files::status, 0) == 0,
              "removing a file");
    }
}

// What the promises cost at least: besides, the files for people, the running file and a claim,
// both locked, and the worktree's lock.
void whole_protocol(const Trees& trees)
{
    for (const auto& tree : trees) {
        const files::UniqueFd folder(::open(tree.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        check(::flock(folder.get(), LOCK_EX | LOCK_NB) == 0, "locking a folder");
        write_file(folder.get(), "running", status_text, LOCK_EX);
        for (const auto* name : {control_files::metadata, control_files::simple})
            write_file(folder.get(), name, status_text);
        write_file(folder.get(), control_files::command, command_text);
        read_file(folder.get(), control_files::command);
        write_file(folder.get(), "claim", status_text, LOCK_EX);
        read_file(folder.get(), control_files::command);
        write_file(folder.get(), control_files::status, status_text);
        read_file(folder.get(), control_files::status);
        for (const auto* name :
             {control_files::command, control_files::status, control_files::simple,
              control_files::metadata, "claim", "running"})
            check(::unlinkat(folder.get(), name, 0) == 0, "removing a file");
    }
}

asio::awaitable<void> run_one(BackgroundAgentAutoExecutor& executor, std::filesystem::path tree,
                              int number, std::size_t& completed)
{
    CommandRequest request(fmt::format("/review --file src/part{}.cpp", number), std::move(tree));
    request.workflow_id = "bench";
    const auto result = co_await executor.execute_command(std::move(request));
    check(result.status == ExecutionStatus::completed,
          result.error ? result.error->message.c_str() : "");
    ++completed;
}

struct Share {
    Cost cost;
    double agent_cpu = 0;
};

// All at once, the agent on the same thread.
Share engine(const Trees& trees, const std::filesystem::path& project, bool records)
{
    asio::io_context ctx(1);
    const auto notifier = local_notifier();
    const auto agent = std::make_shared<LightAgent>(ctx.get_executor(), notifier);
    agent->look_after(trees);

    ExecutorOptions options;
    options.project_root = project;
    options.notifier = notifier;
    options.polling_interval = std::chrono::seconds{30};
    options.enable_audit = options.enable_metrics = records;
    BackgroundAgentAutoExecutor executor(ctx.get_executor(), options);

    std::size_t completed = 0;
    int number = 0;
    const auto failed = [](std::exception_ptr e) {
        if (e) std::rethrow_exception(e);
    };
    const auto cost = cost_of([&] {
        for (const auto& tree : trees)
            asio::co_spawn(ctx, run_one(executor, tree, ++number, completed), failed);
        ctx.run();
    });
    check(completed == trees.size(), "a command did not complete");
    return {cost, agent->cpu().count()};
}

void measure(std::size_t count)
{
    const Scratch scratch;
    const auto trees = scratch.make_trees(count);
    const auto git_trees = scratch.make_trees(count, true);
    std::vector<double> agent_shares;
    const auto plain = [&] { return cost_of([&] { plain_loop(trees); }); };
    const auto protocol = [&] { return cost_of([&] { whole_protocol(trees); }); };
    const auto with_records = [&] {
        const auto share = engine(trees, scratch.path(), true);
        agent_shares.push_back(share.agent_cpu / share.cost.cpu);
        return share.cost;
    };
    const auto without = [&] { return engine(trees, scratch.path(), false).cost; };
    const auto in_git = [&] { return engine(git_trees, scratch.path(), true).cost; };
    std::vector<Contender> all = {
        {"a plain loop, the limit", plain, {}},     {"a loop with all the files", protocol, {}},
        {"engine and agent", with_records, {}},     {"the same, no metrics and audit", without, {}},
        {"the same, in git worktrees", in_git, {}},
    };
    run_in_turn(all);

    say("{} commands at once", count);
    say("  {:<32}{:>12}{:>14}{:>14}", "", "commands/s", "CPU each, µs", "of the limit");
    for (const auto& c : all)
        say("  {:<32}{:>12.0f}{:>14.1f}{:>13.1f}×", c.name, static_cast<double>(count) / c.wall(),
            c.cpu() / static_cast<double>(count) * 1e6, c.cpu_ratio(all.front()));
    say("  The agent's share of the CPU: {:.0f} %", 100 * median(agent_shares));
}

}  // namespace

int main()
{
    // The worktree, its claims, the claim, the running file.
    constexpr std::size_t descriptors_each = 4;
    const auto limit = raise_descriptor_limit();
    for (const std::size_t count : {1000U, 5000U})
        measure(std::min(count, (limit - 100) / descriptors_each));
}
