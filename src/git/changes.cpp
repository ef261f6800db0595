#include "git/changes.hpp"

#include "git/snapshot.hpp"
#include "git_files/git_dir.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <map>
#include <system_error>
#include <utility>

namespace autoexec::git {
namespace {

void add_comparison(Words& words, Comparison what)
{
    words.push_back(std::move(what.from));
    words.push_back(std::move(what.to));
    words.emplace_back("--");
    std::ranges::move(what.paths, std::back_inserter(words));
}

// Null for `-`, as for binary files.
std::optional<std::int64_t> count_in(std::string_view text)
{
    std::int64_t count = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return count;
}

/// Reads the parts of the output in their order.
class ChangeParser {
public:
    explicit ChangeParser(std::string_view output) : parts_(split_nul(output)) {}

    std::vector<FileChange> run()
    {
        while (at_ < parts_.size())
            if (parts_[at_].starts_with(':'))
                read_raw(next());
            else
                read_numbers(next());
        return std::move(files_);
    }

private:
    std::string_view next() { return at_ < parts_.size() ? parts_[at_++] : std::string_view(); }

    // `:100644 100644 <id> <id> M`, then the path, or two of a renamed file.
    void read_raw(std::string_view line)
    {
        const auto kind = line.substr(line.rfind(' ') + 1);
        FileChange file;
        if (!kind.empty()) file.kind = kind.front();
        if (file.kind == 'R' || file.kind == 'C') file.old_path = next();
        file.path = next();
        places_[file.path] = files_.size();
        files_.push_back(std::move(file));
    }

    // `<added> TAB <deleted> TAB <path>`; without the path, two paths of a renamed file follow.
    void read_numbers(std::string_view line)
    {
        const auto first = line.find('\t');
        const auto second = first == line.npos ? first : line.find('\t', first + 1);
        if (second == line.npos) return;
        auto path = line.substr(second + 1);
        if (path.empty()) {
            (void)next();
            path = next();
        }
        const auto place = places_.find(path);
        if (place == places_.end()) return;
        auto& file = files_[place->second];
        file.added = count_in(line.substr(0, first));
        file.deleted = count_in(line.substr(first + 1, second - first - 1));
    }

    std::vector<std::string_view> parts_;
    std::size_t at_ = 0;
    std::vector<FileChange> files_;
    std::map<std::string, std::size_t, std::less<>> places_;
};

std::int64_t sum_of(const std::vector<FileChange>& files,
                    std::optional<std::int64_t> FileChange::*number)
{
    std::int64_t sum = 0;
    for (const auto& file : files) sum += (file.*number).value_or(0);
    return sum;
}

std::optional<Entry> entry_of(const Repository& repository, const fs::path& folder)
{
    std::error_code ec;
    if (!fs::is_directory(folder, ec)) return std::nullopt;
    error_code shortage;
    const auto tree = git_files::find_tree_in(repository.common, folder, shortage);
    if (!tree) return std::nullopt;
    if (auto entry = find_entry(repository.common, tree->top)) return entry;
    // A folder in the place of a worktree that was removed is not a part of the checkout around it.
    const auto relative = folder.lexically_relative(repository.trees_folder());
    if (!relative.empty() && *relative.begin() != "..") return std::nullopt;
    const auto& main = repository.main;
    return main && fs::equivalent(main->tree, tree->top, ec) ? main : std::nullopt;
}

}  // namespace

asio::awaitable<ProgramOutput> compare(const Repository& repository, Comparison what, Words options)
{
    // With a configuration like `diff.noprefix`, `git apply` would not read it.
    Words words{"diff",           "--no-ext-diff",   "--no-textconv",
                "--find-renames", "--src-prefix=a/", "--dst-prefix=b/"};
    std::ranges::move(options, std::back_inserter(words));
    add_comparison(words, std::move(what));
    co_return co_await repository.git.run(repository.bare, std::move(words));
}

std::int64_t ChangeList::added() const
{
    return sum_of(files, &FileChange::added);
}

std::int64_t ChangeList::deleted() const
{
    return sum_of(files, &FileChange::deleted);
}

asio::awaitable<ChangeList> list_changes(const Repository& repository, Comparison what)
{
    Words words{"diff-tree",
                "-r",
                "-z",
                "--raw",
                "--numstat",
                "--no-color",
                "--no-ext-diff",
                "--no-textconv",
                "--find-renames"};
    add_comparison(words, std::move(what));
    const auto output = co_await repository.git.run(repository.bare, std::move(words));
    ChangeList list;
    if (output.ok() && output.cut)
        list.problem = "There are too many changed files.";
    else if (output.ok())
        list.files = parse_changes(output.output);
    else
        list.problem = fmt::format("The commits cannot be compared: {}", reason_of(output));
    co_return list;
}

std::vector<FileChange> parse_changes(std::string_view output)
{
    return ChangeParser(output).run();
}

asio::awaitable<std::vector<NamedCommit>> list_commits(const Repository& repository,
                                                       std::string base, std::string tip)
{
    const auto output = co_await repository.run("log", "-z", "--first-parent", "--max-count=1000",
                                                "--format=%H%n%ct%n%B", base + ".." + tip, "--");
    co_return output.ok() ? parse_commits(output.output) : std::vector<NamedCommit>();
}

std::vector<NamedCommit> parse_commits(std::string_view output)
{
    std::vector<NamedCommit> commits;
    for (const auto record : split_nul(output)) {
        const auto lines = split_at('\n', record);
        if (lines.size() < 2 || !is_object_id(lines[0])) continue;
        NamedCommit commit;
        commit.id = lines[0];
        commit.seconds = count_in(lines[1]).value_or(0);
        for (const auto line : lines)
            if (line.starts_with(execution_line))
                commit.execution_id = line.substr(execution_line.size());
        commits.push_back(std::move(commit));
    }
    return commits;
}

asio::awaitable<CurrentFiles> current_files(Repository& repository, fs::path folder)
{
    CurrentFiles current;
    auto entry = entry_of(repository, folder);
    if (!entry || entry->missing()) {
        current.problem = fmt::format(
            "{} is not a worktree of this repository, or was removed. 'autoexec worktree list' "
            "shows saved work",
            shown(folder.string()));
        co_return current;
    }
    const auto head = co_await repository.head_of(entry->context());
    current.head = head.commit;
    current.head_tree = head.tree;
    SnapshotOptions limits;
    limits.max_file_bytes = repository.options.max_file_bytes;
    limits.head_tree = head.tree;
    auto snapshot = co_await take_snapshot(repository.git, *std::move(entry), std::move(limits));
    current.tree = std::move(snapshot.files);
    current.problem = std::move(snapshot.problem);
    if (!snapshot.large.empty())
        current.warnings.push_back(fmt::format("Left out, because larger than {}: {}",
                                               size_text(repository.options.max_file_bytes),
                                               listed(snapshot.large)));
    if (!snapshot.repositories.empty())
        current.warnings.push_back(fmt::format("Left out, because they are repositories: {}",
                                               some_of(std::move(snapshot.repositories))));
    co_return current;
}

EarlierHead head_before(const Repository& repository, const fs::path& folder,
                        std::chrono::system_clock::time_point time)
{
    EarlierHead head;
    const auto entry = entry_of(repository, folder);
    if (!entry) return head;
    head.commit = head_in_log(read_git_file(entry->git_dir / "logs/HEAD"), time);
    head.is_logged = !head.commit.empty();
    if (head.is_logged) return head;
    const auto branch = branch_of(entry->git_dir);
    head.commit = branch.empty() ? read_git_line(entry->git_dir / "HEAD") : branch_ref(branch);
    return head;
}

// A line is `<old> <new> Name <address> <seconds> <zone> TAB <message>`.
std::string head_in_log(std::string_view log, std::chrono::system_clock::time_point time)
{
    const auto second = std::chrono::system_clock::to_time_t(time);
    std::string found;
    for (auto line : split_at('\n', log)) {
        line = line.substr(0, line.find('\t'));
        const auto first = line.find(' ');
        const auto name = first == line.npos ? first : line.find(' ', first + 1);
        const auto address = line.rfind("> ");
        if (name == line.npos || address == line.npos) continue;
        const auto id = line.substr(first + 1, name - first - 1);
        const auto when = line.substr(address + 2);
        const auto at = count_in(when.substr(0, when.find(' ')));
        if (!at || !is_object_id(id)) continue;
        if (*at >= second && !found.empty()) break;
        found = id;
        if (*at >= second) break;
    }
    return found;
}

}  // namespace autoexec::git
