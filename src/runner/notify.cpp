#include "runner/notify.hpp"

#include "platform/safe_files.hpp"
#include "process/run_program.hpp"
#include "protocol/text.hpp"
#include "records/log_file.hpp"

#include <fmt/format.h>

namespace autoexec::runner {
namespace {

// Programs below the supervisor read /dev/null; this one gets a file instead.
constexpr char script[] = "exec <\"$1\"; rm -f -- \"$1\"; shift; exec timeout 60 \"$@\"";

}  // namespace

asio::awaitable<std::string> notify(std::shared_ptr<Spawner> spawner, std::string program,
                                    ExecutionResult result, std::filesystem::path folder)
{
    std::string problem;
    auto words = protocol::split_words(program, problem);
    if (!words || words->empty())
        co_return "--notify: " + (problem.empty() ? "there is no program" : problem);

    error_code ec;
    const auto project_root = folder.parent_path().parent_path();
    const auto where = records::Folder::of({}, project_root, folder.filename()).create(ec);
    const auto name = result.execution_id + ".result.json";
    if (where)
        ec = platform::replace_file(where.get(), name, protocol::dump_line(to_json(result)) + "\n",
                                    0600, Durability::none);
    if (ec) co_return "--notify: the result can't be written: " + ec.message();

    std::vector<std::string> argv = {"/bin/sh", "-c", script, "notify", (folder / name).string()};
    argv.insert(argv.end(), words->begin(), words->end());
    const auto output =
        co_await process::run_program(std::move(spawner), std::move(argv), std::move(folder));
    (void)platform::remove_file(where.get(), name);
    if (output.ok()) co_return std::string();
    const auto reason = output.exit.error.empty() ? fmt::format("it exited with code {}",
                                                                output.exit.exit_code.value_or(-1))
                                                  : output.exit.error;
    co_return fmt::format("--notify: {}: {}", words->front(), reason);
}

}  // namespace autoexec::runner
