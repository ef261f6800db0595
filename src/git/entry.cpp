#include "git/entry.hpp"

#include "files/safe_files.hpp"
#include "git_files/git_dir.hpp"

#include <algorithm>
#include <system_error>

namespace autoexec::git {
namespace {

constexpr std::size_t file_limit = 16 * 1024 * 1024;
constexpr std::size_t max_entries = 100'000;
constexpr const char* run_file = "run";
constexpr std::string_view head_prefix = "ref: refs/heads/";

fs::path without_links(const fs::path& path)
{
    std::error_code ec;
    auto found = fs::weakly_canonical(path, ec);
    if (ec) return path.lexically_normal();
    return found.has_filename() ? found : found.parent_path();
}

std::optional<Entry> read_entry(const fs::path& common_dir, const fs::path& id)
{
    const auto git_dir = common_dir / "worktrees" / id;
    const fs::path link = read_git_line(git_dir / "gitdir");
    if (link.filename() != ".git") return std::nullopt;
    Entry entry;
    entry.git_dir = git_dir;
    entry.common_dir = common_dir;
    entry.tree = without_links((git_dir / link).parent_path());
    return entry;
}

bool is_being_rebased(const fs::path& git_dir, std::string_view branch)
{
    for (const auto* const folder : {"rebase-merge", "rebase-apply"})
        if (read_git_line(git_dir / folder / "head-name") == branch_ref(branch)) return true;
    return false;
}

}  // namespace

bool has_path(const fs::path& path)
{
    std::error_code ec;
    return fs::exists(path, ec);
}

bool Entry::missing() const
{
    std::error_code ec;
    return !fs::is_directory(tree, ec);
}

GitContext Entry::context() const
{
    return {git_dir, common_dir, missing() ? fs::path{} : tree};
}

void write_record(const Entry& entry, const std::string& name, std::string_view text,
                  Durability durability)
{
    error_code ec;
    if (const auto folder = files::make_folders(entry.records(), ec))
        (void)files::replace_file(folder.get(), name, text, 0600, durability);
}

std::vector<Entry> entries_of(const fs::path& common_dir)
{
    std::vector<Entry> entries;
    const auto fd = files::open_folder(common_dir / "worktrees");
    if (!fd) return entries;
    for (const auto& id : files::list_folder(fd.get(), max_entries))
        if (auto entry = read_entry(common_dir, id)) entries.push_back(std::move(*entry));
    return entries;
}

std::optional<Entry> find_entry(const fs::path& common_dir, const fs::path& tree)
{
    const auto wanted = without_links(tree);
    // Almost always the id is the folder's name.
    auto likely = read_entry(common_dir, wanted.filename());
    if (likely && likely->tree == wanted) return likely;
    for (auto& entry : entries_of(common_dir))
        if (entry.tree == wanted) return std::move(entry);
    return std::nullopt;
}

std::string branch_of(const fs::path& git_dir)
{
    const auto head = read_git_line(git_dir / "HEAD");
    return head.starts_with(head_prefix) ? head.substr(head_prefix.size()) : std::string();
}

bool uses_branch(const fs::path& git_dir, std::string_view branch)
{
    return branch_of(git_dir) == branch || is_being_rebased(git_dir, branch);
}

std::string run_of(const Entry& entry)
{
    return read_git_line(entry.records() / run_file);
}

void record_run(const Entry& entry, std::string_view run_id)
{
    write_record(entry, run_file, std::string(run_id) + "\n");
}

bool link_to_entry(const Entry& entry)
{
    if (git_files::git_dir_of(entry.tree) == entry.git_dir) return true;
    std::error_code ec;
    if (fs::is_directory(fs::symlink_status(entry.tree / ".git", ec))) return false;
    const auto wanted = "gitdir: " + entry.git_dir.string() + "\n";
    const auto folder = files::open_folder(entry.tree);
    return folder && !files::replace_file(folder.get(), ".git", wanted, 0644, Durability::none);
}

std::string read_git_file(const fs::path& file)
{
    error_code ignored;
    return git_files::read_file(file, file_limit, ignored);
}

std::string read_git_line(const fs::path& file)
{
    auto text = read_git_file(file);
    text.resize(std::min(text.find_first_of("\r\n"), text.size()));
    return text;
}

std::string branch_ref(std::string_view branch)
{
    return std::string("refs/heads/").append(branch);
}

}  // namespace autoexec::git
