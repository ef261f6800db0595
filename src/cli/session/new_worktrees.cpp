#include "cli/session/new_worktrees.hpp"

#include "cli/session/output.hpp"
#include "cli/worktree/trees.hpp"
#include "files/file_lock.hpp"
#include "git/changes.hpp"
#include "text/columns.hpp"
#include "text/text.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

namespace autoexec::cli {
namespace {

constexpr std::size_t max_subject = 72;
constexpr std::chrono::milliseconds lock_pause{50};

std::string message_of_command(const ExecutionResult& result, const Redactor& redactor)
{
    auto subject = text::one_line(redactor.redact(result.command));
    if (subject.size() > max_subject) subject = std::string(text::head(subject, max_subject)) + "…";
    return fmt::format("{}\n\n{}{}\nAttempt: {}\n", subject, git::execution_line,
                       result.execution_id, result.attempts);
}

}  // namespace

NewWorktrees::NewWorktrees(const CommandSession& session, const WorktreesConfig& config,
                           std::shared_ptr<git::Interrupt> interrupt)
    : options_(repository_options(session.root())),
      redactor_(session.options().redactor ? session.options().redactor
                                           : std::make_shared<const Redactor>())
{
    options_.spawner = session.spawner();
    options_.min_free_bytes = config.min_free_bytes;
    options_.max_file_bytes = config.max_file_bytes;
    options_.interrupt = std::move(interrupt);
}

asio::awaitable<void> NewWorktrees::open()
{
    if (opened_.repository) co_return;
    auto opening = git::Repository::open(options_);
    auto opened = co_await std::move(opening);
    // Another operation uses the one that it has opened meanwhile.
    if (!opened_.repository) opened_ = std::move(opened);
}

asio::awaitable<std::string> NewWorktrees::commit_of(std::string ref)
{
    co_await open();
    const auto known = commits_.find(ref);
    if (known != commits_.end()) co_return known->second;
    if (!opened_.repository) co_return ref;
    auto resolving = opened_.repository->resolve(ref);
    const auto commit = co_await std::move(resolving);
    co_return commits_.emplace(ref, commit.problem.empty() ? commit.id : ref).first->second;
}

asio::awaitable<files::UniqueFd> NewWorktrees::lock_name(std::string name, std::string& problem)
{
    const auto ex = co_await asio::this_coro::executor;
    asio::steady_timer timer(ex);
    const auto path = opened_.repository->common / "autoexec" / "new-worktrees.lock";
    error_code ec;
    const auto folder = files::make_folders(path.parent_path(), ec);
    files::UniqueFd file;
    if (!ec) {
        file = files::UniqueFd(::openat(folder.get(), path.filename().c_str(),
                                        O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!file) ec = files::last_error();
    }
    const auto byte = files::byte_of(name);
    while (!ec) {
        ec = files::set_byte_lock(file.get(), byte, files::ByteLock::exclusive);
        if (!ec) co_return file;
        if (ec != boost::system::errc::resource_unavailable_try_again) break;
        ec = {};
        if (options_.interrupt->is_requested()) {
            problem = "The operation was cancelled.";
            co_return files::UniqueFd();
        }
        error_code ignored;
        timer.expires_after(lock_pause);
        co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
    problem = fmt::format("{} cannot be locked: {}.", path.string(), ec.message());
    co_return files::UniqueFd();
}

asio::awaitable<git::NewTree> NewWorktrees::create(std::string name, std::string commit, bool reuse)
{
    co_await open();
    git::NewTree made;
    made.problem = opened_.problem;
    if (!opened_.repository) co_return made;
    auto locking = lock_name(name, made.problem);
    const auto lock = co_await std::move(locking);
    if (!lock) co_return made;
    auto making = git::add_tree(*opened_.repository, std::move(name), std::move(commit), reuse);
    made = co_await std::move(making);
    for (const auto& warning : made.warnings) print_warning(warning);
    if (!reuse && made.problem.ends_with("already exists."))
        made.problem += " Choose another name, or use --reuse to run the command there.";
    co_return made;
}

asio::awaitable<std::string> NewWorktrees::commit(std::string name, ExecutionResult& result)
{
    if (result.status != ExecutionStatus::completed) co_return std::string();
    co_await open();
    if (!opened_.repository) co_return std::string();
    const auto branch = std::string(git::own_branches) + name;
    auto message = message_of_command(result, *redactor_);
    auto committing =
        git::commit_work(*opened_.repository, result.worktree, branch, std::move(message));
    auto work = co_await std::move(committing);
    std::ranges::move(work.warnings, std::back_inserter(result.warnings));
    if (!work.problem.empty())
        result.warnings.push_back("Its work is not committed: " + work.problem);
    co_return work.changed ? branch : std::string();
}

}  // namespace autoexec::cli
