#include "workflow/journal/journal.hpp"

#include "protocol/layout.hpp"
#include "text/json.hpp"
#include "text/json_fields.hpp"
#include "text/text.hpp"
#include "workflow/journal/journal_place.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <tuple>
#include <utility>

/// Journals as readers see them, and requests to their executors.
namespace autoexec::workflow {
namespace {

namespace fs = std::filesystem;
using files::last_error;
using files::UniqueFd;

constexpr std::size_t first_line_limit = 1024 * 1024;
constexpr std::size_t max_runs = 100'000;

records::Folder requests_folder(const fs::path& project_root)
{
    auto folder = state_folder(project_root);
    folder.below /= "cancel";
    return folder;
}

bool is_alive(int folder, const std::string& name)
{
    error_code ec;
    const auto fd = records::Folder::open_log(folder, name, ec);
    return fd && is_locked(fd.get());
}

/// A part of it, if it is longer than the limit or incomplete.
std::string first_line(int fd)
{
    constexpr std::size_t chunk = 16 * 1024;
    std::string text;
    for (auto end = text.npos; end == text.npos && text.size() < first_line_limit;) {
        const auto used = text.size();
        text.resize(used + chunk);
        const auto n = ::pread(fd, text.data() + used, chunk, static_cast<off_t>(used));
        text.resize(used + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
        if (n <= 0) break;
        end = text.find('\n', used);
        if (end != text.npos) text.resize(end);
    }
    return text;
}

struct ListedRun {
    std::optional<std::chrono::system_clock::time_point> started;
    std::string name;
    std::string run_id;
};

/// Empty for a file whose name is not that of a run id.
std::optional<ListedRun> list_run(int folder, const std::string& name)
{
    if (!name.ends_with(journal_suffix)) return std::nullopt;
    error_code ec;
    const auto fd = records::Folder::open_log(folder, name, ec);
    if (!fd) return std::nullopt;
    const auto line = text::read_json_object(first_line(fd.get()));
    std::vector<std::string> ignored;
    const bool valid = line.kind == text::JsonReading::Kind::valid;
    const text::Fields top(valid ? &line.object : nullptr, ignored);
    ListedRun run{text::parse_iso(top.string("time").value_or("")), name,
                  top.string("run_id").value_or("")};
    // Truncated, or a copy of another journal: then the id is the file's name, if that can be one.
    if (journal_name(run.run_id) != name)
        run.run_id = name.substr(0, name.size() - journal_suffix.size());
    if (journal_name(run.run_id) != name) return std::nullopt;
    return run;
}

}  // namespace

records::Folder state_folder(const fs::path& project_root)
{
    return {project_root.empty() ? "." : project_root, layout::journals};
}

std::string journal_name(std::string_view run_id)
{
    return text::file_name_of(run_id).append(journal_suffix);
}

// Shared, so that two readers do not take each other for the executor.
bool is_locked(int fd)
{
    if (::flock(fd, LOCK_SH | LOCK_NB) != 0) return errno == EWOULDBLOCK;
    ::flock(fd, LOCK_UN);
    return false;
}

std::optional<RunRecord> read_run(const fs::path& project_root, std::string_view run_id,
                                  std::string& problem)
{
    problem.clear();
    error_code ec;
    const auto folder = state_folder(project_root).open(ec);
    const auto name = journal_name(run_id);
    FoundFile found;
    bool alive = false;
    if (folder) {
        // Checked before reading: otherwise a run that ends in between would look interrupted.
        alive = is_alive(folder.get(), name);
        found = files::read_regular(folder.get(), name, journal_limit, {});
    } else if (ec != boost::system::errc::no_such_file_or_directory) {
        found.state = FoundFile::State::unreadable;
        found.problem = ec.message();
    }
    if (found.state == FoundFile::State::absent) {
        problem = fmt::format("There is no run {}.", text::printable(run_id));
        return std::nullopt;
    }
    if (found.state != FoundFile::State::present) {
        problem = fmt::format("The journal of run {} cannot be read: {}", text::printable(run_id),
                              found.problem);
        return std::nullopt;
    }
    auto run = parse_journal(found.text);
    run.run_id = run_id;
    run.alive = alive;
    return run;
}

std::vector<std::string> list_runs(const fs::path& project_root)
{
    error_code ec;
    const auto folder = state_folder(project_root).open(ec);
    if (!folder) return {};
    std::vector<ListedRun> runs;
    for (const auto& name : files::list_folder(folder.get(), max_runs))
        if (auto run = list_run(folder.get(), name)) runs.push_back(std::move(*run));
    std::ranges::sort(runs, std::greater(),
                      [](const auto& run) { return std::tie(run.started, run.name); });
    std::vector<std::string> ids;
    ids.reserve(runs.size());
    for (auto& run : runs) ids.push_back(std::move(run.run_id));
    return ids;
}

error_code ask_to_cancel_run(const fs::path& project_root, std::string_view run_id)
{
    error_code ec;
    // Twice: an executor that has served the last request removes the folder.
    for (int tries = 0; tries < 2; ++tries) {
        const auto folder = requests_folder(project_root).create(ec);
        if (ec) return ec;
        constexpr int flags = O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
        const UniqueFd fd(::openat(folder.get(), text::file_name_of(run_id).c_str(), flags, 0600));
        if (fd) return {};
        ec = last_error();
    }
    return ec;
}

bool take_run_cancel(const fs::path& project_root, std::string_view run_id)
{
    error_code ec;
    const auto place = requests_folder(project_root);
    const auto folder = place.open(ec);
    if (!folder || ::unlinkat(folder.get(), text::file_name_of(run_id).c_str(), 0) != 0)
        return false;
    (void)::rmdir(place.path().c_str());
    return true;
}

}  // namespace autoexec::workflow
