#include "git/work_cache.hpp"

#include "git/worktrees.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <iterator>
#include <utility>

namespace autoexec::git {
namespace {

constexpr std::string_view cache_refs = "refs/autoexec/cache/";
constexpr std::size_t max_cached_work = 1000;
constexpr std::string_view work_subject = "Work of a step, for later runs\n\n";

std::string cache_ref(std::string_view key)
{
    return std::string(cache_refs).append(key);
}

/// Tree and artifacts of an entry.
struct EntryContent {
    std::string tree;
    std::string kept;
    Problem problem;
};

asio::awaitable<EntryContent> read_cached(const Repository& repository, std::string entry)
{
    EntryContent content;
    ProgramOutput output;
    if (is_object_id(entry))
        output =
            co_await repository.run("rev-list", "--no-walk", "--parents", "--format=%T", entry);
    // `commit ENTRY PARENT`, then the tree
    const auto lines = split_at('\n', output.output);
    const auto words =
        lines.size() == 2 ? split_at(' ', lines[0]) : std::vector<std::string_view>();
    if (!is_object_id(entry) || !output.ok() || words.size() < 2 || !is_object_id(lines[1])) {
        content.problem = fmt::format("the commit {:.12} is not there", shown(entry));
        co_return content;
    }
    content.tree = lines[1];
    if (words.size() > 2) content.kept = words[2];
    co_return content;
}

/// Takes one entry over: commits, checks out, and writes its artifacts.
class WorkTaker {
public:
    WorkTaker(Repository& repository, WorkTarget target)
        : repository_(repository), target_(std::move(target))
    {}

    asio::awaitable<TakenWork> run(std::string entry)
    {
        content_ = co_await read_cached(repository_, std::move(entry));
        taken_.problem = content_.problem;
        if (taken_.problem.empty()) co_await commit();
        if (taken_.problem.empty()) co_await check_out();
        if (taken_.problem.empty()) co_await write_artifacts();
        co_return std::move(taken_);
    }

private:
    // An executor that was killed may have made the commit.
    asio::awaitable<void> commit()
    {
        const auto base_tree = co_await tree_of(repository_, target_.base);
        tip_ = co_await repository_.tip_of(target_.branch);
        const auto tip_tree = co_await tree_of(repository_, tip_);
        taken_.commit = base_tree == content_.tree ? target_.base : std::string();
        if (taken_.commit.empty() && tip_tree == content_.tree) {
            const bool is_made = co_await repository_.contains(tip_, target_.base);
            if (is_made) taken_.commit = tip_;
        }
        if (!taken_.commit.empty()) co_return;
        Words parents{target_.base};
        auto made =
            co_await repository_.commit_tree(content_.tree, std::move(parents), target_.message);
        taken_.commit = std::move(made.id);
        taken_.problem = std::move(made.problem);
    }

    asio::awaitable<void> check_out()
    {
        auto resetting = reset_tree(repository_, target_.tree, target_.branch, taken_.commit,
                                    "Before the work of an earlier run was taken over");
        auto saved = co_await std::move(resetting);
        taken_.problem = std::move(saved.problem);
    }

    asio::awaitable<void> write_artifacts()
    {
        auto sources = std::move(target_.laid);
        if (!content_.kept.empty()) {
            const auto named = co_await repository_.run(
                "update-ref", "--no-deref", "-m", "autoexec", target_.ref.name(), content_.kept);
            if (!named.ok()) taken_.problem = reason_of(named);
            for (auto& path : target_.artifacts)
                sources.push_back({content_.kept, std::move(path)});
            taken_.kept = content_.kept;
        }
        if (!taken_.problem.empty() || sources.empty()) co_return;
        taken_.problem =
            co_await lay_artifacts(repository_, target_.tree, std::move(sources), false);
    }

    Repository& repository_;
    WorkTarget target_;
    EntryContent content_;
    std::string tip_;
    TakenWork taken_;
};

asio::awaitable<void> drop_oldest_work(Repository& repository)
{
    auto all = co_await list_work(repository);
    if (all.size() <= max_cached_work) co_return;
    all.resize(all.size() - max_cached_work);
    for (auto& one : all) (void)co_await repository.drop_ref(one.ref, one.commit);
}

}  // namespace

asio::awaitable<std::optional<CachedWork>> find_work(Repository& repository, std::string key)
{
    const auto found = co_await repository.find_ref(cache_ref(key), "%(contents)");
    if (!found || !found->detail.starts_with(work_subject)) co_return std::nullopt;
    CachedWork work;
    work.entry = found->commit;
    work.details = found->detail.substr(work_subject.size());
    work.details.erase(work.details.find_last_not_of('\n') + 1);
    co_return work;
}

asio::awaitable<Problem> store_work(Repository& repository, std::string key, std::string commit,
                                    std::string kept, std::string details)
{
    const auto tree = co_await tree_of(repository, commit);
    if (tree.empty()) co_return fmt::format("the commit {:.12} is not there", shown(commit));
    Words parents;
    if (!kept.empty()) parents.push_back(std::move(kept));
    auto message = std::string(work_subject) + details;
    const auto made = co_await repository.commit_tree(tree, std::move(parents), std::move(message));
    if (!made.problem.empty()) co_return made.problem;
    const auto named = co_await repository.run("update-ref", "--no-deref", "-m", "autoexec",
                                               cache_ref(key), made.id);
    if (!named.ok()) co_return reason_of(named);
    co_await drop_oldest_work(repository);
    co_return Problem();
}

asio::awaitable<Problem> drop_work(Repository& repository, std::string key)
{
    const auto found = co_await repository.find_ref(cache_ref(key), "");
    if (!found) co_return Problem();
    co_return co_await repository.drop_ref(found->name, found->commit);
}

asio::awaitable<TakenWork> take_work(Repository& repository, std::string entry, WorkTarget target)
{
    WorkTaker taker(repository, std::move(target));
    co_return co_await taker.run(std::move(entry));
}

asio::awaitable<std::vector<CacheEntryInfo>> list_work(Repository& repository)
{
    Words oldest_first{"--sort=committerdate"};
    const auto refs = co_await repository.refs(std::string(cache_refs), "%(committerdate:unix)",
                                               std::move(oldest_first));
    std::vector<CacheEntryInfo> found;
    for (const auto& ref : refs) {
        CacheEntryInfo info;
        info.ref = ref.name;
        info.commit = ref.commit;
        info.time = std::chrono::system_clock::from_time_t(std::atoll(ref.detail.c_str()));
        found.push_back(std::move(info));
    }
    co_return found;
}

asio::awaitable<std::string> tree_of(const Repository& repository, std::string commit)
{
    if (!is_object_id(commit)) co_return std::string();
    auto known = repository.known.tree_of(commit);
    if (!known.empty()) co_return known;
    const auto output =
        co_await repository.run("rev-parse", "--verify", "--quiet", commit + "^{tree}");
    co_return output.ok() ? line_of(output) : std::string();
}

asio::awaitable<std::string> content_at(const Repository& repository, ArtifactSource source)
{
    if (!is_object_id(source.commit)) co_return std::string();
    const auto listing = co_await repository.run("--literal-pathspecs", "ls-tree", "-z",
                                                 "--full-tree", source.commit, "--", source.path);
    co_return listing.ok() ? listing.output : std::string();
}

}  // namespace autoexec::git
