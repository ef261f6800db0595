// What do many commands at once cost, with an agent in the process?
//
// The limits are loops that do the file operations of a command and nothing else: `plain` writes,
// reads and removes a command and a status; `files` does so with all the files of the protocol and
// their locks; `least` does all that the protocol asks of both sides.
//
// usage: executions plain|files|least|autoexec|unrecorded|counted COUNT [IN_GIT]
//
// `counted` is `autoexec` without the system calls that measure its agent.

#include "autoexec/executor.hpp"

#include "files/safe_files.hpp"
#include "least_loop.hpp"
#include "light_agent.hpp"
#include "measure.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

using namespace autoexec;
using namespace autoexec::bench;

namespace {

using Trees = std::vector<std::filesystem::path>;

constexpr std::size_t descriptors_each = 4;  // the worktree, its claims, the claim, the record

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

void loop_with_all_files(const Trees& trees)
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
                              std::size_t number)
{
    CommandRequest request(fmt::format("/review --file src/part{}.cpp", number), std::move(tree));
    request.workflow_id = "bench";
    const auto result = co_await executor.execute_command(std::move(request));
    check(result.status == ExecutionStatus::completed, result.error ? result.error->message : "");
}

// All at once, the agent on the same thread.
Figures by_executor(const Trees& trees, const std::filesystem::path& project,
                    const std::string& way)
{
    asio::io_context ctx(1);
    const auto notifier = make_notifier(ctx, project);
    const auto agent = std::make_shared<LightAgent>(ctx.get_executor(), notifier, project);
    agent->is_measured = way != "counted";
    agent->look_after(trees);

    ExecutorOptions options;
    options.project_root = project;
    options.notifier = notifier;
    options.polling_interval = std::chrono::seconds{30};
    options.enable_audit = options.enable_metrics = way != "unrecorded";
    BackgroundAgentAutoExecutor executor(ctx.get_executor(), options);

    std::size_t completed = 0;
    const auto ended = [&](std::exception_ptr failure) {
        if (failure) std::rethrow_exception(failure);
        if (++completed == trees.size()) agent->stop();
    };
    const auto cost = cost_of([&] {
        for (std::size_t i = 0; i < trees.size(); ++i)
            asio::co_spawn(ctx, run_one(executor, trees[i], i), ended);
        ctx.run();
    });
    check(completed == trees.size(), "a command did not complete");
    return {{"cpu", cost.cpu}, {"wall", cost.wall}, {"agent_cpu", agent->cpu().count()}};
}

Figures measure(const std::string& way, const Trees& trees, const std::filesystem::path& project)
{
    if (way == "autoexec" || way == "unrecorded" || way == "counted")
        return by_executor(trees, project, way);
    const auto cost = cost_of([&] {
        if (way == "plain") return plain_loop(trees);
        if (way == "files") return loop_with_all_files(trees);
        check(way == "least", way);
        LeastLoop loop(project);
        for (const auto& tree : trees) loop.run(tree);
    });
    return {{"cpu", cost.cpu}, {"wall", cost.wall}};
}

}  // namespace

int main(int argc, char** argv)
{
    const Arguments arguments(argc, argv);
    const auto count = within_descriptors(arguments.number(0, 1000), descriptors_each);
    const Scratch scratch;
    const auto trees = scratch.make_trees(count, arguments.number(1, 0) != 0);
    auto figures = measure(arguments.way(), trees, scratch.path());
    figures.insert(figures.end(),
                   {{"count", static_cast<double>(count)}, {"peak_bytes", peak_bytes()}});
    print_figures(figures);
}
