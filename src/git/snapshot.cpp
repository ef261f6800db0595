#include "git/snapshot.hpp"

#include "git/nested.hpp"
#include "git_files/index_file.hpp"
#include "protocol/control_files.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <utility>

namespace autoexec::git {
namespace {

std::string failure(std::string_view what, const fs::path& tree, const ProgramOutput& output)
{
    return fmt::format("{} in {}: {}", what, shown(tree.string()),
                       output.cut ? "there are too many" : reason_of(output));
}

// The file at a path of a tree, if it is above the limit; zero: no limit.
std::optional<LargeFile> large_file(const fs::path& tree, std::string_view path,
                                    std::uint64_t limit)
{
    struct stat info {};
    if (limit == 0 || ::lstat((tree / path).c_str(), &info) != 0 || !S_ISREG(info.st_mode))
        return std::nullopt;
    LargeFile file{std::string(path), static_cast<std::uint64_t>(info.st_size)};
    return file.size > limit ? std::optional(std::move(file)) : std::nullopt;
}

class SnapshotBuilder {
public:
    SnapshotBuilder(const Git& git, Entry entry, SnapshotOptions options)
        : git_(git), entry_(std::move(entry)), options_(options), index_(entry_)
    {
        sparse_ = entry_.is_sparse();
    }

    asio::awaitable<Snapshot> build()
    {
        if (index_.problem())
            result_.problem = fmt::format("{} cannot be written: {}.", entry_.records().string(),
                                          index_.problem().message());
        if (!result_.problem.empty()) co_return std::move(result_);
        const bool copied = entry_.has_index() && index_.copy_from(entry_.git_dir / "index");
        IndexFacts facts;
        if (copied) facts = co_await read_facts();
        result_.has_submodules = !facts.gitlinks.empty();
        if (facts.readable()) co_await add_index(facts);
        if (entry_.missing() || !result_.problem.empty()) co_return std::move(result_);

        if (!facts.sound()) {
            co_await begin_from_head();
            facts = co_await read_facts();
        }
        record_populated(facts.gitlinks);
        co_await add_tree_files();
        co_return std::move(result_);
    }

private:
    [[nodiscard]] GitContext context() const { return entry_.context().with_index(index_.file()); }

    asio::awaitable<IndexFacts> read_facts()
    {
        tracks_large_ = false;
        PathVisitor visit = [this](std::string_view path) {
            tracks_large_ =
                tracks_large_ || large_file(entry_.tree, path, options_.max_file_bytes).has_value();
        };
        if (!sparse_ && !options_.head_tree.empty())
            if (auto facts = read_index(index_.file(), options_.head_tree.size() / 2, visit))
                co_return *std::move(facts);
        co_return co_await read_index(git_, context(), sparse_, std::move(visit));
    }

    void fail(std::string_view what, const ProgramOutput& output)
    {
        if (result_.problem.empty()) result_.problem = failure(what, entry_.tree, output);
    }

    // An index with missing objects contains nothing that could be saved.
    asio::awaitable<void> add_index(const IndexFacts& facts)
    {
        if (facts.unmerged.empty() && git_files::index_is_tree(index_.file(), options_.head_tree)) {
            result_.index = options_.head_tree;
            co_return;
        }
        if (facts.unmerged.empty()) {
            const auto written = co_await git_(context(), "write-tree");
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
            result_.problem = fmt::format("The sides of the conflicts in {} cannot be saved.",
                                          shown(entry_.tree.string()));
    }

    static Words words_of(const std::vector<IndexEntry>& unmerged)
    {
        constexpr std::array<std::string_view, 4> folders{"", "base/", "ours/", "theirs/"};
        Words words;
        for (const auto& entry : unmerged)
            add_entry(words, entry.mode, entry.id,
                      std::string(folders.at(entry.stage)).append(entry.path));
        return words;
    }

    // Runs a command on the index with these arguments and writes its tree.
    asio::awaitable<std::string> tree_after(const TemporaryIndex& index, Words command,
                                            Words arguments)
    {
        const auto there = entry_.context().with_index(index.file());
        const auto done =
            co_await git_.run_in_portions(there, std::move(command), std::move(arguments));
        if (!done.ok()) co_return std::string();
        const auto written = co_await git_(there, "write-tree");
        co_return written.ok() ? line_of(written) : std::string();
    }

    asio::awaitable<void> begin_from_head()
    {
        index_ = TemporaryIndex(entry_);
        result_.fresh_keeps_sparse = !sparse_;
        // Fails for an unborn branch; then all files are new.
        (void)co_await git_(context(), "read-tree", "HEAD");
    }

    // Git would run in these repositories, with their configuration.
    void record_populated(const std::vector<IndexEntry>& gitlinks)
    {
        for (const auto& link : gitlinks)
            if (populated(entry_.tree, link.path)) populated_.push_back(link);
    }

    asio::awaitable<void> add_tree_files()
    {
        co_await find_repositories();
        co_await find_large_files();
        if (result_.problem.empty()) co_await add_files();
        if (result_.problem.empty()) co_await leave_out_large();
        if (result_.problem.empty()) co_await follow_submodules();
        if (result_.problem.empty() && !options_.include_ignored) co_await leave_out_included();
        if (!result_.problem.empty()) co_return;
        const auto written = co_await git_(context(), "write-tree");
        if (!written.ok()) fail("The files cannot be saved", written);
        result_.files = line_of(written);
        result_.fresh = std::move(index_);
    }

    asio::awaitable<void> find_repositories()
    {
        auto found = co_await other_repositories(git_, context(), options_);
        if (result_.problem.empty()) result_.problem = std::move(found.problem);
        result_.repositories = std::move(found.paths);
        result_.large = std::move(found.large);
    }

    // Of the tracked files, those that git would have to read.
    asio::awaitable<void> find_large_files()
    {
        Words words{"diff-files", "--name-only", "-z", "--ignore-submodules=all"};
        (void)co_await record_large(std::move(words));
    }

    // Already staged: the content is saved with the index.
    asio::awaitable<void> leave_out_large()
    {
        Words words{"diff-index", "--cached", "--name-only", "-z", "HEAD"};
        auto staged = co_await record_large(std::move(words));
        if (!staged.empty()) co_await put_back(std::move(staged), "Large files cannot be left out");
    }

    // Adds the large files that git lists, and returns the paths of the new ones.
    asio::awaitable<Words> record_large(Words words)
    {
        Words added;
        if (!tracks_large_) co_return added;
        words.emplace_back("--");
        const auto listing = co_await git_.run(context(), std::move(words));
        for (const auto path : split_nul(listing.output)) {
            auto file = large_file(entry_.tree, path, options_.max_file_bytes);
            const auto is_same = [&](const auto& known) { return known.path == path; };
            if (!file || std::ranges::any_of(result_.large, is_same)) continue;
            added.push_back(file->path);
            result_.large.push_back(*std::move(file));
        }
        co_return added;
    }

    // Restored from HEAD, or removed if HEAD does not have them.
    asio::awaitable<void> put_back(Words paths, std::string_view failing)
    {
        const PathFile file(entry_, paths);
        const auto done = co_await git_(context(), "--literal-pathspecs", "reset", "--quiet",
                                        file.option(), "--pathspec-file-nul");
        if (!done.ok()) fail(failing, done);
    }

    asio::awaitable<void> add_files()
    {
        Words paths{"."};
        const auto exclude = [&paths](const std::string& path) {
            paths.push_back(":(exclude,top,literal)" + path);
        };
        std::ranges::for_each(result_.repositories, exclude);
        // Tracked control files are kept as in HEAD: executors and agents write and remove them,
        // and neither is work. Git would try to add an excluded path that is ignored and untracked.
        std::ranges::for_each(git_files::tracked_among(entry_.git_dir, control_files::paths()),
                              exclude);
        std::ranges::for_each(result_.large, exclude, &LargeFile::path);
        std::ranges::for_each(populated_, exclude, &IndexEntry::path);
        const PathFile file(entry_, paths);
        Words words{"add", file.option(), "--pathspec-file-nul"};
        if (options_.include_ignored) words.emplace_back("--force");
        auto all = words;
        all.emplace_back("--all");
        const auto added = co_await git_.run(context(), std::move(all));
        // Git exits with 1 for skipped paths outside the sparse checkout.
        const bool well = added.ok() || (sparse_ && added.exit.exit_code == 1);
        if (!well) fail("The files cannot be saved", added);
        if (well && sparse_) co_await add_outside(std::move(words));
    }

    // A submodule is saved as its checked-out commit.
    asio::awaitable<void> follow_submodules()
    {
        Words moved;
        for (const auto& link : populated_) {
            const auto git_dir = nested_git_dir(entry_.tree / link.path);
            const auto head = git_dir ? read_nested(*git_dir).head : std::string();
            if (head.empty() || head == link.id) continue;
            add_entry(moved, gitlink_mode, head, link.path);
        }
        Words update{"update-index"};
        const auto done =
            co_await git_.run_in_portions(context(), std::move(update), std::move(moved));
        if (!done.ok()) fail("The commits of submodules cannot be saved", done);
    }

    // Outside the sparse checkout, files that an agent created are work; missing ones are
    // intentional.
    asio::awaitable<void> add_outside(Words words)
    {
        words.emplace_back("--sparse");
        words.emplace_back("--ignore-removal");
        const auto added = co_await git_.run(context(), std::move(words));
        if (!added.ok()) fail("The files cannot be saved", added);
    }

    // Files copied by `.worktreeinclude` are not in HEAD and are skipped. A file that HEAD contains
    // by now is treated like others.
    asio::awaitable<void> leave_out_included()
    {
        auto paths = included_paths(entry_);
        if (paths.empty()) co_return;
        const auto tracked =
            co_await git_(context(), "ls-tree", "-r", "-z", "--name-only", "--full-tree", "HEAD");
        for (const auto path : split_nul(tracked.output)) {
            const auto found = std::lower_bound(paths.begin(), paths.end(), path);
            if (found != paths.end() && *found == path) paths.erase(found);
        }
        if (!paths.empty())
            co_await put_back(std::move(paths), "Included files cannot be left out");
    }

    const Git& git_;
    Entry entry_;
    SnapshotOptions options_;
    TemporaryIndex index_;
    bool sparse_ = false;
    bool tracks_large_ = false;
    std::vector<IndexEntry> populated_;  ///< Submodules whose repository exists.
    Snapshot result_;
};

}  // namespace

Words included_paths(const Entry& entry)
{
    const auto text = read_git_file(entry.records() / included_file);
    const auto paths = split_nul(text);
    return {paths.begin(), paths.end()};
}

// Git lists a repository that is not a submodule as one untracked folder.
asio::awaitable<OtherRepositories> other_repositories(const Git& git, GitContext context,
                                                      SnapshotOptions options)
{
    OtherRepositories found;
    Words words{"ls-files", "--others", "-z"};
    if (!options.include_ignored) words.emplace_back("--exclude-standard");
    const auto listing = co_await git.run(context, std::move(words));
    // Unreadable files cannot be saved.
    const bool blind = listing.errors.find("could not open directory") != std::string::npos;
    if (!listing.ok() || listing.cut || blind)
        found.problem = failure("The files cannot be listed", context.work_tree, listing);
    for (const auto path : split_nul(listing.output))
        if (path.ends_with('/'))
            found.paths.emplace_back(path.substr(0, path.size() - 1));
        else if (auto file = large_file(context.work_tree, path, options.max_file_bytes))
            found.large.push_back(*std::move(file));
    co_return found;
}

asio::awaitable<Snapshot> take_snapshot(const Git& git, Entry entry, SnapshotOptions options)
{
    SnapshotBuilder builder(git, std::move(entry), options);
    co_return co_await builder.build();
}

bool is_declared(std::string_view path, const Words& declared)
{
    return std::any_of(declared.begin(), declared.end(), [&](const auto& known) {
        return path.starts_with(known) &&
               (path.size() == known.size() || path[known.size()] == '/');
    });
}

std::string listed(const std::vector<LargeFile>& files)
{
    constexpr std::size_t max_named = 5;
    Words items;
    for (const auto& file : files)
        items.push_back(fmt::format("'{}' ({})", shown(file.path), size_text(file.size)));
    return some_of(std::move(items), max_named);
}

std::string size_text(std::uint64_t bytes)
{
    constexpr std::array<std::string_view, 5> units{"bytes", "KiB", "MiB", "GiB", "TiB"};
    constexpr double step = 1024;
    auto value = static_cast<double>(bytes);
    std::size_t unit = 0;
    for (; value >= step && unit + 1 < units.size(); ++unit) value /= step;
    return unit == 0 ? fmt::format("{} bytes", bytes)
                     : fmt::format("{:.1f} {}", value, units.at(unit));
}

std::string limit_text(std::uint64_t limit)
{
    return fmt::format("more than worktrees.max_file_bytes ({}) allows", size_text(limit));
}

}  // namespace autoexec::git
