#include "process/supervisor_file.hpp"

#include "process/control.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>
#include <vector>

/// From the application, if the CMake target gave it a path: see `autoexec/ports.hpp`.
extern "C" [[gnu::weak]] const char* autoexec_packaged_supervisor() noexcept;

namespace autoexec::process {
namespace {

namespace fs = std::filesystem;

struct Place {
    fs::path path;
    /// A path of the machine that built the application: on another one anybody may have made it.
    bool from_build = false;
};

void add_beside_program(std::vector<Place>& places)
{
    std::error_code ec;
    const auto program = fs::read_symlink("/proc/self/exe", ec);
    if (ec) return;
    places.push_back({program.parent_path() / supervisor_name});
    places.push_back({program.parent_path() / "../libexec/autoexec" / supervisor_name});
}

// Without a shared library this finds the program by its first argument, which may be relative,
// and must not lead into the working directory.
void add_beside_library(std::vector<Place>& places)
{
    Dl_info info{};
    if (::dladdr(reinterpret_cast<const void*>(&find_supervisor), &info) == 0) return;
    if (info.dli_fname == nullptr || !fs::path(info.dli_fname).is_absolute()) return;
    std::error_code ec;
    const auto library = fs::canonical(info.dli_fname, ec);
    if (ec) return;
    places.push_back({library.parent_path() / supervisor_name});
    places.push_back({library.parent_path() / AUTOEXEC_LIBEXEC_FROM_LIB / supervisor_name});
}

std::vector<Place> usual_places()
{
    std::vector<Place> places;
    add_beside_program(places);
    add_beside_library(places);
    places.push_back({fs::path(AUTOEXEC_LIBEXEC_DIR) / supervisor_name});
    if (autoexec_packaged_supervisor != nullptr)
        places.push_back({autoexec_packaged_supervisor(), true});
    for (auto& place : places) place.path = place.path.lexically_normal();
    return places;
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
    for (const auto& place : usual_places()) {
        auto found = open_supervisor(place.path);
        if (found.file && place.from_build && is_of_other_user(found.file.get())) {
            found.file = {};
            found.problem = "it belongs to another user, or others can write it";
        }
        if (found.file) return found;
        tried.push_back(fmt::format("{} ({})", place.path.string(), found.problem));
    }
    SupervisorFile none;
    none.problem = fmt::format(
        "{} was not found; tried {}. Install it there, or give its path to "
        "autoexec::supervised_spawner.",
        supervisor_name, fmt::join(tried, ", "));
    return none;
}

}  // namespace autoexec::process
