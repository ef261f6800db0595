#pragma once

#include "async/short_names.hpp"
#include "git/merges.hpp"
#include "support/hooked_spawner.hpp"
#include "support/program.hpp"
#include "support/temporary_folder.hpp"
#include "support/text.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace autoexec::test {

/// Variables of this process, as git is to see them; put back at the end. Not for tests with
/// threads.
class Environment {
public:
    ~Environment();
    Environment() = default;
    Environment(const Environment&) = delete;
    Environment& operator=(const Environment&) = delete;

    void set(const std::string& name, const std::string& value);
    void unset(const std::string& name);

    static std::vector<std::string> all();

private:
    void keep(const std::string& name);

    std::map<std::string, std::optional<std::string>> old_;
};

/// A repository in a folder whose name has spaces and more, with nothing of this machine's
/// configuration, and what is tested on it.
class WorktreeFixture {
public:
    WorktreeFixture();
    ~WorktreeFixture();
    WorktreeFixture(const WorktreeFixture&) = delete;
    WorktreeFixture& operator=(const WorktreeFixture&) = delete;

    [[nodiscard]] fs::path root() const { return folder / "a projéct"; }
    [[nodiscard]] fs::path trees() const { return root() / ".tapps-agents" / "worktrees"; }
    /// What git keeps of a worktree.
    [[nodiscard]] fs::path entry(const std::string& name) const;

    void write(const fs::path& path, std::string_view text) const;
    void configure(std::string_view text) const;
    std::string commit(const std::string& message) const;
    [[nodiscard]] std::string head() const { return id("HEAD"); }
    [[nodiscard]] std::string id(const std::string& revision) const;
    [[nodiscard]] std::string id_in(const fs::path& tree, const std::string& revision) const;
    [[nodiscard]] std::string status(const fs::path& tree) const;
    [[nodiscard]] std::string content(const std::string& revision, const std::string& path) const;
    /// The paths of all files, one a line.
    [[nodiscard]] std::string files(const std::string& revision) const;

    /// What git says, without the newline at its end.
    std::string git(const Words& words) const { return git_in(root(), words); }
    std::string git_in(const fs::path& place, const Words& words) const;
    Ended try_git(const fs::path& place, const Words& words) const;

    /// Runs one operation to its end.
    template <class Result>
    Result run(asio::awaitable<Result> work)
    {
        std::optional<Result> result;
        start(std::move(work), [&](Result r) { result.emplace(std::move(r)); });
        finish();
        return std::move(*result);
    }
    /// Begins one; `finish` ends all of them.
    template <class Result, class Then>
    void start(asio::awaitable<Result> work, Then then)
    {
        spawn(pass(std::move(work), std::move(then)));
    }
    void finish();

    git::Repository::Opened open();
    git::Repository& repository();
    /// After a change of the options or the environment.
    void forget_repository() { repository_.reset(); }

    /// The call of git with this word never ends by itself, and all is cancelled while it runs.
    void interrupt_at(std::string word);
    /// The call of git with this word fails.
    void fail_at(std::string word);
    void replace_spawner(HookedSpawner::Hook hook);
    void forget_interrupt();

    /// A new worktree; it must succeed.
    fs::path add(const std::string& name, const std::string& base = "HEAD");
    git::CommittedWork commit_work(const fs::path& tree, const std::string& message = "work");
    git::CommittedWork commit_by(const fs::path& tree, const git::CommitRules& rules);
    /// The same; it must succeed, and without a warning.
    std::string commit_quietly(const fs::path& tree);
    git::Salvage salvage(const fs::path& tree, bool include_ignored = false);
    git::Salvage remove(const fs::path& tree, bool include_ignored = false);
    static std::string branch_of(const fs::path& tree);

    TemporaryFolder folder;
    Environment environment;
    asio::io_context io;
    git::RepositoryOptions options;

private:
    template <class Result, class Then>
    static asio::awaitable<void> pass(asio::awaitable<Result> work, Then then)
    {
        auto result = co_await std::move(work);
        then(std::move(result));
    }
    void spawn(asio::awaitable<void> work);
    static git::SalvageOptions how(bool include_ignored);

    std::shared_ptr<git::Repository> repository_;
    int running_ = 0;
};

}  // namespace autoexec::test
