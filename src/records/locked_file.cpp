#include "records/locked_file.hpp"

#include "files/file_lock.hpp"
#include "text/text.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ctime>

namespace autoexec::records {
namespace {

using files::UniqueFd;

constexpr char locked_suffix[] = ".json";
constexpr char temporary_prefix[] = ".tmp.";
constexpr std::time_t temporary_age = 60;
constexpr std::size_t max_files = 100'000;
constexpr int max_tries = 10;

// A shared lock, so that two concurrent readers do not take each other for the process. Without a
// free descriptor nothing is known: it may be alive.
bool is_locked_file(int folder, const std::string& name)
{
    for (int tries = 0; tries < max_tries; ++tries) {
        error_code ec;
        const auto fd = files::open_beneath(folder, name, O_RDONLY, files::Links::none, ec);
        if (!fd) return files::is_resource_shortage(ec);
        if (::flock(fd.get(), LOCK_SH | LOCK_NB) != 0) return true;
        if (!files::is_removed(fd.get())) return false;
        // Its process has replaced it meanwhile, or removed it.
    }
    return true;
}

}  // namespace

UniqueFd create_locked(int folder, const std::string& name, const std::string& id,
                       std::string_view text, error_code& ec)
{
    const auto temporary = temporary_prefix + id;
    UniqueFd file(::openat(folder, temporary.c_str(),
                           O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    ec = {};
    if (!file || ::flock(file.get(), LOCK_EX | LOCK_NB) != 0)
        ec = files::last_error();
    else if ((ec = files::write_all(file.get(), text)))
        ;
    else if (::renameat(folder, temporary.c_str(), folder, name.c_str()) != 0)
        ec = files::last_error();
    if (!ec) return file;
    (void)files::remove_file(folder, temporary);
    return {};
}

std::string locked_name(const std::string& id)
{
    return text::file_name_of(id) + locked_suffix;
}

void for_each_locked(
    int folder, std::size_t limit,
    const std::function<void(const std::string& name, const FoundFile& file, bool alive)>& visit)
{
    for (const auto& name : files::list_folder(folder, max_files)) {
        if (!name.ends_with(locked_suffix) || name.starts_with('.')) continue;
        const bool alive = is_locked_file(folder, name);
        const auto file = files::read_regular(folder, name, limit, {});
        visit(name, file, alive);
    }
}

void sweep_temporaries(int folder)
{
    for (const auto& name : files::list_folder(folder, max_files)) {
        if (!name.starts_with(temporary_prefix)) continue;
        error_code ec;
        const auto fd = files::open_beneath(folder, name, O_RDONLY, files::Links::none, ec);
        struct stat st {};
        // The age is checked first: probing the lock of a new file could block its owner.
        const bool old =
            fd && ::fstat(fd.get(), &st) == 0 && st.st_mtime + temporary_age < std::time(nullptr);
        if (old && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0)
            (void)files::remove_file(folder, name);
    }
}

}  // namespace autoexec::records
