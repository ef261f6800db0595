#include "cli/session/notify.hpp"

#include "agent/programs.hpp"
#include "files/safe_files.hpp"
#include "process/run_program.hpp"
#include "records/log_file.hpp"
#include "text/json.hpp"
#include "text/text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdlib>
#include <utility>

namespace autoexec::cli {
namespace {

constexpr char default_path[] = "/bin:/usr/bin";  // the shell's default
// Programs below the supervisor read /dev/null; this one gets a file instead.
constexpr char script[] = "exec <\"$1\"; rm -f -- \"$1\"; shift; exec timeout 60 \"$@\"";

}  // namespace

std::vector<std::string> notify_words(const std::string& program, std::string& problem)
{
    auto words = text::split_words(program, problem);
    if (words && (words->empty() || words->front().empty())) problem = "no program is given";
    if (!words || !problem.empty()) {
        problem = "--notify: " + problem;
        return {};
    }
    auto& name = words->front();
    const bool is_path = name.find('/') != std::string::npos;
    const char* const path = std::getenv("PATH");
    const auto search = agent::find_program(name, path == nullptr ? default_path : path,
                                            std::filesystem::current_path());
    if (search.found.empty()) {
        problem = fmt::format(
            "--notify: no executable program '{}'{}", name,
            is_path ? fmt::format(" in {}", fmt::join(search.searched, "")) : " in PATH");
        return {};
    }
    if (is_path) name = search.found.string();
    return std::move(*words);
}

asio::awaitable<std::string> notify(std::shared_ptr<Spawner> spawner,
                                    std::vector<std::string> words, std::string name,
                                    boost::json::object message, std::filesystem::path folder)
{
    error_code ec;
    const auto project_root = folder.parent_path().parent_path();
    const auto where = records::Folder::of({}, project_root, folder.filename()).create(ec);
    if (where)
        ec = files::replace_file(where.get(), name, text::dump_line(message) + "\n", 0600,
                                 Durability::none);
    if (ec) co_return "--notify: cannot write the message: " + ec.message();

    std::vector<std::string> argv = {"/bin/sh", "-c", script, "notify", (folder / name).string()};
    argv.insert(argv.end(), words.begin(), words.end());
    const auto output =
        co_await process::run_program(std::move(spawner), std::move(argv), std::move(folder));
    (void)files::remove_file(where.get(), name);
    if (output.ok()) co_return std::string();
    const auto reason = output.exit.error.empty() ? fmt::format("it exited with code {}",
                                                                output.exit.exit_code.value_or(-1))
                                                  : output.exit.error;
    co_return fmt::format("--notify: {}: {}", words.front(), reason);
}

}  // namespace autoexec::cli
