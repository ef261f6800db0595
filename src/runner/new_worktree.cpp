#include "runner/new_worktree.hpp"

#include "process/run_program.hpp"
#include "protocol/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace autoexec::runner {
namespace {

namespace fs = std::filesystem;

bool is_plain(const std::string& name)
{
    const auto good = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == '-';
    };
    return !name.empty() && name.size() <= 80 && name.front() != '.' && name.front() != '-' &&
           name.find("..") == std::string::npos && !name.ends_with(".lock") && name.back() != '.' &&
           std::all_of(name.begin(), name.end(), good);
}

}  // namespace

asio::awaitable<NewWorktree> make_worktree(std::shared_ptr<Spawner> spawner, fs::path project_root,
                                           std::string wanted)
{
    NewWorktree made;
    const auto at = wanted.find('@');
    const auto name = wanted.substr(0, at);
    const auto ref = at == std::string::npos ? std::string("HEAD") : wanted.substr(at + 1);
    if (!is_plain(name) || ref.empty() || ref.front() == '-') {
        made.problem = fmt::format(
            "'{}' is no name for a worktree: letters, digits, '.', '_', '-', then perhaps @REF",
            protocol::printable(wanted));
        co_return made;
    }
    made.path = project_root / ".tapps-agents" / "worktrees" / name;
    std::error_code ec;
    fs::create_directories(made.path.parent_path(), ec);
    std::vector<std::string> arguments = {
        "worktree", "add", "--no-track", "-b", "workflow/" + name, made.path.string(), ref};
    auto result = co_await process::run_git(std::move(spawner), std::move(arguments),
                                            std::move(project_root));
    if (result.ok()) co_return made;
    auto reason = result.exit.error.empty() ? result.errors : result.exit.error;
    while (!reason.empty() && reason.back() == '\n') reason.pop_back();
    made.problem = fmt::format("The worktree '{}' can't be made: {}", name,
                               protocol::printable(protocol::valid_utf8(reason)));
    co_return made;
}

}  // namespace autoexec::runner
