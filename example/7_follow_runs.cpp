// Follows what happens in a project, whichever process runs it: here, two commands of this one.
#include "scratch.hpp"

#include <autoexec/watched_project.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <iostream>

namespace asio = boost::asio;

// Until both have ended.
asio::awaitable<void> follow(autoexec::WatchedProject& project)
{
    autoexec::ViewPosition seen;
    for (std::size_t ended = 0; ended < 2;) {
        const auto changes = co_await project.async_wait_change(seen, asio::use_awaitable);
        seen = changes.position;
        for (const auto& execution : changes.changed.executions)
            std::cout << execution.command << ": " << to_string(execution.state) << '\n';
        for (const auto& run : changes.changed.runs)
            std::cout << run.run_id << ": " << to_string(run.status) << '\n';
        ended += changes.ended_executions.size();
    }
}

int main()
{
    const Scratch scratch;
    asio::io_context ctx;
    autoexec::WatchedProjectOptions options;
    options.project_root = scratch.root();
    autoexec::WatchedProject project(ctx, options);
    autoexec::Session session(ctx, scratch.options());

    asio::co_spawn(ctx, follow(project), asio::detached);
    for (const std::string name : {"one", "two"})
        session.async_run({"sleep 3; echo " + name, scratch.worktree(name)},
                          [](autoexec::error_code, const autoexec::ExecutionResult& result) {
                              std::cout << result.output;
                          });
    ctx.run();
}
