#include "support/worktree_fixture.hpp"

#include <boost/asio/co_spawn.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <fstream>

extern char** environ;

namespace autoexec::test {

Environment::~Environment()
{
    for (const auto& [name, value] : old_)
        value ? ::setenv(name.c_str(), value->c_str(), 1) : ::unsetenv(name.c_str());
}

void Environment::set(const std::string& name, const std::string& value)
{
    keep(name);
    ::setenv(name.c_str(), value.c_str(), 1);
}

void Environment::unset(const std::string& name)
{
    keep(name);
    ::unsetenv(name.c_str());
}

std::vector<std::string> Environment::all()
{
    std::vector<std::string> variables;
    for (char** v = environ; *v != nullptr; ++v) variables.emplace_back(*v);
    return variables;
}

void Environment::keep(const std::string& name)
{
    const char* const value = std::getenv(name.c_str());
    old_.try_emplace(name, value ? std::optional<std::string>(value) : std::nullopt);
}

WorktreeFixture::WorktreeFixture()
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

WorktreeFixture::~WorktreeFixture() = default;

fs::path WorktreeFixture::entry(const std::string& name) const
{
    return root() / ".git" / "worktrees" / name;
}

void WorktreeFixture::write(const fs::path& path, std::string_view text) const
{
    write_file(root() / path, text);
}

void WorktreeFixture::configure(std::string_view text) const
{
    std::ofstream(folder / "home" / ".gitconfig", std::ios::app) << text << "\n";
}

std::string WorktreeFixture::commit(const std::string& message) const
{
    git({"add", "-A"});
    git({"commit", "-q", "--allow-empty", "-m", message});
    return head();
}

std::string WorktreeFixture::id(const std::string& revision) const
{
    return git({"rev-parse", "--verify", "-q", revision});
}

std::string WorktreeFixture::id_in(const fs::path& tree, const std::string& revision) const
{
    return git_in(tree, {"rev-parse", "--verify", "-q", revision});
}

std::string WorktreeFixture::status(const fs::path& tree) const
{
    return git_in(tree, {"status", "--porcelain"});
}

std::string WorktreeFixture::content(const std::string& revision, const std::string& path) const
{
    return try_git(root(), {"show", revision + ":" + path}).out;
}

std::string WorktreeFixture::files(const std::string& revision) const
{
    return git({"ls-tree", "-r", "--name-only", "--full-tree", revision});
}

std::string WorktreeFixture::git_in(const fs::path& place, const Words& words) const
{
    const auto ended = try_git(place, words);
    REQUIRE_MESSAGE(ended.code == 0, words.front(), ": ", ended.err);
    auto text = ended.out;
    while (text.ends_with('\n')) text.pop_back();
    return text;
}

Ended WorktreeFixture::try_git(const fs::path& place, const Words& words) const
{
    Start start;
    start.argv = {"git", "-c", "advice.detachedHead=false", "-c", "protocol.file.allow=always"};
    start.argv.insert(start.argv.end(), words.begin(), words.end());
    start.folder = place;
    start.environment = Environment::all();
    Program program(start);
    return program.wait();
}

void WorktreeFixture::spawn(asio::awaitable<void> work)
{
    ++running_;
    asio::co_spawn(io, std::move(work), [this](std::exception_ptr failure) {
        --running_;
        if (failure) std::rethrow_exception(failure);
    });
}

void WorktreeFixture::finish()
{
    io.restart();
    io.run();
    REQUIRE(running_ == 0);
}

git::Repository::Opened WorktreeFixture::open()
{
    return run(git::Repository::open(options));
}

git::Repository& WorktreeFixture::repository()
{
    if (!repository_) {
        auto opened = open();
        REQUIRE_MESSAGE(opened.repository, opened.problem);
        repository_ = std::move(opened.repository);
    }
    return *repository_;
}

void WorktreeFixture::interrupt_at(std::string word)
{
    options.interrupt = std::make_shared<git::Interrupt>();
    const auto hook = [this, word = std::move(word)](ProcessSpec& spec) {
        if (std::ranges::find(spec.argv, word) == spec.argv.end()) return;
        spec.argv = {"sleep", "1000"};
        options.interrupt->end_by(options.clock->now());
    };
    replace_spawner(hook);
}

void WorktreeFixture::fail_at(std::string word)
{
    replace_spawner([word = std::move(word)](ProcessSpec& spec) {
        if (std::ranges::find(spec.argv, word) != spec.argv.end()) spec.argv = {"false"};
    });
}

void WorktreeFixture::replace_spawner(HookedSpawner::Hook hook)
{
    options.spawner = std::make_shared<HookedSpawner>(options.spawner, std::move(hook));
    forget_repository();
}

void WorktreeFixture::forget_interrupt()
{
    options.interrupt.reset();
    options.spawner = supervised_spawner(AUTOEXEC_BINARY_DIR "/autoexec-supervise");
    forget_repository();
}

fs::path WorktreeFixture::add(const std::string& name, const std::string& base)
{
    const auto made = run(git::add_tree(repository(), name, base));
    REQUIRE_MESSAGE(made.problem.empty(), made.problem);
    return made.path;
}

git::CommittedWork WorktreeFixture::commit_work(const fs::path& tree, const std::string& message)
{
    return run(git::commit_work(repository(), tree, branch_of(tree), message));
}

git::CommittedWork WorktreeFixture::commit_by(const fs::path& tree, const git::CommitRules& rules)
{
    return run(git::commit_work(repository(), tree, branch_of(tree), "work", rules));
}

std::string WorktreeFixture::commit_quietly(const fs::path& tree)
{
    const auto done = commit_work(tree);
    CHECK_MESSAGE(done.problem.empty(), done.problem);
    for (const auto& warning : done.warnings) FAIL_CHECK(warning);
    return done.commit;
}

git::Salvage WorktreeFixture::salvage(const fs::path& tree, bool include_ignored)
{
    return run(git::salvage(repository(), tree, how(include_ignored)));
}

git::Salvage WorktreeFixture::remove(const fs::path& tree, bool include_ignored)
{
    return run(git::remove_tree(repository(), tree, how(include_ignored)));
}

std::string WorktreeFixture::branch_of(const fs::path& tree)
{
    return "workflow/" + tree.filename().string();
}

git::SalvageOptions WorktreeFixture::how(bool include_ignored)
{
    git::SalvageOptions options;
    options.include_ignored = include_ignored;
    options.reason = "for a test";
    return options;
}

}  // namespace autoexec::test
