#pragma once

#include "git/repository.hpp"
#include "support/hooked_spawner.hpp"
#include "support/program.hpp"
#include "support/temporary_folder.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <sstream>

extern char** environ;

namespace autoexec::test {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

/// Variables of this process, as git is to see them; put back at the end. Not for tests with
/// threads.
class Environment {
public:
    ~Environment()
    {
        for (const auto& [name, value] : old_)
            value ? ::setenv(name.c_str(), value->c_str(), 1) : ::unsetenv(name.c_str());
    }
    Environment() = default;
    Environment(const Environment&) = delete;
    Environment& operator=(const Environment&) = delete;

    void set(const std::string& name, const std::string& value)
    {
        keep(name);
        ::setenv(name.c_str(), value.c_str(), 1);
    }
    void unset(const std::string& name)
    {
        keep(name);
        ::unsetenv(name.c_str());
    }

    static std::vector<std::string> all()
    {
        std::vector<std::string> variables;
        for (char** v = environ; *v != nullptr; ++v) variables.emplace_back(*v);
        return variables;
    }

private:
    void keep(const std::string& name)
    {
        const char* const value = std::getenv(name.c_str());
        old_.try_emplace(name, value ? std::optional<std::string>(value) : std::nullopt);
    }

    std::map<std::string, std::optional<std::string>> old_;
};

/// A repository in a folder whose name has spaces and more, with nothing of this machine's
/// configuration, and what is tested on it.
class WorktreeFixture {
public:
    WorktreeFixture()
    {
        environment.set("HOME", (folder / "home").string());
        environment.set("GIT_CONFIG_NOSYSTEM", "1");
        for (const auto* const name : {"XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_COUNT",
                                       "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "EMAIL"})
            environment.unset(name);
        for (const auto* const role : {"AUTHOR", "COMMITTER"}) {
            environment.set(std::string("GIT_") + role + "_NAME", "A Person");
            environment.set(std::string("GIT_") + role + "_EMAIL", "person@example.org");
        }
        fs::create_directories(folder / "home");
        fs::create_directories(root());
        git({"init", "-q", "-b", "main", "."});
        write("file", "one\n");
        write("folder/other", "other\n");
        commit("one");
        options.project_root = root();
        options.spawner = supervised_spawner(AUTOEXEC_BINARY_DIR "/autoexec-supervise");
        options.clock = system_clock();
        options.min_free_bytes = 0;
    }
    WorktreeFixture(const WorktreeFixture&) = delete;
    WorktreeFixture& operator=(const WorktreeFixture&) = delete;

    [[nodiscard]] fs::path root() const { return folder / "a projéct"; }
    [[nodiscard]] fs::path trees() const { return root() / ".tapps-agents" / "worktrees"; }
    /// What git keeps of a worktree.
    [[nodiscard]] fs::path entry(const std::string& name) const
    {
        return root() / ".git" / "worktrees" / name;
    }

    void write(const fs::path& path, std::string_view text) const
    {
        write_file(root() / path, text);
    }
    void configure(std::string_view text) const
    {
        std::ofstream(folder / "home" / ".gitconfig", std::ios::app) << text << "\n";
    }
    std::string commit(const std::string& message) const
    {
        git({"add", "-A"});
        git({"commit", "-q", "--allow-empty", "-m", message});
        return head();
    }
    [[nodiscard]] std::string head() const { return id("HEAD"); }
    [[nodiscard]] std::string id(const std::string& revision) const
    {
        return git({"rev-parse", "--verify", "-q", revision});
    }
    [[nodiscard]] std::string id_in(const fs::path& tree, const std::string& revision) const
    {
        return git_in(tree, {"rev-parse", "--verify", "-q", revision});
    }
    [[nodiscard]] std::string status(const fs::path& tree) const
    {
        return git_in(tree, {"status", "--porcelain"});
    }
    [[nodiscard]] std::string content(const std::string& revision, const std::string& path) const
    {
        return try_git(root(), {"show", revision + ":" + path}).out;
    }
    /// The paths of all files, one a line.
    [[nodiscard]] std::string files(const std::string& revision) const
    {
        return git({"ls-tree", "-r", "--name-only", "--full-tree", revision});
    }

    /// What git says, without the newline at its end.
    std::string git(const Words& words) const { return git_in(root(), words); }
    std::string git_in(const fs::path& place, const Words& words) const
    {
        const auto ended = try_git(place, words);
        REQUIRE_MESSAGE(ended.code == 0, words.front(), ": ", ended.err);
        auto text = ended.out;
        while (text.ends_with('\n')) text.pop_back();
        return text;
    }
    Ended try_git(const fs::path& place, const Words& words) const
    {
        Start start;
        start.argv = {"git", "-c", "advice.detachedHead=false", "-c", "protocol.file.allow=always"};
        start.argv.insert(start.argv.end(), words.begin(), words.end());
        start.folder = place;
        start.environment = Environment::all();
        Program program(start);
        return program.wait();
    }

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
        ++running_;
        asio::co_spawn(io, std::move(work), [this, then](std::exception_ptr failure, Result r) {
            --running_;
            if (failure) std::rethrow_exception(failure);
            then(std::move(r));
        });
    }
    void finish()
    {
        io.restart();
        io.run();
        REQUIRE(running_ == 0);
    }

    git::Repository::Opened open() { return run(git::Repository::open(options)); }
    git::Repository& repository()
    {
        if (!repository_) {
            auto opened = open();
            REQUIRE_MESSAGE(opened.repository, opened.problem);
            repository_ = std::move(opened.repository);
        }
        return *repository_;
    }
    /// After a change of the options or the environment.
    void forget_repository() { repository_.reset(); }

    /// The call of git with this word never ends by itself, and all is cancelled while it runs.
    void interrupt_at(std::string word)
    {
        options.interrupt = std::make_shared<git::Interrupt>();
        const auto hook = [this, word = std::move(word)](ProcessSpec& spec) {
            if (std::ranges::find(spec.argv, word) == spec.argv.end()) return;
            spec.argv = {"sleep", "1000"};
            options.interrupt->end_by(options.clock->now());
        };
        replace_spawner(hook);
    }
    /// The call of git with this word fails.
    void fail_at(std::string word)
    {
        replace_spawner([word = std::move(word)](ProcessSpec& spec) {
            if (std::ranges::find(spec.argv, word) != spec.argv.end()) spec.argv = {"false"};
        });
    }
    void replace_spawner(HookedSpawner::Hook hook)
    {
        options.spawner = std::make_shared<HookedSpawner>(options.spawner, std::move(hook));
        forget_repository();
    }
    void forget_interrupt()
    {
        options.interrupt.reset();
        options.spawner = supervised_spawner(AUTOEXEC_BINARY_DIR "/autoexec-supervise");
        forget_repository();
    }

    /// A new worktree; it must succeed.
    fs::path add(const std::string& name, const std::string& base = "HEAD")
    {
        const auto made = run(repository().add_tree(name, base));
        REQUIRE_MESSAGE(made.problem.empty(), made.problem);
        return made.path;
    }
    git::CommittedWork commit_work(const fs::path& tree, const std::string& message = "work")
    {
        return run(repository().commit_work(tree, branch_of(tree), message));
    }
    git::CommittedWork commit_by(const fs::path& tree, const git::CommitRules& rules)
    {
        return run(repository().commit_work(tree, branch_of(tree), "work", rules));
    }
    /// The same; it must succeed, and without a warning.
    std::string commit_quietly(const fs::path& tree)
    {
        const auto done = commit_work(tree);
        CHECK_MESSAGE(done.problem.empty(), done.problem);
        for (const auto& warning : done.warnings) FAIL_CHECK(warning);
        return done.commit;
    }
    git::Salvage salvage(const fs::path& tree, bool include_ignored = false)
    {
        return run(repository().salvage(tree, how(include_ignored)));
    }
    git::Salvage remove(const fs::path& tree, bool include_ignored = false)
    {
        return run(repository().remove(tree, how(include_ignored)));
    }
    static std::string branch_of(const fs::path& tree)
    {
        return "workflow/" + tree.filename().string();
    }

    TemporaryFolder folder;
    Environment environment;
    asio::io_context io;
    git::RepositoryOptions options;

private:
    static git::SalvageOptions how(bool include_ignored)
    {
        git::SalvageOptions options;
        options.include_ignored = include_ignored;
        options.reason = "for a test";
        return options;
    }

    std::shared_ptr<git::Repository> repository_;
    int running_ = 0;
};

inline bool contains(std::string_view text, std::string_view part)
{
    return text.find(part) != std::string_view::npos;
}

}  // namespace autoexec::test
