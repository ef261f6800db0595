#include "git/snapshot.hpp"

#include "git/index_facts.hpp"
#include "git/nested_files.hpp"
#include "git_files/index_file.hpp"
#include "protocol/control_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace autoexec::git {
namespace {

// Words of one call: far below what the system takes. Even, since some belong together.
constexpr std::size_t max_at_once = 500;

std::string failure(std::string_view what, const std::filesystem::path& tree,
                    const ProgramOutput& output)
{
    return fmt::format("{} in {}: {}", what, shown(tree.string()),
                       output.cut ? "there are too many" : reason_of(output));
}

class Taker {
public:
    Taker(const Git& git, Entry entry, SnapshotOptions options)
        : git_(git), entry_(std::move(entry)), options_(options), index_(entry_)
    {
        sparse_ = is_sparse(entry_);
    }

    asio::awaitable<Snapshot> take()
    {
        if (index_.problem())
            result_.problem = fmt::format("{} can't be written: {}.", entry_.records().string(),
                                          index_.problem().message());
        if (!result_.problem.empty()) co_return std::move(result_);
        const bool copied = entry_.has_index() && index_.copy_from(entry_.git_dir / "index");
        IndexFacts facts;
        if (copied) facts = facts_of(co_await git_(place(), "ls-files", "-v", "-s", "-z"), sparse_);
        result_.has_submodules = !facts.gitlinks.empty();
        if (facts.readable) co_await take_index(facts);
        if (entry_.missing() || !result_.problem.empty()) co_return std::move(result_);

        if (!facts.sound()) {
            co_await begin_from_head();
            facts = facts_of(co_await git_(place(), "ls-files", "-v", "-s", "-z"), sparse_);
        }
        note_populated(facts.gitlinks);
        co_await take_files();
        co_return std::move(result_);
    }

private:
    [[nodiscard]] Place place() const { return entry_.place().with_index(index_.file()); }

    void fail(std::string_view what, const ProgramOutput& output)
    {
        if (result_.problem.empty()) result_.problem = failure(what, entry_.tree, output);
    }

    // An index that refers to what is not there holds nothing that could be saved.
    asio::awaitable<void> take_index(const IndexFacts& facts)
    {
        if (facts.unmerged.empty()) {
            const auto written = co_await git_(place(), "write-tree");
            if (written.ok()) result_.index = line_of(written);
            co_return;
        }
        for (const auto& entry : facts.unmerged)
            if (result_.unmerged.empty() || result_.unmerged.back() != entry.path)
                result_.unmerged.push_back(entry.path);
        const TemporaryIndex merged(entry_);
        const TemporaryIndex sides(entry_);
        Words forget{"update-index", "--force-remove", "--"};
        if (merged.copy_from(index_.file()))
            result_.index = co_await tree_after(merged, std::move(forget), result_.unmerged);
        Words add{"update-index", "--add"};
        result_.sides = co_await tree_after(sides, std::move(add), words_of(facts.unmerged));
        if (result_.index.empty() || result_.sides.empty())
            result_.problem = fmt::format("The sides of the conflicts in {} can't be saved.",
                                          shown(entry_.tree.string()));
    }

    static Words words_of(const std::vector<UnmergedEntry>& unmerged)
    {
        constexpr std::array<std::string_view, 4> folders{"", "base", "ours", "theirs"};
        Words words;
        for (const auto& entry : unmerged) {
            words.emplace_back("--cacheinfo");
            words.push_back(fmt::format("{},{},{}/{}", entry.mode, entry.id,
                                        folders.at(entry.stage), entry.path));
        }
        return words;
    }

    // The tree of an index after a command with these arguments, a portion at a time.
    asio::awaitable<std::string> tree_after(const TemporaryIndex& index, Words command,
                                            const Words& arguments)
    {
        const auto there = entry_.place().with_index(index.file());
        for (std::size_t at = 0; at < arguments.size(); at += max_at_once) {
            auto words = command;
            const auto end = std::min(arguments.size(), at + max_at_once);
            words.insert(words.end(), arguments.begin() + static_cast<long>(at),
                         arguments.begin() + static_cast<long>(end));
            const auto done = co_await git_.run(there, std::move(words));
            if (!done.ok()) co_return std::string();
        }
        const auto written = co_await git_(there, "write-tree");
        co_return written.ok() ? line_of(written) : std::string();
    }

    asio::awaitable<void> begin_from_head()
    {
        index_ = TemporaryIndex(entry_);
        result_.fresh_keeps_sparse = !sparse_;
        // Fails for a branch without a commit; then all files are new.
        (void)co_await git_(place(), "read-tree", "HEAD");
    }

    // Git would run itself in these, with what is configured there.
    void note_populated(const std::vector<Gitlink>& gitlinks)
    {
        for (const auto& link : gitlinks)
            if (populated(entry_.tree, link.path)) populated_.push_back(link);
    }

    asio::awaitable<void> take_files()
    {
        co_await find_repositories();
        co_await find_large_files();
        if (result_.problem.empty()) co_await add_files();
        if (result_.problem.empty()) co_await leave_out_large();
        if (result_.problem.empty()) co_await follow_submodules();
        if (result_.problem.empty() && !options_.include_ignored) co_await leave_out_included();
        if (!result_.problem.empty()) co_return;
        const auto written = co_await git_(place(), "write-tree");
        if (!written.ok()) fail("The files can't be saved", written);
        result_.files = line_of(written);
        result_.fresh = std::move(index_);
    }

    asio::awaitable<void> find_repositories()
    {
        auto found = co_await other_repositories(git_, place(), options_);
        if (result_.problem.empty()) result_.problem = std::move(found.problem);
        result_.repositories = std::move(found.paths);
        result_.large = std::move(found.large);
    }

    // Of what git tracks, those that it would have to read.
    asio::awaitable<void> find_large_files()
    {
        large_tracked_ = co_await large_tracked_files(git_, place(), options_.max_file_bytes);
        Words words{"diff-files", "--name-only", "-z", "--ignore-submodules=all", "--"};
        co_await note_large(std::move(words));
    }

    // What is staged already: its content is saved with the index.
    asio::awaitable<void> leave_out_large()
    {
        const auto changed = result_.large.size();
        Words words{"diff-index", "--cached", "--name-only", "-z", "HEAD", "--"};
        co_await note_large(std::move(words));
        if (result_.large.size() == changed) co_return;
        Words paths;
        for (auto k = changed; k < result_.large.size(); ++k)
            paths.push_back(result_.large[k].path);
        co_await put_back(std::move(paths), "Large files can't be left out");
    }

    // Which of the large ones git has to say something of.
    asio::awaitable<void> note_large(Words words)
    {
        if (large_tracked_.empty()) co_return;
        const auto listing = co_await git_.run(place(), std::move(words));
        for (const auto path : split_nul(listing.output)) {
            const bool is_new = std::none_of(result_.large.begin(), result_.large.end(),
                                             [&](const auto& known) { return known.path == path; });
            LargeFile file{std::string(path), 0};
            if (is_new && is_large(entry_.tree, path, options_.max_file_bytes, file.size))
                result_.large.push_back(std::move(file));
        }
    }

    // As HEAD has them, or not at all.
    asio::awaitable<void> put_back(Words paths, std::string_view failing)
    {
        const PathFile file(entry_, paths);
        const auto done = co_await git_(place(), "--literal-pathspecs", "reset", "--quiet",
                                        file.option(), "--pathspec-file-nul");
        if (!done.ok()) fail(failing, done);
    }

    asio::awaitable<void> add_files()
    {
        Words paths{"."};
        for (const auto& path : result_.repositories)
            paths.push_back(":(exclude,top,literal)" + path);
        // Those that a repository tracks stay as they are there: engines and agents remove and
        // write them, and neither is work.
        // Git takes an excluded path that is ignored and not tracked for one that is to be added.
        for (const auto& path : git_files::tracked_among(entry_.git_dir, control_files::paths()))
            paths.push_back(":(exclude,top,literal)" + path);
        for (const auto& large : result_.large)
            paths.push_back(":(exclude,top,literal)" + large.path);
        for (const auto& link : populated_) paths.push_back(":(exclude,top,literal)" + link.path);
        const PathFile file(entry_, paths);
        Words words{"add", file.option(), "--pathspec-file-nul"};
        if (options_.include_ignored) words.emplace_back("--force");
        auto all = words;
        all.emplace_back("--all");
        const auto added = co_await git_.run(place(), std::move(all));
        // Outside the part that is checked out, git says 1 for what it leaves alone.
        const bool well = added.ok() || (sparse_ && added.exit.exit_code == 1);
        if (!well) fail("The files can't be saved", added);
        if (well && sparse_) co_await add_outside(std::move(words));
    }

    // The commit that is checked out in a submodule is what the tree has of it.
    asio::awaitable<void> follow_submodules()
    {
        Words moved;
        for (const auto& link : populated_) {
            const auto git_dir = nested_git_dir(entry_.tree / link.path);
            const auto head = git_dir ? read_nested(*git_dir).head : std::string();
            if (head.empty() || head == link.id) continue;
            moved.emplace_back("--cacheinfo");
            moved.push_back(fmt::format("160000,{},{}", head, link.path));
        }
        for (std::size_t at = 0; at < moved.size(); at += max_at_once) {
            Words words{"update-index"};
            const auto end = std::min(moved.size(), at + max_at_once);
            words.insert(words.end(), moved.begin() + static_cast<long>(at),
                         moved.begin() + static_cast<long>(end));
            const auto done = co_await git_.run(place(), std::move(words));
            if (!done.ok()) fail("The commits of submodules can't be saved", done);
        }
    }

    // Files that an agent made there are work, too; that others are not there is intended.
    asio::awaitable<void> add_outside(Words words)
    {
        words.emplace_back("--sparse");
        words.emplace_back("--ignore-removal");
        const auto added = co_await git_.run(place(), std::move(words));
        if (!added.ok()) fail("The files can't be saved", added);
    }

    // What `.worktreeinclude` brought is not there for HEAD, and so it stays. What HEAD has by now
    // is a file like others.
    asio::awaitable<void> leave_out_included()
    {
        auto paths = included_paths(entry_);
        if (paths.empty()) co_return;
        const auto tracked =
            co_await git_(place(), "ls-tree", "-r", "-z", "--name-only", "--full-tree", "HEAD");
        for (const auto path : split_nul(tracked.output)) {
            const auto found = std::lower_bound(paths.begin(), paths.end(), path);
            if (found != paths.end() && *found == path) paths.erase(found);
        }
        if (!paths.empty()) co_await put_back(std::move(paths), "Included files can't be left out");
    }

    const Git& git_;
    Entry entry_;
    SnapshotOptions options_;
    TemporaryIndex index_;
    bool sparse_ = false;
    Words large_tracked_;
    std::vector<Gitlink> populated_;  ///< Submodules that are there as repositories.
    Snapshot result_;
};

}  // namespace

// Git lists a repository that is not a submodule as one untracked folder.
asio::awaitable<OtherRepositories> other_repositories(const Git& git, Place place,
                                                      SnapshotOptions options)
{
    OtherRepositories found;
    Words words{"ls-files", "--others", "-z"};
    if (!options.include_ignored) words.emplace_back("--exclude-standard");
    const auto listing = co_await git.run(place, std::move(words));
    // What can't be read can't be saved.
    const bool blind = listing.errors.find("could not open directory") != std::string::npos;
    if (!listing.ok() || listing.cut || blind)
        found.problem = failure("The files can't be listed", place.work_tree, listing);
    for (const auto path : split_nul(listing.output)) {
        LargeFile file{std::string(path), 0};
        if (path.ends_with('/'))
            found.paths.emplace_back(path.substr(0, path.size() - 1));
        else if (is_large(place.work_tree, path, options.max_file_bytes, file.size))
            found.large.push_back(std::move(file));
    }
    co_return found;
}

asio::awaitable<Snapshot> take_snapshot(const Git& git, Entry entry, SnapshotOptions options)
{
    Taker taker(git, std::move(entry), options);
    co_return co_await taker.take();
}

}  // namespace autoexec::git
