#include "files/trust.hpp"

#include "text/text.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

namespace autoexec::files {
namespace {

constexpr std::size_t max_entry = 1024 * 1024;  // enough for a group with many members

struct User {
    std::string name;
    gid_t group = 0;
};

struct Group {
    std::string name;
    std::vector<std::string> members;
};

// Calls `find(buffer, size)` with a large enough buffer; false if there is no such entry.
template <class Find>
bool find_entry(std::vector<char>& buffer, Find find)
{
    for (buffer.resize(4096); buffer.size() <= max_entry; buffer.resize(buffer.size() * 4)) {
        const int error = find(buffer.data(), buffer.size());
        if (error != ERANGE && error != EINTR) return error == 0;
    }
    return false;
}

std::optional<User> find_user(uid_t id)
{
    std::vector<char> buffer;
    passwd entry{};
    passwd* found = nullptr;
    const bool known = find_entry(buffer, [&](char* data, std::size_t size) {
        return ::getpwuid_r(id, &entry, data, size, &found);
    });
    if (!known || found == nullptr) return std::nullopt;
    return User{entry.pw_name, entry.pw_gid};
}

std::optional<Group> find_group(gid_t id)
{
    std::vector<char> buffer;
    group entry{};
    group* found = nullptr;
    const bool known = find_entry(buffer, [&](char* data, std::size_t size) {
        return ::getgrgid_r(id, &entry, data, size, &found);
    });
    if (!known || found == nullptr) return std::nullopt;
    Group group{entry.gr_name, {}};
    for (char** member = entry.gr_mem; *member != nullptr; ++member)
        group.members.emplace_back(*member);
    return group;
}

bool is_private_group(uid_t owner, gid_t id)
{
    const auto user = find_user(owner);
    const auto group = find_group(id);
    // The ids of a mounted repository may be unknown here; then no user of this system is a member.
    if (!user) return owner == id && (!group || group->members.empty());
    return user->group == id && group && group->name == user->name &&
           std::all_of(group->members.begin(), group->members.end(),
                       [&](const std::string& member) { return member == user->name; });
}

std::string quoted(const std::string& path)
{
    return text::quote_words(std::array{path});
}

}  // namespace

bool is_trusted_owner(uid_t owner, uid_t project_owner) noexcept
{
    const auto us = ::geteuid();
    return owner == us || owner == 0 || (us == 0 && owner == project_owner);
}

std::string distrust(const struct stat& st, const TrustedLocation& location)
{
    if (!is_trusted_owner(st.st_uid, location.project_owner))
        return fmt::format(
            "it is not trusted, because it belongs to user {}, who is neither user {} nor root; if "
            "you trust its content, run: sudo chown {} {}",
            st.st_uid, ::geteuid(), ::geteuid(), quoted(location.path));
    const bool others = (st.st_mode & S_IWOTH) != 0;
    const bool group = (st.st_mode & S_IWGRP) != 0 && !is_private_group(st.st_uid, st.st_gid);
    if (!others && !group) return {};
    return fmt::format(
        "it is not trusted, because {} can write to it (mode {:04o}, owner {}, group {}); run: "
        "chmod go-w {}",
        others ? "every user" : "its group", st.st_mode & 07777U, st.st_uid, st.st_gid,
        quoted(location.path));
}

std::string distrust_folder(int parent, const std::string& name, const TrustedLocation& location)
{
    struct stat st {};
    if (::fstatat(parent, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(st.st_mode))
        return {};
    return distrust(st, location);
}

}  // namespace autoexec::files
