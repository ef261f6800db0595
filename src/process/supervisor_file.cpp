#include "process/supervisor_file.hpp"

#include "process/control.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>
#include <utility>
#include <vector>

/// Defined by the application if the CMake target gave it a path: see `autoexec/ports.hpp`.
extern "C" [[gnu::weak]] const char* autoexec_packaged_supervisor() noexcept;

namespace autoexec::process {
namespace {

namespace fs = std::filesystem;

struct Candidate {
    fs::path path;
    /// A path on the build machine: on another machine any user may have created it.
    bool from_build = false;
};

void add_beside_program(std::vector<Candidate>& candidates)
{
    std::error_code ec;
    const auto program = fs::read_symlink("/proc/self/exe", ec);
    if (ec) return;
    candidates.push_back({program.parent_path() / supervisor_name});
    candidates.push_back({program.parent_path() / "../libexec/autoexec" / supervisor_name});
}

// Without a shared library, this finds the program by its first argument. A relative one must not
// resolve to the working directory.
void add_beside_library(std::vector<Candidate>& candidates)
{
    Dl_info info{};
    if (::dladdr(reinterpret_cast<const void*>(&find_supervisor), &info) == 0) return;
    if (info.dli_fname == nullptr || !fs::path(info.dli_fname).is_absolute()) return;
    std::error_code ec;
    const auto library = fs::canonical(info.dli_fname, ec);
    if (ec) return;
    candidates.push_back({library.parent_path() / supervisor_name});
    candidates.push_back({library.parent_path() / AUTOEXEC_LIBEXEC_FROM_LIB / supervisor_name});
}

std::vector<Candidate> usual_candidates()
{
    std::vector<Candidate> candidates;
    add_beside_program(candidates);
    add_beside_library(candidates);
    candidates.push_back({fs::path(AUTOEXEC_LIBEXEC_DIR) / supervisor_name});
    if (autoexec_packaged_supervisor != nullptr)
        candidates.push_back({autoexec_packaged_supervisor(), true});
    for (auto& place : candidates) place.path = place.path.lexically_normal();
    std::set<fs::path> seen;  // the library can be in the program
    std::erase_if(candidates, [&](const auto& place) { return !seen.insert(place.path).second; });
    return candidates;
}

bool is_of_other_user(int file)
{
    struct stat st {};
    return ::fstat(file, &st) != 0 ||
           (st.st_uid != 0 && st.st_uid != ::geteuid() && st.st_uid != ::getuid()) ||
           (st.st_mode & S_IWOTH) != 0;
}

}  // namespace

SupervisorFile open_supervisor(const fs::path& path)
{
    SupervisorFile found;
    found.path = path;
    const files::UniqueFd file(::open(path.c_str(), O_PATH | O_CLOEXEC));
    if (file && ::faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) == 0)
        found.file = files::UniqueFd(::fcntl(file.get(), F_DUPFD_CLOEXEC, control::first_free));
    if (!found.file) found.problem = files::last_error().message();
    return found;
}

SupervisorFile find_supervisor()
{
    std::vector<std::string> tried;
    for (const auto& place : usual_candidates()) {
        auto found = open_supervisor(place.path);
        if (found.file && place.from_build && is_of_other_user(found.file.get())) {
            found.file = {};
            found.problem = "it belongs to another user, or other users can write it";
        }
        if (found.file) return found;
        tried.push_back(fmt::format("{} ({})", place.path.string(), found.problem));
    }
    SupervisorFile none;
    none.problem = fmt::format(
        "{} was not found; tried {}. Install it there, or pass its path to "
        "autoexec::supervised_spawner.",
        supervisor_name, fmt::join(tried, ", "));
    return none;
}

}  // namespace autoexec::process
