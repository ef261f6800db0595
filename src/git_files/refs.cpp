#include "git_files/refs.hpp"

#include "files/safe_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

namespace autoexec::git_files {
namespace {

constexpr std::size_t max_loose = 4096;
constexpr std::size_t max_packed = 4 * 1024 * 1024;

bool is_id(std::string_view text)
{
    return (text.size() == 40 || text.size() == 64) && std::ranges::all_of(text, [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
           });
}

// From lines `<id> <name>`; empty: it is not there.
std::string packed_ref(std::string_view text, const std::string& name)
{
    const auto wanted = ' ' + name + '\n';
    for (auto at = text.find(wanted); at != text.npos; at = text.find(wanted, at + 1)) {
        const auto begin = text.substr(0, at).rfind('\n') + 1;  // npos + 1 is 0
        const auto id = text.substr(begin, at - begin);
        if (is_id(id)) return std::string(id);
    }
    return {};
}

}  // namespace

std::optional<std::string> read_ref(const std::filesystem::path& common_dir,
                                    const std::string& name)
{
    const auto folder = files::open_folder(common_dir);
    struct stat info {};
    if (!folder || ::fstat(folder.get(), &info) != 0) return std::nullopt;
    const bool in_files =
        ::faccessat(folder.get(), "reftable", F_OK, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT;
    if (!in_files) return std::nullopt;
    // In git's order: a ref that is packed meanwhile is then in the second place.
    auto loose = files::read_regular(folder.get(), name, max_loose, {info.st_uid});
    if (loose.state == FoundFile::State::present) {
        if (loose.text.ends_with('\n')) loose.text.pop_back();
        return is_id(loose.text) ? std::optional(std::move(loose.text)) : std::nullopt;
    }
    if (loose.state != FoundFile::State::absent) return std::nullopt;
    const auto packed = files::read_regular(folder.get(), "packed-refs", max_packed, {info.st_uid});
    if (packed.state == FoundFile::State::absent) return std::string();
    if (packed.state != FoundFile::State::present) return std::nullopt;
    return packed_ref(packed.text, name);
}

}  // namespace autoexec::git_files
