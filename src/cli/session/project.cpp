#include "cli/session/project.hpp"

#include "cli/session/output.hpp"
#include "git_files/git_dir.hpp"
#include "handoff/claims.hpp"
#include "protocol/layout.hpp"
#include "text/columns.hpp"
#include "text/text.hpp"

#include <fmt/format.h>

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <thread>

namespace autoexec::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t short_length = 8;
constexpr std::size_t min_id_end = 4;
constexpr std::size_t max_text = 1024 * 1024;
constexpr std::chrono::seconds end_timeout{30};

fs::path named_project(const fs::path& project)
{
    std::error_code ec;
    auto root = fs::canonical(project, ec);
    if (!ec && !fs::is_directory(root, ec) && !ec)
        ec = std::make_error_code(std::errc::not_a_directory);
    if (!ec && ::access(root.c_str(), R_OK | X_OK) != 0) ec = {errno, std::generic_category()};
    if (ec)
        fail(exit_usage,
             "cannot use the project '{}': {}; give --project a folder that you can read",
             project.string(), ec.message());
    return root;
}

}  // namespace

fs::path current_folder()
{
    std::error_code ec;
    auto folder = fs::current_path(ec);
    if (ec)
        fail(exit_usage, "cannot use the current folder: {}; change to another one", ec.message());
    return folder;
}

fs::path project_root(const CommonOptions& common)
{
    if (!common.project.empty()) return named_project(common.project);
    auto here = current_folder();
    if (const auto git_dir = git_files::git_dir_of(here)) {
        const auto common_dir = git_files::git_common_dir(*git_dir);
        if (common_dir.filename() == ".git") return common_dir.parent_path();
    }
    for (auto folder = here; folder.has_relative_path(); folder = folder.parent_path())
        if (fs::is_directory(folder / layout::records)) return folder;
    return here;
}

fs::path current_worktree(const CommonOptions& common, const fs::path& root)
{
    const auto here = current_folder();
    const auto git_dir = git_files::git_dir_of(here);
    const bool belongs =
        common.project.empty() && git_dir && git_files::git_common_dir(*git_dir) == root / ".git";
    if (!belongs) return root;
    auto folder = here;
    while (!fs::exists(folder / ".git") && folder.has_relative_path())
        folder = folder.parent_path();
    return folder;
}

bool is_within(const fs::path& path, const fs::path& folder)
{
    if (path.native().find('\0') != std::string::npos) return false;
    std::error_code ec;
    const auto real = fs::weakly_canonical(fs::absolute(path), ec);
    if (ec) return false;
    const auto real_folder = fs::canonical(folder, ec);
    if (ec) return false;
    const auto relative = real.lexically_relative(real_folder);
    return !relative.empty() && *relative.begin() != "..";
}

std::optional<std::string> read_text(const fs::path& path, std::string& problem)
{
    std::ifstream in(path, std::ios::binary);
    std::string text(max_text + 1, '\0');
    if (!in || fs::is_directory(path)) {
        problem = fs::exists(path) ? "not a readable file" : "no such file";
        return std::nullopt;
    }
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(in.gcount()));
    if (text.size() <= max_text) return text;
    problem = fmt::format("larger than {} bytes", max_text);
    return std::nullopt;
}

std::string short_id(std::string_view id)
{
    return std::string(id.substr(id.size() - std::min(id.size(), short_length)));
}

bool is_called(std::string_view id, std::string_view wanted)
{
    return id == wanted || (wanted.size() >= min_id_end && id.ends_with(wanted));
}

std::string unmatched(std::string_view id, bool several)
{
    if (several) return fmt::format("several executions match '{}'", id);
    return fmt::format(
        "no execution matches '{}'{}", id,
        id.size() < min_id_end ? "; give at least the last four characters of its id" : "");
}

std::string cell(std::string_view text, std::size_t width)
{
    auto line = text::one_line(text);
    auto columns = text::columns_of(line);
    if (columns > width) {
        line.resize(text::head_columns(line, std::max<std::size_t>(width, 1) - 1).size());
        if (width > 0) line += "…";
        columns = text::columns_of(line);
    }
    return line + std::string(width - columns, ' ');
}

std::string shown_path(const fs::path& path)
{
    std::error_code ec;
    const auto here = fs::current_path(ec);  // a command may have removed it
    const auto text = ec ? std::string() : fs::relative(path, here, ec).string();
    const bool far = ec || text.starts_with("../../..") || text.empty();
    return text::printable(far ? path.string() : text);
}

void wait_for_end(std::string_view subject, const std::function<bool()>& has_ended)
{
    const auto until = std::chrono::steady_clock::now() + end_timeout;
    while (!has_ended()) {
        if (std::chrono::steady_clock::now() > until)
            fail(exit_internal, "requested, but the {} has not ended within {} s", subject,
                 end_timeout.count());
        std::this_thread::sleep_for(std::chrono::milliseconds{100});
    }
}

std::string user_at_host()
{
    const auto* const entry = ::getpwuid(::geteuid());  // this process has one thread
    const auto user = entry != nullptr ? entry->pw_name : std::to_string(::geteuid());
    return user + "@" + handoff::host_name();
}

std::optional<std::string> if_given(const std::string& text)
{
    return text.empty() ? std::nullopt : std::optional(text);
}

}  // namespace autoexec::cli
