#include "git/repository.hpp"

#include "support/sweep.hpp"
#include "support/worktree_fixture.hpp"

#include <doctest/doctest.h>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <random>
#include <set>
#include <sstream>

/// Whatever agents do in worktrees, and in whatever order the executor then commits, resets,
/// removes, salvages, restores and merges: no content that was there when the executor began is
/// gone afterwards. Contents are never equal, so each of them counts.
///
/// A round is one repository: `support/sweep.hpp` says how many there are.
using namespace autoexec;
using namespace autoexec::test;
using namespace autoexec::git;

namespace {

using Contents = std::set<std::string>;  // blob ids

std::string blob_id(std::string_view content)
{
    const auto blob = fmt::format("blob {}{}{}", content.size(), '\0', content);
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    EVP_Digest(blob.data(), blob.size(), digest.data(), &size, EVP_sha1(), nullptr);
    return fmt::format("{:02x}", fmt::join(digest.begin(), digest.begin() + size, ""));
}

bool is_ignored(const fs::path& path)
{
    return path.extension() == ".log" || path.filename().string().starts_with(".cursor-skill");
}

std::vector<std::string> lines_of(const std::string& text)
{
    std::istringstream in(text);
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

class World : public WorktreeFixture {
public:
    explicit World(unsigned seed) : random_(seed)
    {
        write(".gitignore", "*.log\n");
        commit("base");
        write("file", "the user's own\n");
        write("notes", "the user's own, untracked\n");
        users_status_ = status(root());
        for (const auto* const name : {"t0", "t1"}) add(name);
    }

    void act()
    {
        const auto tree = some_tree();
        if (tree.empty()) return;
        constexpr std::array actions{
            &World::write_new,  &World::write_new,   &World::modify,       &World::modify,
            &World::erase,      &World::stage_one,   &World::stage,        &World::unstage,
            &World::own_commit, &World::commit_file, &World::commit_file,  &World::own_commit,
            &World::detach,     &World::new_branch,  &World::back,         &World::soft_reset,
            &World::stash,      &World::begin_merge, &World::begin_rebase, &World::ignored_file,
            &World::break_link};
        (this->*actions.at(below(actions.size())))(tree);
    }

    void operate()
    {
        constexpr std::array operations{
            &World::add_one,     &World::commit_one, &World::commit_one,
            &World::reset_one,   &World::remove_one, &World::salvage_one,
            &World::restore_one, &World::merge_two,  &World::into_main};
        const auto before = present();
        (this->*operations.at(below(operations.size())))();
        const auto after = present();
        for (const auto& id : before)
            CHECK_MESSAGE(after.count(id) > 0,
                          "lost: ", try_git(root(), {"cat-file", "-p", id}).out, "\n", log());
        CHECK(read_file(root() / "file") == "the user's own\n");
        CHECK(status(root()) == users_status_);
    }

    /// What was once committed is at least in a reflog.
    void conclude() const
    {
        const auto kept = reachable({"--reflog"});
        for (const auto& id : committed_)
            CHECK_MESSAGE(kept.count(id) > 0, "lost, once committed: ", id, "\n", log());
    }

    [[nodiscard]] std::string log() const { return fmt::format("{}", fmt::join(log_, "\n")); }
    static std::map<std::string, int> successes;

private:
    std::size_t below(std::size_t bound)
    {
        return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random_);
    }
    template <class Range>
    auto some_of(const Range& range)
    {
        return range.at(below(range.size()));
    }
    std::string unique() { return fmt::format("content {}\n", ++contents_); }

    std::vector<fs::path> all_trees() const
    {
        std::vector<fs::path> all;
        std::error_code ec;
        for (const auto& at : fs::directory_iterator(trees(), ec)) all.push_back(at.path());
        std::sort(all.begin(), all.end());
        return all;
    }
    fs::path some_tree()
    {
        const auto all = all_trees();
        return all.empty() ? fs::path() : some_of(all);
    }
    static std::vector<fs::path> files_in(const fs::path& tree)
    {
        std::vector<fs::path> all;
        for (auto at = fs::recursive_directory_iterator(tree); at != end(at); ++at)
            if (at->is_regular_file() && at->path().filename() != ".git") all.push_back(at->path());
        std::sort(all.begin(), all.end());
        return all;
    }

    /// Blobs, and commits.
    Contents reachable(const Words& more) const
    {
        Contents ids;
        const Words blobs{"--objects", "--filter=object:type=blob", "--filter-provided-objects"};
        for (const auto& kind : {blobs, Words()}) {
            Words words{"rev-list", "--all", "--indexed-objects"};
            words.insert(words.end(), kind.begin(), kind.end());
            words.insert(words.end(), more.begin(), more.end());
            // All stashes but the newest are only in a reflog.
            if (fs::exists(root() / ".git/refs/stash"))
                for (const auto& stash : lines_of(git({"stash", "list", "--format=%H"})))
                    words.push_back(stash);
            for (const auto& line : lines_of(git(words))) ids.insert(line.substr(0, 40));
        }
        return ids;
    }
    /// All that refs, HEADs, indexes and files hold now.
    Contents present() const
    {
        auto all = reachable({});
        for (const auto& tree : all_trees())
            for (const auto& file : files_in(tree))
                if (!is_ignored(file)) all.insert(blob_id(read_file(file)));
        return all;
    }

    // What agents do. Some of it git refuses, which is fine.
    void note(std::string_view what, const fs::path& tree, std::string_view more = {})
    {
        log_.push_back(fmt::format("{} {} {}", tree.filename().string(), what, more));
    }
    void agent(const fs::path& tree, const Words& words)
    {
        note("git", tree, fmt::format("{}", fmt::join(words, " ")));
        // A tree without its .git must not lead an agent to the user's checkout.
        if (fs::is_regular_file(tree / ".git")) (void)try_git(tree, words);
    }
    void write_new(const fs::path& tree)
    {
        constexpr std::array names{"new 1", "dir/new", "dir/deep/ü", "-option", "new 2"};
        const std::string name = some_of(names);
        const auto text = unique();
        note("writes", tree, name + ": " + text);
        std::error_code ec;
        fs::create_directories((tree / name).parent_path(), ec);
        if (!ec) std::ofstream(tree / name) << text;
    }
    void modify(const fs::path& tree)
    {
        const auto files = files_in(tree);
        if (files.empty()) return;
        const auto file = some_of(files);
        const auto text = unique();
        note("changes", tree, file.filename().string() + ": " + text);
        std::ofstream(file) << text;
    }
    void erase(const fs::path& tree)
    {
        const auto files = files_in(tree);
        if (files.empty()) return;
        const auto file = some_of(files);
        note("erases", tree, file.filename().string());
        fs::remove(file);
    }
    void ignored_file(const fs::path& tree) { std::ofstream(tree / "x.log") << unique(); }
    void break_link(const fs::path& tree)
    {
        if (below(4) != 0) return;
        note("loses its .git", tree);
        fs::remove(tree / ".git");
    }
    void stage_one(const fs::path& tree)
    {
        const auto files = files_in(tree);
        if (!files.empty()) agent(tree, {"add", "--", some_of(files).string()});
    }
    void stage(const fs::path& tree) { agent(tree, {"add", "-A"}); }
    void unstage(const fs::path& tree) { agent(tree, {"reset", "-q"}); }
    void own_commit(const fs::path& tree)
    {
        Words words{"commit", "-q", "-m", "own"};
        if (below(2) == 0) words.emplace_back("-a");
        agent(tree, words);
        const auto all = git({"rev-list", "--objects", "--filter=object:type=blob", "--all"});
        for (const auto& line : lines_of(all)) committed_.insert(line.substr(0, 40));
    }
    void commit_file(const fs::path& tree)
    {
        const auto text = unique();
        note("changes", tree, "file: " + text);
        std::ofstream(tree / "file") << text;
        agent(tree, {"commit", "-q", "-m", "own", "--", "file"});
    }
    void detach(const fs::path& tree)
    {
        agent(tree, {"checkout", "-q", "--detach", below(2) == 0 ? "HEAD" : "HEAD~1"});
    }
    void new_branch(const fs::path& tree)
    {
        agent(tree, {"checkout", "-q", "-b", fmt::format("own-{}", ++branches_)});
    }
    void back(const fs::path& tree) { agent(tree, {"checkout", "-q", branch_of(tree)}); }
    void soft_reset(const fs::path& tree) { agent(tree, {"reset", "-q", "--soft", "HEAD~1"}); }
    void stash(const fs::path& tree) { agent(tree, {"stash", "-q", "-u"}); }
    void begin_merge(const fs::path& tree)
    {
        agent(tree, {"merge", "-q", "--no-edit", branch_of(some_tree())});
    }
    void begin_rebase(const fs::path& tree)
    {
        agent(tree, {"rebase", "-q", "--autostash", branch_of(some_tree())});
    }

    // What the executor does.
    template <class Result>
    Result engine(std::string what, const fs::path& tree, asio::awaitable<Result> work)
    {
        auto result = run(std::move(work));
        std::string problem;
        if constexpr (std::is_same_v<Result, Problem>)
            problem = result;
        else
            problem = result.problem;
        log_.push_back(fmt::format("ENGINE {} {} {}", what, tree.filename().string(), problem));
        if (problem.empty()) ++successes[what];
        return result;
    }
    std::string new_name() { return fmt::format("n{}", ++trees_made_); }
    std::string some_commit()
    {
        return some_of(lines_of(git({"for-each-ref", "--format=%(refname:short)", "refs/heads"})));
    }
    void add_one()
    {
        const auto name = new_name();
        engine("add", name, git::add_tree(repository(), name, some_commit()));
    }
    void commit_one()
    {
        const auto tree = some_tree();
        if (tree.empty()) return;
        const auto done =
            engine("commit", tree, git::commit_work(repository(), tree, branch_of(tree), "work"));
        if (!done.problem.empty()) FAIL_CHECK(done.problem, "\n", log());
        CHECK(id(branch_of(tree)) == done.commit);
    }
    void reset_one()
    {
        const auto tree = some_tree();
        if (tree.empty()) return;
        const auto target = id(some_commit());
        const auto done = engine(
            "reset", tree, git::reset_tree(repository(), tree, branch_of(tree), target, "a test"));
        // An ignored file is not saved, so it is not overwritten either.
        if (contains(done.problem, "it blocks a file")) return;
        if (!done.problem.empty()) FAIL_CHECK(done.problem, "\n", log());
        CHECK(id(branch_of(tree)) == target);
        // It was ignored before, so it is not saved, so it stays.
        const auto state = status(tree);
        CHECK_MESSAGE((state.empty() || state == "?? x.log"), state, log());
    }
    void remove_one()
    {
        const auto tree = some_tree();
        if (tree.empty()) return;
        const auto done =
            engine("remove", tree, git::remove_tree(repository(), tree, SalvageOptions()));
        if (!done.problem.empty()) FAIL_CHECK(done.problem, "\n", log());
        CHECK_FALSE(fs::exists(tree));
    }
    void salvage_one()
    {
        const auto tree = some_tree();
        if (tree.empty()) return;
        const auto state = run(git::state_of(repository(), tree));
        const auto done =
            engine("salvage", tree, git::salvage(repository(), tree, SalvageOptions()));
        if (!done.problem.empty()) FAIL_CHECK(done.problem, "\n", log());
        CHECK(run(git::state_of(repository(), tree)) == state);
    }
    void restore_one()
    {
        const auto all = run(git::list_salvages(repository()));
        if (all.empty()) return;
        const auto name = new_name();
        const auto ref = some_of(all).ref;
        const auto done = engine("restore", name, git::restore(repository(), ref, name));
        if (!done.problem.empty()) FAIL_CHECK(done.problem, "\n", log());
    }
    void merge_two()
    {
        const auto ours = some_commit();
        const auto theirs = some_commit();
        const auto done =
            engine("merge", ours + "+" + theirs, git::merge(repository(), ours, theirs, "m"));
        if (done.conflicts.empty()) return;
        const auto name = new_name();
        engine("conflict", name, git::open_conflict(repository(), name, ours, theirs, "m"));
    }
    void into_main()
    {
        engine("into", "main", git::merge_into(repository(), "main", some_commit(), "into main"));
        // The user's changes are in the way of some; the others only move what is below them.
        users_status_ = status(root());
    }

    std::mt19937 random_;
    unsigned contents_ = 0;
    unsigned branches_ = 0;
    unsigned trees_made_ = 0;
    std::string users_status_;
    Contents committed_;
    std::vector<std::string> log_;
};

std::map<std::string, int> World::successes;

/// The operations of which none has succeeded.
std::string missing()
{
    std::string names;
    for (const std::string what :
         {"add", "commit", "reset", "remove", "salvage", "restore", "merge", "conflict", "into"})
        if (World::successes[what] == 0) names += what + " ";
    return names;
}

}  // namespace

TEST_CASE("no order of agents' and executor's doings loses a content" *
          doctest::test_suite("sweep"))
{
    constexpr unsigned enough = 60;  // for each operation to succeed at least once, nearly always
    constexpr int operations = 12;
    const auto first = sweep_seed();
    const auto sequences = sweep_rounds(4, enough);
    const bool covers_all = sequences >= enough;
    // Chance may leave one out: then it goes on until all have been there.
    for (unsigned i = 0; i < sequences || (covers_all && !missing().empty() && i < 10 * sequences);
         ++i) {
        const auto seed = first + i;
        CAPTURE(seed);
        World world(seed);
        for (int n = 0; n < operations; ++n) {
            for (int k = 0; k < 3; ++k) world.act();
            world.operate();
        }
        world.conclude();
    }
    if (covers_all) CHECK_MESSAGE(missing().empty(), missing());
}
